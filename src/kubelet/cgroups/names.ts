/** The paths of pods' cgroups, for the cgroupfs driver. Pure. Upstream: pkg/kubelet/cm/cgroup_manager_linux.go */
import { type QosClass } from "../../api/core/v1/pod/resources.ts";

/** `/kubepods`, or below a root of the node's own where several nodes share a machine. */
export function kubepodsPath(cgroupRoot: string): string {
  return `${cgroupRoot === "/" ? "" : cgroupRoot}/kubepods`;
}

export function qosPath(cgroupRoot: string, qos: QosClass): string {
  const kubepods = kubepodsPath(cgroupRoot);
  return qos === "Guaranteed" ? kubepods : `${kubepods}/${qos.toLowerCase()}`;
}

export function podCgroupPath(cgroupRoot: string, qos: QosClass, uid: string): string {
  return `${qosPath(cgroupRoot, qos)}/pod${uid}`;
}
