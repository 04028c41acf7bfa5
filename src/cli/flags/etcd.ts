/** The flags of `t8s etcd`, spelled and defaulted as upstream's. Upstream: server/embed/config.go */
import { etcdSecurityFlags } from "./etcd-security.ts";
import { clusteringFlags } from "./etcd-clustering.ts";
import { type Flags, withIgnored } from "../flags.ts";

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

/** How it is watched and looked after. */
const operation = {
  "listen-metrics-urls": {
    type: "list",
    default: [],
    help: "List of URLs to listen on for the /metrics, /health, /livez, /readyz and /version pages alone.",
  },
  metrics: {
    type: "string",
    default: "basic",
    help: "Set level of detail for exported metrics, specify 'extensive' to include server side grpc histogram metrics.",
  },
  "enable-grpc-gateway": { type: "bool", default: true, help: "Serve the JSON gateway on the client ports." },
  "enable-pprof": {
    type: "bool",
    default: false,
    help: "Answer /debug/pprof/ with how to take a profile; there are none in Go's form.",
  },
  cors: {
    type: "list",
    default: ["*"],
    help: "Comma-separated whitelist of origins for CORS, or cross-origin resource sharing.",
  },
  "host-whitelist": {
    type: "list",
    default: ["*"],
    help: "Acceptable hostnames from HTTP client requests, if the server is not secure.",
  },
  logger: { type: "string", default: "zap", help: "Only supports zap: its form of lines." },
  "log-outputs": {
    type: "list",
    default: ["default"],
    help: "Specify 'stdout' or 'stderr', or file paths. 'default' is stderr.",
  },
  "log-format": { type: "string", default: "json", help: "Configures log format. Only supports json, console." },
  "enable-log-rotation": {
    type: "bool",
    default: false,
    help: "Enable log rotation of a single --log-outputs file.",
  },
  "log-rotation-config-json": {
    type: "string",
    default: '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    help: "Configures log rotation. maxsize in MB, maxage in days, maxbackups in files (0 keeps all).",
  },
  "warning-apply-duration": {
    type: "duration",
    default: 100,
    help: "Warning is generated if requests take more than this duration to apply.",
  },
  "warning-unary-request-duration": {
    type: "duration",
    default: 300,
    help: "Warning is generated if a unary request takes more than this duration.",
  },
  "auto-compaction-mode": {
    type: "string",
    default: "periodic",
    help: "Interpret 'auto-compaction-retention' as one of: 'periodic' (by age), 'revision' (by count).",
  },
  "auto-compaction-retention": {
    type: "string",
    default: "0",
    help: "Auto compaction retention length. 0 means disable auto compaction. Hours, or a duration, or a number of revisions.",
  },
  "feature-gates": {
    type: "map",
    default: {},
    help: "A set of key=value pairs that describe feature gates for alpha/experimental features.",
  },
} as const satisfies Flags;

export const etcdFlags = withIgnored(
  { ...own, ...operation },
  `backend-batch-interval:duration backend-batch-limit:int
    backend-bbolt-freelist-type bootstrap-defrag-threshold-megabytes:int compact-hash-check-time:duration
    compaction-sleep-interval:duration corrupt-check-time:duration discovery-fallback
    enable-distributed-tracing:bool distributed-tracing-address distributed-tracing-service-name distributed-tracing-instance-id
    distributed-tracing-sampling-rate:int
    grpc-keepalive-interval:duration grpc-keepalive-min-time:duration grpc-keepalive-timeout:duration
    listen-client-http-urls:list
    max-concurrent-streams:int max-snapshots:int max-wals:int memory-mlock:bool
    raft-read-timeout:duration raft-write-timeout:duration
    socket-reuse-address:bool socket-reuse-port:bool`,
);
