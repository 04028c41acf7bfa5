/** Metrics of the kubelet, under upstream's names. Upstream: pkg/kubelet/metrics/metrics.go */
import { counter, gauge, histogram } from "../observe/metrics.ts";

export const METRICS = {
  admissionRejections: counter<"reason">("kubelet_admission_rejections_total", {
    help: "Cumulative number pod admission rejections by the Kubelet.",
    labels: ["reason"],
  }),
  runningPods: gauge("kubelet_running_pods", { help: "Number of pods that have a running pod sandbox" }),
  runningContainers: gauge<"container_state">("kubelet_running_containers", {
    help: "Number of containers currently running",
    labels: ["container_state"],
  }),
  desiredPods: gauge<"static">("kubelet_desired_pods", {
    help: "The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.",
    labels: ["static"],
  }),
  nodeName: gauge<"node">("kubelet_node_name", { help: "The node's name. The count is always 1.", labels: ["node"] }),
  evictions: counter<"eviction_signal">("kubelet_evictions", {
    help: "Cumulative number of pod evictions by eviction signal",
    labels: ["eviction_signal"],
  }),
  requestedResizes: counter<"resource" | "requirement" | "operation">("kubelet_container_requested_resizes_total", {
    help: "Number of requested resizes, counted at the container level. Different resources on the same container are counted separately. The 'requirement' label refers to 'memory' or 'limits'; the 'operation' label can be one of 'add', 'remove', 'increase' or 'decrease'.",
    labels: ["resource", "requirement", "operation"],
  }),
  resizeDuration: histogram<"success">("kubelet_pod_resize_duration_milliseconds", {
    help: "Duration in milliseconds to actuate a pod resize",
    labels: ["success"],
    buckets: [10, 50, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000],
  }),
  pendingResizes: gauge<"reason">("kubelet_pod_pending_resizes", {
    help: "Number of pending resizes for pods.",
    labels: ["reason"],
  }),
  inProgressResizes: gauge("kubelet_pod_in_progress_resizes", { help: "Number of in-progress resizes for pods." }),
  deferredAcceptedResizes: counter<"retry_trigger">("kubelet_pod_deferred_accepted_resizes_total", {
    help: "Cumulative number of resizes that were accepted after being deferred.",
    labels: ["retry_trigger"],
  }),
} as const;
