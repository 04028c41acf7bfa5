/** The flags of all of `etcdutl`'s subcommands, and of `etcdctl snapshot save`. Upstream: etcdutl/etcdutl */
import type { Flags } from "../flags.ts";

export const etcdutlFlags = {
  "write-out": {
    type: "string",
    short: "w",
    default: "simple",
    help: "set the output format (fields, json, protobuf, simple, table)",
  },
  "data-dir": { type: "string", default: "", help: "Path to the data directory: to restore into, or to defragment" },
  "wal-dir": { type: "string", default: "", help: "Path to the WAL directory (use --data-dir if none given)" },
  name: { type: "string", default: "default", help: "Human-readable name for this member" },
  "initial-cluster": {
    type: "string",
    default: "default=http://localhost:2380",
    help: "Initial cluster configuration for restore bootstrap",
  },
  "initial-cluster-token": {
    type: "string",
    default: "etcd-cluster",
    help: "Initial cluster token for the etcd cluster during restore bootstrap",
  },
  "initial-advertise-peer-urls": {
    type: "list",
    default: ["http://localhost:2380"],
    help: "List of this member's peer URLs to advertise to the rest of the cluster",
  },
  "skip-hash-check": {
    type: "bool",
    default: false,
    help: "Ignore snapshot integrity hash value (required if copied from data directory)",
  },
  "initial-memory-map-size": { type: "int", default: 0, help: "Accepted, without effect here.", ignored: true },
  "bump-revision": { type: "int", default: 0, help: "How much to increase the latest revision after restore" },
  "mark-compacted": {
    type: "bool",
    default: false,
    help: "Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0, disallowed otherwise)",
  },
  "keep-versions": {
    type: "int",
    default: 0,
    help: "With put: of the key's versions all but the newest so many go (0 keeps all). Servers of upstream's keep all",
  },
  rev: { type: "int", default: 0, help: "maximum revision to hash (default: latest revision)" },
  timeout: { type: "duration", default: 10_000, help: "Accepted, without effect here.", ignored: true },
  endpoints: { type: "list", default: ["127.0.0.1:2379"], help: "gRPC endpoints: one, to save a snapshot from" },
  cacert: {
    type: "string",
    default: "",
    help: "verify certificates of TLS-enabled secure servers using this CA bundle",
  },
  cert: { type: "string", default: "", help: "identify secure client using this TLS certificate file" },
  key: { type: "string", default: "", help: "identify secure client using this TLS key file" },
} as const satisfies Flags;
