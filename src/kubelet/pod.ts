/** Questions about a pod's spec that many parts of the kubelet ask. Pure. Upstream: pkg/api/v1/pod, pkg/kubelet/types/pod_update.go */
import type { Container, EphemeralContainer, Pod } from "../api/generated/core.v1.ts";
import { CONFIG_MIRROR, CONFIG_SOURCE } from "./keys.ts";

export type ContainerType = "regular" | "init" | "ephemeral";
export type AnyContainer = Container | EphemeralContainer;
/** A pod as its maker or a manifest gives it: everything but the status is there. */
export type PodSource = "api" | "file" | "http";

export const initContainers = (pod: Pod): readonly Container[] => pod.spec.initContainers ?? [];
export const ephemeralContainers = (pod: Pod): readonly EphemeralContainer[] => pod.spec.ephemeralContainers ?? [];

export function* allContainers(
  pod: Pod,
): Generator<{ readonly container: AnyContainer; readonly type: ContainerType }> {
  for (const container of initContainers(pod)) yield { container, type: "init" };
  for (const container of pod.spec.containers) yield { container, type: "regular" };
  for (const container of ephemeralContainers(pod)) yield { container, type: "ephemeral" };
}

export function findContainer(pod: Pod, name: string) {
  for (const found of allContainers(pod)) if (found.container.name === name) return found;
  return undefined;
}

/** The field path that container events carry. */
export function fieldPath(type: ContainerType, name: string): string {
  const list = type === "init" ? "initContainers" : type === "ephemeral" ? "ephemeralContainers" : "containers";
  return `spec.${list}{${name}}`;
}

function sourceOf(pod: Pod): PodSource {
  const source = pod.metadata.annotations?.[CONFIG_SOURCE];
  return source === "file" || source === "http" ? source : "api";
}
/** From a manifest: it exists on this node only, and the API server sees its mirror. */
export const isStatic = (pod: Pod): boolean => sourceOf(pod) !== "api";
export const isMirror = (pod: Pod): boolean => pod.metadata.annotations?.[CONFIG_MIRROR] !== undefined;

export const isNodeCritical = (pod: Pod): boolean => (pod.spec.priority ?? 0) >= 2_000_001_000;

/** Never evicted: static, a mirror, or of the priority of the system's own. */
export const isCritical = (pod: Pod): boolean =>
  isStatic(pod) || isMirror(pod) || (pod.spec.priority ?? 0) >= 2_000_000_000;

export const isTerminalPhase = (phase: string | undefined): boolean => phase === "Failed" || phase === "Succeeded";
export const restartPolicyOf = (pod: Pod): string => pod.spec.restartPolicy ?? "Always";

/** Seconds that a pod is given to stop when nobody says otherwise. */
export const graceOf = (pod: Pod): number =>
  pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
