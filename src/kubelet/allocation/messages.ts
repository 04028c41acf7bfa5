/** What events say of a resize: the resources of all containers, as JSON. Upstream: pkg/kubelet/events/message.go */
import type { Container, Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import { canonicalJson } from "../../machinery/meta/hash.ts";
import { initContainers } from "../pod.ts";

export const resizeStarted = (pod: Pod, generation: number) => told("Pod resize started", pod, generation);
export const resizeCompleted = (pod: Pod, generation: number) => told("Pod resize completed", pod, generation);
export const resizeFailed = (pod: Pod, generation: number, error: string) =>
  told("Pod resize error", pod, generation, error);
export const resizePending = (pod: Pod, generation: number, reason: string, message: string) =>
  told(`Pod resize ${reason}`, pod, generation, message);

function told(prefix: string, pod: Pod, generation: number, error = ""): string {
  const inits = initContainers(pod).map(summary);
  const summaryOfPod = {
    ...(inits.length > 0 && { initContainers: inits }),
    ...(pod.spec.containers.length > 0 && { containers: pod.spec.containers.map(summary) }),
    generation,
    ...(error !== "" && { error }),
  };
  return `${prefix}: ${JSON.stringify(summaryOfPod)}`;
}

function summary({ name, resources }: Container) {
  return { name, resources: inOrder(resources ?? {}) };
}

/** Fields as they are declared, names of resources sorted. */
function inOrder({ claims, limits, requests }: ResourceRequirements) {
  const sorted = (list: object) => JSON.parse(canonicalJson(list)) as object;
  return {
    ...(limits && Object.keys(limits).length > 0 && { limits: sorted(limits) }),
    ...(requests && Object.keys(requests).length > 0 && { requests: sorted(requests) }),
    ...(claims && claims.length > 0 && { claims }),
  };
}
