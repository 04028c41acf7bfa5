/** Labels and annotations that the kubelet puts on pods, sandboxes and containers. Upstream: pkg/kubelet/types, pkg/kubelet/kuberuntime/labels.go */
export const POD_NAME = "io.kubernetes.pod.name";
export const POD_NAMESPACE = "io.kubernetes.pod.namespace";
export const POD_UID = "io.kubernetes.pod.uid";
export const CONTAINER_NAME = "io.kubernetes.container.name";

export const CONTAINER_HASH = "io.kubernetes.container.hash";
export const CONTAINER_RESTART_COUNT = "io.kubernetes.container.restartCount";
export const TERMINATION_MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath";
export const TERMINATION_MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy";
export const POD_DELETION_GRACE = "io.kubernetes.pod.deletionGracePeriod";
export const POD_TERMINATION_GRACE = "io.kubernetes.pod.terminationGracePeriod";
export const PRE_STOP_HANDLER = "io.kubernetes.container.preStopHandler";
export const CONTAINER_PORTS = "io.kubernetes.container.ports";

export const CONFIG_SOURCE = "kubernetes.io/config.source";
export const CONFIG_HASH = "kubernetes.io/config.hash";
export const CONFIG_SEEN = "kubernetes.io/config.seen";
export const CONFIG_MIRROR = "kubernetes.io/config.mirror";
