/** The flags of `t8s etcd`, spelled and defaulted as upstream's. Upstream: server/embed/config.go */
import { etcdSecurityFlags } from "./etcd-security.ts";
import { clusteringFlags } from "./etcd-clustering.ts";
import { operationFlags } from "./etcd-operation.ts";
import { type Flags, withIgnoredFor, withRefused } from "../flags.ts";

const own = {
  ...etcdSecurityFlags,
  ...clusteringFlags,
  name: { type: "string", default: "default", help: "Human-readable name for this member." },
  "data-dir": { type: "string", default: "", help: "Path to the data directory. Empty means ${name}.etcd." },
  "wal-dir": { type: "string", default: "", help: "Path to the dedicated wal directory." },
  "snapshot-count": {
    type: "int",
    default: 10_000,
    help: "Number of committed transactions to trigger a snapshot to disk.",
  },
  "heartbeat-interval": { type: "int", default: 100, help: "Time (in milliseconds) of a heartbeat interval." },
  "election-timeout": { type: "int", default: 1000, help: "Time (in milliseconds) for an election to timeout." },
  "listen-client-urls": {
    type: "list",
    default: ["http://localhost:2379"],
    help: "List of URLs to listen on for client grpc traffic and http.",
  },
  "advertise-client-urls": {
    type: "list",
    default: ["http://localhost:2379"],
    help: "List of this member's client URLs to advertise to the public.",
  },
  "quota-backend-bytes": {
    type: "int",
    default: 0,
    help: "Raise alarms when backend size exceeds the given quota. 0 means use the default quota of 2 GiB.",
  },
  "enable-v2": { type: "bool", default: true, help: "Accept etcd V2 client requests." },
  "max-txn-ops": { type: "int", default: 128, help: "Maximum number of operations permitted in a transaction." },
  "max-request-bytes": {
    type: "int",
    default: 1_572_864,
    help: "Maximum client request size in bytes the server will accept.",
  },
  "watch-progress-notify-interval": {
    type: "duration",
    default: 600_000,
    help: "Duration of periodic watch progress notifications.",
  },
  "compaction-batch-limit": {
    type: "int",
    default: 1000,
    help: "Sets the maximum revisions deleted in each compaction batch.",
  },
  "log-level": {
    type: "string",
    default: "info",
    help: "Configures log level. Only supports debug, info, warn, error, panic, or fatal.",
  },
  "unsafe-no-fsync": {
    type: "bool",
    default: false,
    help: "Disables fsync, unsafe, may cause data loss when the machine stops.",
  },
  "config-file": {
    type: "string",
    default: "",
    help: "Path to the server configuration file (YAML). Flags and environment variables are ignored with it.",
  },
} as const satisfies Flags;

export const etcdFlags = withRefused(
  withIgnoredFor(
    { ...own, ...operationFlags },
    {
      "backend-bbolt-freelist-type":
        "the list of free pages is kept as runs of pages, which neither array nor map describes",
      "discovery-dial-timeout:duration": "a question to a discovery service has one limit, --discovery-request-timeout",
      "discovery-keepalive-time:duration": "a discovery service is asked and left again",
      "discovery-keepalive-timeout:duration": "a discovery service is asked and left again",
      "memory-mlock:bool": "a garbage-collected heap can't be kept in memory page by page",
      "max-wals:int": "the log is let go of by what snapshots no longer need, two snapshots back",
      "max-snapshots:int": "two snapshots are kept, as the log goes back to the one before the last",
      "socket-reuse-address:bool": "Node sets SO_REUSEADDR on every listener",
      "v2-deprecation": "the v2 API is served on top of the v3 store, and nothing of v2 is left to deprecate",
      "enable-distributed-tracing:bool": "no traces are made",
      "distributed-tracing-address": "no traces are made",
      "distributed-tracing-service-name": "no traces are made",
      "distributed-tracing-instance-id": "no traces are made",
      "distributed-tracing-sampling-rate:int": "no traces are made",
    },
  ),
  {
    "socket-reuse-port:bool": "two members on one port would each hear half of their clients",
    discovery: "discovery over the v2 API is gone from upstream, too: use --discovery-token and --discovery-endpoints",
    "discovery-proxy": "it belongs to discovery over the v2 API",
    "discovery-fallback": "a member that finds its cluster complete ends; there is no proxy for it to become",
  },
);
