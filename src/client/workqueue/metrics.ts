/** What a workqueue counts. Upstream: staging/src/k8s.io/client-go/util/workqueue/metrics.go */
import { counter, gauge, histogram } from "../../observe/metrics.ts";

const buckets = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10];

export const depth = gauge("workqueue_depth", {
  help: "Current depth of workqueue by workqueue and priority",
  labels: ["name"],
});
export const adds = counter("workqueue_adds_total", {
  help: "Total number of adds handled by workqueue",
  labels: ["name"],
});
export const queueDuration = histogram("workqueue_queue_duration_seconds", {
  help: "How long in seconds an item stays in workqueue before being requested.",
  labels: ["name"],
  buckets,
});
export const workDuration = histogram("workqueue_work_duration_seconds", {
  help: "How long in seconds processing an item from workqueue takes.",
  labels: ["name"],
  buckets,
});
export const unfinishedWork = gauge("workqueue_unfinished_work_seconds", {
  help: "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
  labels: ["name"],
});
export const longestRunning = gauge("workqueue_longest_running_processor_seconds", {
  help: "How many seconds has the longest running processor for workqueue been running.",
  labels: ["name"],
});
export const retries = counter("workqueue_retries_total", {
  help: "Total number of retries handled by workqueue",
  labels: ["name"],
});
