/** Metrics of the kubelet, under upstream's names. Upstream: pkg/kubelet/metrics/metrics.go */
import { counter, gauge } from "../observe/metrics.ts";

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
} as const;
