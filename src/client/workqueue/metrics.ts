/** The metrics of a work queue. Upstream: staging/src/k8s.io/client-go/util/workqueue/metrics.go */
import { counter, gauge, histogram } from "../../observe/metrics.ts";

/** Ten times the one before, as Go multiplies: that isn't always the number one would write. */
const buckets = [1e-8];
for (let bound = 1e-8; buckets.length < 10;) buckets.push((bound *= 10));

export const depth = gauge("workqueue_depth", {
  help: "Current depth of workqueue",
  labels: ["name"],
  stability: "BETA",
});
export const adds = counter("workqueue_adds_total", {
  help: "Total number of adds handled by workqueue",
  labels: ["name"],
  stability: "BETA",
});
export const queueDuration = histogram("workqueue_queue_duration_seconds", {
  help: "How long in seconds an item stays in workqueue before being requested.",
  labels: ["name"],
  stability: "BETA",
  buckets,
});
export const workDuration = histogram("workqueue_work_duration_seconds", {
  help: "How long in seconds processing an item from workqueue takes.",
  labels: ["name"],
  stability: "BETA",
  buckets,
});
export const unfinishedWork = gauge("workqueue_unfinished_work_seconds", {
  help: "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.",
  labels: ["name"],
  stability: "BETA",
});
export const longestRunning = gauge("workqueue_longest_running_processor_seconds", {
  help: "How many seconds has the longest running processor for workqueue been running.",
  labels: ["name"],
  stability: "BETA",
});
export const retries = counter("workqueue_retries_total", {
  help: "Total number of retries handled by workqueue",
  labels: ["name"],
  stability: "BETA",
});
