/** A pod's conditions. Pure. Upstream: pkg/kubelet/status/generate.go */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { ContainerStatus, Pod, PodCondition } from "../../api/generated/core.v1.ts";
import { isResizeCondition } from "../allocation/conditions.ts";
import { initContainers } from "../pod.ts";

export interface ConditionInput {
  readonly pod: Pod;
  readonly phase: string;
  readonly previous: readonly PodCondition[];
  readonly containerStatuses: readonly ContainerStatus[];
  readonly initContainerStatuses: readonly ContainerStatus[];
  readonly sandboxReady: boolean;
  /** A regular container has started once. */
  readonly started: boolean;
  /** Of a resize, and of an eviction. */
  readonly told: readonly PodCondition[];
  readonly now: string;
}

type Verdict = { readonly status: "True" | "False"; readonly reason?: string; readonly message?: string };

const OWNED = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] as const;

export function isOwnedCondition(type: string): boolean {
  return (OWNED as readonly string[]).includes(type) || type === "DisruptionTarget" || isResizeCondition(type);
}

/** Conditions that others set come first and stay as they are. */
export function conditionsOf(input: ConditionInput): readonly PodCondition[] {
  const containersReady = containersReadyCondition(input);
  const verdicts: Readonly<Record<(typeof OWNED)[number], Verdict>> = {
    PodReadyToStartContainers: { status: input.sandboxReady ? "True" : "False" },
    Initialized: initializedCondition(input),
    Ready: readyCondition(input, containersReady),
    ContainersReady: containersReady,
    PodScheduled: { status: "True" },
  };
  const foreign = input.previous.filter(
    ({ type }) =>
      !(OWNED as readonly string[]).includes(type) &&
      !isResizeCondition(type) &&
      !input.told.some((condition) => condition.type === type),
  );
  const generation = input.pod.metadata.generation;
  return [
    ...foreign,
    ...input.told,
    ...OWNED.map((type) => {
      const verdict = verdicts[type];
      const old = input.previous.find((condition) => condition.type === type);
      const lastTransitionTime =
        old?.status === verdict.status && old.lastTransitionTime !== undefined ? old.lastTransitionTime : input.now;
      return {
        type,
        ...(generation !== undefined && { observedGeneration: generation }),
        ...verdict,
        lastProbeTime: null as unknown as string, // Always null on the wire.
        lastTransitionTime,
      };
    }),
  ];
}

function initializedCondition({ pod, phase, initContainerStatuses, started }: ConditionInput): Verdict {
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of initContainers(pod)) {
    const status = initContainerStatuses.find(({ name }) => name === container.name);
    if (status === undefined) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : !status.ready) incomplete.push(container.name);
  }
  if (phase === "Succeeded" && unknown.length === 0) return { status: "True", reason: "PodCompleted" };
  if (started) return { status: "True" };
  const message = describe(unknown, incomplete, "incomplete");
  return message === "" ? { status: "True" } : { status: "False", reason: "ContainersNotInitialized", message };
}

function containersReadyCondition({ pod, phase, containerStatuses, initContainerStatuses }: ConditionInput): Verdict {
  const unknown: string[] = [];
  const unready: string[] = [];
  const statuses = [...initContainerStatuses, ...containerStatuses];
  for (const container of [...initContainers(pod).filter(isSidecar), ...pod.spec.containers]) {
    const status = statuses.find(({ name }) => name === container.name);
    if (status === undefined) unknown.push(container.name);
    else if (!status.ready) unready.push(container.name);
  }
  if (unknown.length === 0 && phase === "Succeeded") return { status: "False", reason: "PodCompleted" };
  if (unknown.length === 0 && phase === "Failed") return { status: "False", reason: "PodFailed" };
  const message = describe(unknown, unready, "unready");
  return message === "" ? { status: "True" } : { status: "False", reason: "ContainersNotReady", message };
}

function readyCondition({ pod, previous }: ConditionInput, containersReady: Verdict): Verdict {
  if (containersReady.status !== "True") return containersReady;
  const messages: string[] = [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const found =
      previous.find(({ type }) => type === conditionType) ??
      pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (found === undefined)
      messages.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (found.status !== "True")
      messages.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`);
  }
  if (messages.length === 0) return { status: "True" };
  return { status: "False", reason: "ReadinessGatesNotReady", message: messages.join(", ") };
}

function describe(unknown: readonly string[], other: readonly string[], word: string): string {
  const parts: string[] = [];
  if (unknown.length > 0) parts.push(`containers with unknown status: [${unknown.join(" ")}]`);
  if (other.length > 0) parts.push(`containers with ${word} status: [${other.join(" ")}]`);
  return parts.join(", ");
}
