/** Every metric that dashboards and alerts of upstream's rely on is there, or has a reason not to be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ComponentGroup } from "../base/component-group.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { etcdCodec } from "../protocols/etcd/connect.ts";
import { KV } from "../protocols/etcd/generated.ts";
import { grpcClient } from "../wire/rpc/grpc-client.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { createEtcd } from "./server.ts";

const server = (names: string) => names.split(" ").map((name) => `etcd_server_${name}`);
const under = (prefix: string, names: string) => names.split(" ").map((name) => `${prefix}${name}`);

const NAMES = [
  ...server(
    "has_leader is_leader is_learner id version go_version leader_changes_seen_total proposals_committed_total proposals_applied_total proposals_pending proposals_failed_total slow_apply_total slow_read_indexes_total read_indexes_failed_total heartbeat_send_failures_total quota_backend_bytes health_success health_failures client_requests_total apply_duration_seconds range_duration_seconds request_duration_seconds snapshot_apply_in_progress_total learner_promote_successes feature_enabled",
  ),
  "etcd_cluster_version",
  ...under(
    "etcd_disk_",
    "wal_fsync_duration_seconds wal_write_bytes_total wal_write_duration_seconds backend_commit_duration_seconds backend_defrag_duration_seconds backend_snapshot_duration_seconds defrag_inflight",
  ),
  ...under("etcd_snap_", "db_fsync_duration_seconds db_save_total_duration_seconds fsync_duration_seconds"),
  ...under(
    "etcd_mvcc_",
    "db_total_size_in_bytes db_total_size_in_use_in_bytes db_open_read_transactions range_total put_total delete_total txn_total hash_duration_seconds hash_rev_duration_seconds",
  ),
  ...under(
    "etcd_debugging_mvcc_",
    "keys_total current_revision compact_revision watcher_total watch_stream_total slow_watcher_total pending_events_total events_total db_compaction_keys_total db_compaction_last db_compaction_pause_duration_milliseconds db_compaction_total_duration_milliseconds index_compaction_pause_duration_milliseconds total_put_size_in_bytes",
  ),
  ...under("etcd_debugging_lease_", "granted_total revoked_total renewed_total ttl_total"),
  "etcd_debugging_server_lease_expired_total",
  ...under(
    "etcd_network_",
    "peer_sent_bytes_total peer_received_bytes_total peer_sent_failures_total peer_received_failures_total peer_round_trip_time_seconds active_peers known_peers client_grpc_sent_bytes_total client_grpc_received_bytes_total snapshot_send_success snapshot_send_failures snapshot_send_inflights_total snapshot_send_total_duration_seconds snapshot_receive_success snapshot_receive_failures snapshot_receive_inflights_total snapshot_receive_total_duration_seconds",
  ),
  ...under("grpc_server_", "started_total handled_total msg_received_total msg_sent_total handling_seconds"),
];

const OF_PEERS = "counted with the first message to or from a peer, by its name";
/** Not there on a member alone that has been asked one thing. */
const ABSENT: Readonly<Record<string, string>> = {
  etcd_network_peer_sent_bytes_total: OF_PEERS,
  etcd_network_peer_received_bytes_total: OF_PEERS,
  etcd_network_peer_sent_failures_total: OF_PEERS,
  etcd_network_peer_received_failures_total: OF_PEERS,
  etcd_network_peer_round_trip_time_seconds: OF_PEERS,
  etcd_network_active_peers: OF_PEERS,
  etcd_network_snapshot_send_success: OF_PEERS,
  etcd_network_snapshot_send_failures: OF_PEERS,
  etcd_network_snapshot_send_inflights_total: OF_PEERS,
  etcd_network_snapshot_send_total_duration_seconds: OF_PEERS,
  etcd_network_snapshot_receive_success: OF_PEERS,
  etcd_network_snapshot_receive_failures: OF_PEERS,
  etcd_network_snapshot_receive_inflights_total: OF_PEERS,
  etcd_network_snapshot_receive_total_duration_seconds: OF_PEERS,
  etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds:
    "the index is compacted key by key with the rows, and never pauses",
  etcd_debugging_mvcc_pending_events_total: "what a slow watcher misses is read again later and never queued",
  etcd_mvcc_db_open_read_transactions: "readers hold no transactions open: the store is single-threaded",
};

async function scraped(): Promise<string> {
  const world = simulatedWorld(1);
  const metrics = new Metrics({ stability: false });
  const base = "http://127.0.0.1:2379";
  let text = "";
  let done = false;
  const work = (async () => {
    const etcd = createEtcd(
      { dataDir: "/data", listenClientUrls: [base], metrics: "extensive" },
      { ...world, log: silent, metrics },
    );
    await using group = new ComponentGroup();
    await group.start(etcd);
    await etcd.client().kv.Put({ key: Buffer.from("k"), value: Buffer.from("v") });
    const http = world.net.httpClient({ base });
    const post = await http.request({ method: "POST", path: "/v3/kv/range", body: '{"key":"aw=="}' });
    assert.equal(post.status, 200);
    const grpc = {
      http: world.net.httpClient({ base, version: "2" }),
      clock: world.clock,
      codec: etcdCodec(),
      metadata: { "client-api-version": "3.7" },
    };
    await grpcClient(KV, grpc).Range({ key: Buffer.from("k") });
    const response = await http.request({ method: "GET", path: "/metrics" });
    for await (const chunk of response.body) text += Buffer.from(chunk).toString();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
  return text;
}

const text = await scraped();
const typed = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);

test("metrics that others rely on are there, or there is a reason", () => {
  const missing = NAMES.filter((name) => !typed.includes(name) && !(name in ABSENT));
  assert.deepEqual(missing, []);
  assert.deepEqual(
    Object.keys(ABSENT).filter((name) => typed.includes(name)),
    [],
    "these are there: take them off the list",
  );
});

test("no metric is told twice, and each is of a type and has help without a stability", () => {
  assert.deepEqual(
    typed.filter((name, i) => typed.indexOf(name) !== i),
    [],
  );
  assert.deepEqual(text.match(/^# HELP etcd_\S+ \[.*$/gm), null);
});

test("what was asked was counted", () => {
  for (const line of [
    'grpc_server_handled_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range",grpc_code="OK"} 1',
    'etcd_server_client_requests_total{type="unary",client_api_version="3.7"} 1',
    "etcd_mvcc_put_total 1",
    "etcd_mvcc_range_total 2",
    "etcd_server_has_leader 1",
    'etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"} 1',
    'grpc_server_handling_seconds_count{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});
