/** The flags of `t8s etcd dump-logs`. Upstream: tools/etcd-dump-logs/main.go */
import type { Flags } from "../flags.ts";

export const etcdDumpLogsFlags = {
  "start-snap": { type: "string", default: "", help: "The base name of snapshot file to start dumping" },
  "start-index": { type: "int", default: 0, help: "The index to start dumping" },
  "wal-dir": {
    type: "string",
    default: "",
    help: "If set, dumps WAL from the informed path, rather than following the standard 'data_dir/member/wal/' location",
  },
  "entry-type": {
    type: "string",
    default: "Normal,ConfigChange",
    help: "If set, filters output by entry type. Must be one or more than one of: ConfigChange, Normal, Request, InternalRaftRequest, IRRRange, IRRPut, IRRDeleteRange, IRRTxn, IRRCompaction, IRRLeaseGrant, IRRLeaseRevoke, IRRLeaseCheckpoint",
  },
  "stream-decoder": {
    type: "string",
    default: "",
    help: "The name of an executable decoding tool, the executable must process hex encoded lines of binary input (from etcd-dump-logs) and output a hex encoded line of binary for each input line",
  },
  raw: { type: "bool", default: false, help: "Read the logs in the low-level form" },
} as const satisfies Flags;
