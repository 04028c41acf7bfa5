/** What a member counts, under upstream's names. */
import { counter, gauge, histogram } from "../observe/metrics.ts";

const FSYNC_BUCKETS = Array.from({ length: 14 }, (_, i) => 0.001 * 2 ** i);

export const walFsync = histogram("etcd_disk_wal_fsync_duration_seconds", {
  help: "The latency distributions of fsync called by WAL.",
  buckets: FSYNC_BUCKETS,
});
export const walWriteBytes = counter("etcd_disk_wal_write_bytes_total", {
  help: "Total number of bytes written in WAL.",
});
export const hasLeader = gauge("etcd_server_has_leader", {
  help: "Whether or not a leader exists. 1 is existence, 0 is not.",
});
export const isLeader = gauge("etcd_server_is_leader", {
  help: "Whether or not this member is a leader. 1 if is, 0 otherwise.",
});
export const serverVersion = gauge("etcd_server_version", {
  help: "Which version is running. 1 for 'server_version' label with current version.",
  labels: ["server_version"],
});
export const proposalsPending = gauge("etcd_server_proposals_pending", {
  help: "The current number of pending proposals to commit.",
});
export const proposalsApplied = gauge("etcd_server_proposals_applied_total", {
  help: "The total number of consensus proposals applied.",
});
export const proposalsCommitted = gauge("etcd_server_proposals_committed_total", {
  help: "The total number of consensus proposals committed.",
});
export const quotaBytes = gauge("etcd_server_quota_backend_bytes", {
  help: "Current backend storage quota size in bytes.",
});
export const dbSize = gauge("etcd_mvcc_db_total_size_in_bytes", {
  help: "Total size of the underlying database physically allocated in bytes.",
});
export const dbSizeInUse = gauge("etcd_mvcc_db_total_size_in_use_in_bytes", {
  help: "Total size of the underlying database logically in use in bytes.",
});
export const keys = gauge("etcd_debugging_mvcc_keys_total", { help: "Total number of keys." });
export const currentRevision = gauge("etcd_debugging_mvcc_current_revision", {
  help: "The current revision of store.",
});
export const compactRevision = gauge("etcd_debugging_mvcc_compact_revision", {
  help: "The revision of the last compaction in store.",
});
export const watchers = gauge("etcd_debugging_mvcc_watcher_total", { help: "Total number of watchers." });
export const watchStreams = gauge("etcd_debugging_mvcc_watch_stream_total", { help: "Total number of watch streams." });
export const slowWatchers = gauge("etcd_debugging_mvcc_slow_watcher_total", {
  help: "Total number of unsynced slow watchers.",
});
export const leaderChanges = counter("etcd_server_leader_changes_seen_total", {
  help: "The number of leader changes seen.",
});
export const proposalsFailed = counter("etcd_server_proposals_failed_total", {
  help: "The total number of failed proposals seen.",
});
export const slowReadIndexes = counter("etcd_server_slow_read_indexes_total", {
  help: "The total number of pending read indexes not in sync with leader's or timed out read index requests.",
});
export const readIndexesFailed = counter("etcd_server_read_indexes_failed_total", {
  help: "The total number of failed read indexes seen.",
});
export const snapshotApplyInProgress = gauge("etcd_server_snapshot_apply_in_progress_total", {
  help: "1 if the server is applying the incoming snapshot. 0 if none.",
});
export const leaseExpired = counter("etcd_debugging_server_lease_expired_total", {
  help: "The total number of expired leases.",
});
