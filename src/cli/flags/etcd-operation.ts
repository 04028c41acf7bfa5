/** Flags for the monitoring, the maintenance and the resource limits of a member. Upstream: server/embed/config.go */
import type { Flags } from "../flags.ts";

export const operationFlags = {
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
  "listen-client-http-urls": {
    type: "list",
    default: [],
    help: "List of URLs to listen on for HTTP alone; those of --listen-client-urls then take gRPC alone.",
  },
  "max-concurrent-streams": {
    type: "int",
    default: 4_294_967_295,
    help: "Maximum concurrent streams that each client can open at a time.",
  },
  "grpc-keepalive-min-time": {
    type: "duration",
    default: 5000,
    help: "Minimum duration interval that a client should wait before pinging server.",
  },
  "grpc-keepalive-interval": {
    type: "duration",
    default: 7_200_000,
    help: "Frequency duration of server-to-client ping to check if a connection is alive (0 to disable).",
  },
  "grpc-keepalive-timeout": {
    type: "duration",
    default: 20_000,
    help: "Additional duration of wait before closing a non-responsive connection (0 to disable).",
  },
  "backend-batch-interval": {
    type: "duration",
    default: 0,
    help: "Maximum time before commit the backend transaction. 0 means 100ms.",
  },
  "backend-batch-limit": {
    type: "int",
    default: 0,
    help: "Maximum operations before commit the backend transaction. 0 means 10000.",
  },
  "compaction-sleep-interval": {
    type: "duration",
    default: 10,
    help: "Sets the sleep interval between each compaction batch.",
  },
  "corrupt-check-time": {
    type: "duration",
    default: 0,
    help: "Duration of time between cluster corruption check passes. 0 for none.",
  },
  "compact-hash-check-time": {
    type: "duration",
    default: 60_000,
    help: "Duration of time between leader checks followers compaction hashes, with the feature gate CompactHashCheck.",
  },
  "bootstrap-defrag-threshold-megabytes": {
    type: "int",
    default: 0,
    help: "Enable the defrag during etcd server bootstrap on condition that it will free at least the provided threshold of disk space.",
  },
} as const satisfies Flags;
