/** Metrics of the traffic between members, under upstream's names. Upstream: server/etcdserver/api/rafthttp/metrics.go */
import { counter, gauge, histogram } from "../../observe/metrics.ts";

const doubling = (start: number, count: number) => Array.from({ length: count }, (_, i) => start * 2 ** i);
const PAIR = ["Local", "Remote"] as const;

export const activePeers = gauge("etcd_network_active_peers", {
  help: "The current number of active peer connections.",
  labels: PAIR,
});
export const disconnectedPeers = counter("etcd_network_disconnected_peers_total", {
  help: "The total number of disconnected peers.",
  labels: PAIR,
});
export const sentBytes = counter("etcd_network_peer_sent_bytes_total", {
  help: "The total number of bytes sent to peers.",
  labels: ["To"],
});
export const receivedBytes = counter("etcd_network_peer_received_bytes_total", {
  help: "The total number of bytes received from peers.",
  labels: ["From"],
});
export const sentFailures = counter("etcd_network_peer_sent_failures_total", {
  help: "The total number of send failures from peers.",
  labels: ["To"],
});
export const receivedFailures = counter("etcd_network_peer_received_failures_total", {
  help: "The total number of receive failures from peers.",
  labels: ["From"],
});
export const snapshotsSent = counter("etcd_network_snapshot_send_success", {
  help: "Total number of successful snapshot sends",
  labels: ["To"],
});
export const snapshotsBeingSent = gauge("etcd_network_snapshot_send_inflights_total", {
  help: "Total number of inflight snapshot sends",
  labels: ["To"],
});
export const snapshotSendFailures = counter("etcd_network_snapshot_send_failures", {
  help: "Total number of snapshot send failures",
  labels: ["To"],
});
export const snapshotSendSeconds = histogram("etcd_network_snapshot_send_total_duration_seconds", {
  help: "Total latency distributions of v3 snapshot sends",
  labels: ["To"],
  buckets: doubling(0.1, 10),
});
export const snapshotsReceived = counter("etcd_network_snapshot_receive_success", {
  help: "Total number of successful snapshot receives",
  labels: ["From"],
});
export const snapshotsBeingReceived = gauge("etcd_network_snapshot_receive_inflights_total", {
  help: "Total number of inflight snapshot receives",
  labels: ["From"],
});
export const snapshotReceiveFailures = counter("etcd_network_snapshot_receive_failures", {
  help: "Total number of snapshot receive failures",
  labels: ["From"],
});
export const snapshotReceiveSeconds = histogram("etcd_network_snapshot_receive_total_duration_seconds", {
  help: "Total latency distributions of v3 snapshot receives",
  labels: ["From"],
  buckets: doubling(0.1, 10),
});
export const roundTripSeconds = histogram("etcd_network_peer_round_trip_time_seconds", {
  help: "Round-Trip-Time histogram between peers",
  labels: ["To"],
  buckets: doubling(0.0001, 16),
});
