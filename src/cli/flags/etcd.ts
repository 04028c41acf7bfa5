/** The flags of `t8s etcd`, spelled and defaulted as upstream's. Upstream: server/embed/config.go */
import type { Flags } from "../flags.ts";

export const etcdFlags = {
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
  "initial-advertise-peer-urls": {
    type: "list",
    default: ["http://localhost:2380"],
    help: "List of this member's peer URLs to advertise to the rest of the cluster.",
  },
  "initial-cluster-token": {
    type: "string",
    default: "etcd-cluster",
    help: "Initial cluster token for the etcd cluster during bootstrap.",
  },
  "quota-backend-bytes": {
    type: "int",
    default: 0,
    help: "Raise alarms when backend size exceeds the given quota. 0 means use the default quota of 2 GiB.",
  },
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
  "cert-file": { type: "string", default: "", help: "Path to the client server TLS cert file." },
  "key-file": { type: "string", default: "", help: "Path to the client server TLS key file." },
  "trusted-ca-file": { type: "string", default: "", help: "Path to the client server TLS trusted CA cert file." },
  "client-cert-auth": { type: "bool", default: false, help: "Enable client cert authentication." },
  "log-level": {
    type: "string",
    default: "info",
    help: "Configures log level. Only supports debug, info, warn, error, panic, or fatal.",
  },
  "log-format": { type: "string", default: "json", help: "Configures log format. Only supports json, console." },
} as const satisfies Flags;
