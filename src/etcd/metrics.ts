/**
 * The metrics of a member, under upstream's names. Most are kept as plain numbers where things happen and collected when they are scraped
 * (`readings.ts`).
 */
import { counter, gauge, histogram } from "../observe/metrics.ts";

/** `count` bounds, each `factor` times the one before. */
export const exponential = (start: number, factor: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => Number((start * factor ** i).toPrecision(12)));

const FSYNC_BUCKETS = exponential(0.001, 2, 14);

export const walFsync = histogram("etcd_disk_wal_fsync_duration_seconds", {
  help: "The latency distributions of fsync called by WAL.",
  buckets: FSYNC_BUCKETS,
});
export const walWriteDuration = histogram("etcd_disk_wal_write_duration_seconds", {
  help: "The latency distributions of write called by WAL.",
  buckets: FSYNC_BUCKETS,
});
export const walWriteBytes = counter("etcd_disk_wal_write_bytes_total", {
  help: "Total number of bytes written in WAL.",
});

export const backendCommit = histogram("etcd_disk_backend_commit_duration_seconds", {
  help: "The latency distributions of commit called by backend.",
  buckets: FSYNC_BUCKETS,
});
export const backendDefrag = histogram("etcd_disk_backend_defrag_duration_seconds", {
  help: "The latency distribution of backend defragmentation.",
  buckets: exponential(0.1, 2, 13),
});
export const defragInflight = gauge("etcd_disk_defrag_inflight", {
  help: "Whether or not defrag is active on the member. 1 means active, 0 means not.",
});
export const backendSnapshot = histogram("etcd_disk_backend_snapshot_duration_seconds", {
  help: "The latency distribution of backend snapshots.",
  buckets: exponential(0.01, 2, 17),
});
export const snapDbSave = histogram("etcd_snap_db_save_total_duration_seconds", {
  help: "The total latency distributions of v3 snapshot save",
  buckets: exponential(0.1, 2, 10),
});
export const snapDbFsync = histogram("etcd_snap_db_fsync_duration_seconds", {
  help: "The latency distributions of fsyncing .snap.db file",
  buckets: FSYNC_BUCKETS,
});
export const snapFsync = histogram("etcd_snap_fsync_duration_seconds", {
  help: "The latency distributions of fsync called by snap.",
  buckets: FSYNC_BUCKETS,
});
export const hashDuration = histogram("etcd_mvcc_hash_duration_seconds", {
  help: "The latency distribution of storage hash operation.",
  buckets: exponential(0.01, 2, 15),
});
export const hashRevDuration = histogram("etcd_mvcc_hash_rev_duration_seconds", {
  help: "The latency distribution of storage hash by revision operation.",
  buckets: exponential(0.01, 2, 15),
});
const PAUSE_MS_BUCKETS = exponential(1, 2, 13);
export const compactionPause = histogram("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", {
  help: "Bucketed histogram of db compaction pause duration.",
  buckets: PAUSE_MS_BUCKETS,
});
export const compactionTotal = histogram("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", {
  help: "Bucketed histogram of db compaction total duration.",
  buckets: exponential(100, 2, 14),
});
export const compactionLast = gauge("etcd_debugging_mvcc_db_compaction_last", {
  help: "The unix time of the last db compaction. Resets to 0 on start.",
});
export const compactionKeys = counter("etcd_debugging_mvcc_db_compaction_keys_total", {
  help: "Total number of db keys compacted.",
});

// The server.
export const hasLeader = gauge("etcd_server_has_leader", {
  help: "Whether or not a leader exists. 1 is existence, 0 is not.",
});
export const isLeader = gauge("etcd_server_is_leader", {
  help: "Whether or not this member is a leader. 1 if is, 0 otherwise.",
});
export const serverId = gauge("etcd_server_id", {
  help: "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
  labels: ["server_id"],
});
export const serverVersion = gauge("etcd_server_version", {
  help: "Which version is running. 1 for 'server_version' label with current version.",
  labels: ["server_version"],
});
export const goVersion = gauge("etcd_server_go_version", {
  help: "Which Go version server is running with. 1 for 'server_go_version' label with current version.",
  labels: ["server_go_version"],
});
export const leaderChanges = counter("etcd_server_leader_changes_seen_total", {
  help: "The number of leader changes seen.",
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
export const heartbeatSendFailures = counter("etcd_server_heartbeat_send_failures_total", {
  help: "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
});
export const learnerPromotions = counter("etcd_server_learner_promote_successes", {
  help: "The total number of successful learner promotions while this member is leader.",
});
export const requestDuration = histogram("etcd_server_request_duration_seconds", {
  help: "Response latency distribution in seconds for each type.",
  labels: ["type", "success"],
  buckets: FSYNC_BUCKETS,
});
export const rangeDuration = histogram("etcd_server_range_duration_seconds", {
  help: "The latency distributions of txn.Range",
  labels: ["success"],
  buckets: exponential(0.0001, 2, 20),
});
export const slowApplies = counter("etcd_server_slow_apply_total", {
  help: "The total number of slow apply requests (likely overloaded from slow disk).",
});
export const applyDuration = histogram("etcd_server_apply_duration_seconds", {
  help: "The latency distributions of v2 apply called by backend.",
  labels: ["version", "op", "success"],
  buckets: exponential(0.0001, 2, 20),
});
export const quotaBytes = gauge("etcd_server_quota_backend_bytes", {
  help: "Current backend storage quota size in bytes.",
});
export const healthSuccess = counter("etcd_server_health_success", {
  help: "The total number of successful health checks",
});
export const healthFailures = counter("etcd_server_health_failures", {
  help: "The total number of failed health checks",
});
export const healthcheck = gauge("etcd_server_healthcheck", {
  help: "The result of each kind of healthcheck.",
  labels: ["type", "name"],
});
export const healthchecks = counter("etcd_server_healthchecks_total", {
  help: "The total number of each kind of healthcheck.",
  labels: ["type", "name", "status"],
});
export const clientRequests = counter("etcd_server_client_requests_total", {
  help: "The total number of client requests per client version.",
  labels: ["type", "client_api_version"],
});
export const featureEnabled = gauge("etcd_server_feature_enabled", {
  help: "Whether or not a feature is enabled. 1 is enabled, 0 is not.",
  labels: ["name", "stage"],
});

// Keys.
export const dbSize = gauge("etcd_mvcc_db_total_size_in_bytes", {
  help: "Total size of the underlying database physically allocated in bytes.",
});
export const dbSizeInUse = gauge("etcd_mvcc_db_total_size_in_use_in_bytes", {
  help: "Total size of the underlying database logically in use in bytes.",
});
export const ranges = counter("etcd_mvcc_range_total", {
  help: "Total number of ranges seen by this member.",
});
export const puts = counter("etcd_mvcc_put_total", { help: "Total number of puts seen by this member." });
export const deletes = counter("etcd_mvcc_delete_total", {
  help: "Total number of deletes seen by this member.",
});
export const txns = counter("etcd_mvcc_txn_total", { help: "Total number of txns seen by this member." });
export const putBytes = gauge("etcd_debugging_mvcc_total_put_size_in_bytes", {
  help: "The total size of put kv pairs seen by this member.",
});
export const authRevision = gauge("etcd_debugging_auth_revision", { help: "The current revision of auth store." });
export const keys = gauge("etcd_debugging_mvcc_keys_total", { help: "Total number of keys." });
export const currentRevision = gauge("etcd_debugging_mvcc_current_revision", {
  help: "The current revision of store.",
});
export const compactRevision = gauge("etcd_debugging_mvcc_compact_revision", {
  help: "The revision of the last compaction in store.",
});
export const watchers = gauge("etcd_debugging_mvcc_watcher_total", { help: "Total number of watchers." });
export const watchStreams = gauge("etcd_debugging_mvcc_watch_stream_total", {
  help: "Total number of watch streams.",
});
export const slowWatchers = gauge("etcd_debugging_mvcc_slow_watcher_total", {
  help: "Total number of unsynced slow watchers.",
});
export const events = counter("etcd_debugging_mvcc_events_total", {
  help: "Total number of events sent by this member.",
});
export const pendingEvents = gauge("etcd_debugging_mvcc_pending_events_total", {
  help: "Total number of pending events to be sent.",
});

// Leases.
export const leasesGranted = counter("etcd_debugging_lease_granted_total", {
  help: "The total number of granted leases.",
});
export const leasesRevoked = counter("etcd_debugging_lease_revoked_total", {
  help: "The total number of revoked leases.",
});
export const leasesRenewed = counter("etcd_debugging_lease_renewed_total", {
  help: "The number of renewed leases seen by the leader.",
});
export const leaseTtls = histogram("etcd_debugging_lease_ttl_total", {
  help: "Bucketed histogram of lease TTLs.",
  buckets: exponential(1, 2, 24),
});
export const leaseExpired = counter("etcd_debugging_server_lease_expired_total", {
  help: "The total number of expired leases.",
});

// What clients ask.
export const clientBytesSent = counter("etcd_network_client_grpc_sent_bytes_total", {
  help: "The total number of bytes sent to grpc clients.",
});
export const clientBytesReceived = counter("etcd_network_client_grpc_received_bytes_total", {
  help: "The total number of bytes received from grpc clients.",
});
const RPC_LABELS = ["grpc_type", "grpc_service", "grpc_method"] as const;
export const rpcStarted = counter("grpc_server_started_total", {
  help: "Total number of RPCs started on the server.",
  labels: RPC_LABELS,
});
export const rpcHandled = counter("grpc_server_handled_total", {
  help: "Total number of RPCs completed on the server, regardless of success or failure.",
  labels: [...RPC_LABELS, "grpc_code"],
});
export const rpcReceived = counter("grpc_server_msg_received_total", {
  help: "Total number of RPC stream messages received on the server.",
  labels: RPC_LABELS,
});
export const rpcSent = counter("grpc_server_msg_sent_total", {
  help: "Total number of gRPC stream messages sent by the server.",
  labels: RPC_LABELS,
});
export const rpcHandling = histogram("grpc_server_handling_seconds", {
  help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
  labels: RPC_LABELS,
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});

// The process.
export const fdUsed = gauge("os_fd_used", { help: "The number of used file descriptors." });
export const fdLimit = gauge("os_fd_limit", { help: "The file descriptor limit." });
export const cpuSeconds = counter("process_cpu_seconds_total", {
  help: "Total user and system CPU time spent in seconds.",
  stability: "",
});
export const residentMemory = gauge("process_resident_memory_bytes", {
  help: "Resident memory size in bytes.",
  stability: "",
});
export const startTime = gauge("process_start_time_seconds", {
  help: "Start time of the process since unix epoch in seconds.",
  stability: "",
});
export const openFds = gauge("process_open_fds", { help: "Number of open file descriptors.", stability: "" });
export const maxFds = gauge("process_max_fds", { help: "Maximum number of open file descriptors.", stability: "" });

/** Counted as they happen, and shown from the start. */
export const SHOWN_AT_ZERO = [
  hasLeader,
  isLeader,
  backendCommit,
  backendDefrag,
  defragInflight,
  backendSnapshot,
  snapDbSave,
  snapDbFsync,
  snapFsync,
  hashDuration,
  hashRevDuration,
  compactionPause,
  compactionTotal,
  compactionLast,
  walFsync,
  walWriteDuration,
  walWriteBytes,
  leaderChanges,
  proposalsFailed,
  slowReadIndexes,
  readIndexesFailed,
  snapshotApplyInProgress,
  heartbeatSendFailures,
  learnerPromotions,
  healthSuccess,
  healthFailures,
  leaseExpired,
] as const;
