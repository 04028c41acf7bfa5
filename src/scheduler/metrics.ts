/** Upstream: pkg/scheduler/metrics/metrics.go */
import { counter, gauge, histogram } from "../observe/metrics.ts";

const exponential = (start: number, factor: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => start * factor ** i);

export const scheduleAttempts = counter("scheduler_schedule_attempts_total", {
  help: "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.",
  labels: ["result", "profile"],
  stability: "STABLE",
});
export const attemptDuration = histogram("scheduler_scheduling_attempt_duration_seconds", {
  help: "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
  labels: ["result", "profile"],
  stability: "STABLE",
  buckets: exponential(0.001, 2, 15),
});
export const algorithmDuration = histogram("scheduler_scheduling_algorithm_duration_seconds", {
  help: "Scheduling algorithm latency in seconds",
  buckets: exponential(0.001, 2, 15),
});
export const pendingPods = gauge("scheduler_pending_pods", {
  help: "Number of pending pods, by the queue type.",
  labels: ["queue"],
  stability: "STABLE",
});
export const queueIncomingPods = counter("scheduler_queue_incoming_pods_total", {
  help: "Number of pods added to scheduling queues by event and queue type.",
  labels: ["queue", "event"],
  stability: "STABLE",
});
export const schedulingAttempts = histogram("scheduler_pod_scheduling_attempts", {
  help: "Number of attempts to successfully schedule a pod.",
  stability: "STABLE",
  buckets: exponential(1, 2, 5),
});
export const schedulingSli = histogram("scheduler_pod_scheduling_sli_duration_seconds", {
  help: "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.",
  labels: ["attempts"],
  stability: "BETA",
  buckets: exponential(0.01, 2, 20),
});
export const scheduledAfterFlush = counter("scheduler_pod_scheduled_after_flush_total", {
  help: "Number of pods that were successfully scheduled after being flushed from unschedulablePods due to timeout.",
});
export const preemptionAttempts = counter("scheduler_preemption_attempts_total", {
  help: "Total preemption attempts in the cluster till now",
  stability: "STABLE",
});
export const preemptionVictims = histogram("scheduler_preemption_victims", {
  help: "Number of selected preemption victims",
  stability: "STABLE",
  buckets: exponential(1, 2, 7),
});
export const cacheSize = gauge("scheduler_cache_size", {
  help: "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
  labels: ["type"],
});
