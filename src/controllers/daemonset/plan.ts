/** Which nodes run a DaemonSet's pod, and what to change. Pure. Upstream: pkg/controller/daemon/{daemon_controller,update}.go, util/daemonset_util.go */
import type { DaemonSet, DaemonSetStatus } from "../../api/generated/apps.v1.ts";
import type { Node, Pod, PodSpec, PodTemplateSpec, Toleration } from "../../api/generated/core.v1.ts";
import { admitsNode } from "../../api/core/v1/node/affinity.ts";
import { scaledValue } from "../shared/percent.ts";
import { isAvailable, isDeleting, isFinished, isReady } from "../shared/pods.ts";
import { toleratesTaint } from "../../api/core/v1/node/taints.ts";

export const HASH_LABEL = "controller-revision-hash";
const GENERATION_LABEL = "pod-template-generation";
const GENERATION_ANNOTATION = "deprecated.daemonset.template.generation";
export const BURST = 250;

const AUTO_TOLERATIONS: readonly (readonly [string, string])[] = [
  ["node.kubernetes.io/not-ready", "NoExecute"],
  ["node.kubernetes.io/unreachable", "NoExecute"],
  ["node.kubernetes.io/disk-pressure", "NoSchedule"],
  ["node.kubernetes.io/memory-pressure", "NoSchedule"],
  ["node.kubernetes.io/pid-pressure", "NoSchedule"],
  ["node.kubernetes.io/unschedulable", "NoSchedule"],
];

/** The template as a pod for `nodeName`, with what daemons put up with. */
export function templateFor(set: DaemonSet, nodeName: string, hash: string): PodTemplateSpec {
  const { template } = set.spec;
  const generation = set.metadata.annotations?.[GENERATION_ANNOTATION];
  const term = { matchFields: [{ key: "metadata.name", operator: "In", values: [nodeName] }] };
  const spec: PodSpec = {
    ...template.spec!,
    tolerations: tolerationsOf(template.spec!),
    affinity: {
      ...template.spec!.affinity,
      nodeAffinity: {
        ...template.spec!.affinity?.nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
      },
    },
  };
  const labels = {
    ...template.metadata?.labels,
    [HASH_LABEL]: hash,
    ...(generation !== undefined && { [GENERATION_LABEL]: generation }),
  };
  return { ...template, metadata: { ...template.metadata!, labels }, spec };
}

function tolerationsOf({ tolerations = [], hostNetwork }: PodSpec): readonly Toleration[] {
  const auto = hostNetwork
    ? [...AUTO_TOLERATIONS, ["node.kubernetes.io/network-unavailable", "NoSchedule"] as const]
    : AUTO_TOLERATIONS;
  const missing = auto.filter(
    ([key, effect]) =>
      !tolerations.some((each) => each.key === key && each.effect === effect && each.operator === "Exists"),
  );
  return [...tolerations, ...missing.map(([key, effect]) => ({ key, operator: "Exists", effect }))];
}

/** `run`: a pod belongs there; `stay`: one that is there may stay. */
export function placement(set: DaemonSet, node: Node): { readonly run: boolean; readonly stay: boolean } {
  const spec = set.spec.template.spec!;
  if (spec.nodeName !== undefined && spec.nodeName !== "" && spec.nodeName !== node.metadata.name)
    return { run: false, stay: false };
  if (!admitsNode(spec, node)) return { run: false, stay: false };
  const tolerations = tolerationsOf(spec);
  const untolerated = (node.spec.taints ?? []).filter(
    (taint) => taint.effect !== "PreferNoSchedule" && !toleratesTaint(tolerations, taint),
  );
  if (untolerated.length === 0) return { run: true, stay: true };
  return { run: false, stay: !untolerated.some(({ effect }) => effect === "NoExecute") };
}

/** The node that a pod is or will be on. */
function targetNode({ spec }: Pod): string | undefined {
  if (spec.nodeName !== undefined && spec.nodeName !== "") return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms)
    for (const { key, operator, values = [] } of matchFields)
      if (key === "metadata.name" && operator === "In" && values.length === 1) return values[0];
  return undefined;
}

export function podsByNode(pods: readonly Pod[]): ReadonlyMap<string, readonly Pod[]> {
  const result = new Map<string, Pod[]>();
  for (const pod of pods) {
    if (isFinished(pod) && isDeleting(pod)) continue;
    const node = targetNode(pod);
    if (node === undefined) continue;
    result.set(node, [...(result.get(node) ?? []), pod]);
  }
  return result;
}

/** Assigned first, then the oldest. */
function keepFirst(a: Pod, b: Pod): number {
  const assigned = ({ spec }: Pod) => ((spec.nodeName ?? "") === "" ? 1 : 0);
  return (
    assigned(a) - assigned(b) ||
    compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
    compare(a.metadata.name, b.metadata.name)
  );
}
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export interface Input {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  readonly byNode: ReadonlyMap<string, readonly Pod[]>;
  readonly hash: string;
  readonly now: number;
}
export interface Plan {
  /** Nodes that get a pod. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  /** Of those deleted, the ones that ended and will be replaced. */
  readonly failed: readonly { readonly pod: Pod; readonly node: string }[];
  readonly succeeded: readonly { readonly pod: Pod; readonly node: string }[];
}

/** One pod on each node that should have one, none elsewhere. */
export function planPods({ set, nodes, byNode, hash, now }: Input): Plan {
  const create: string[] = [];
  const remove: Pod[] = [];
  const failed: { pod: Pod; node: string }[] = [];
  const succeeded: { pod: Pod; node: string }[] = [];
  const surge = maxSurge(set, set.status?.desiredNumberScheduled ?? 0) > 0;
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  for (const node of nodes) {
    const { name } = node.metadata;
    const pods = byNode.get(name) ?? [];
    const { run, stay } = placement(set, node);
    if (run && pods.length === 0) {
      create.push(name);
      continue;
    }
    if (!stay) {
      remove.push(...pods.filter((pod) => !isDeleting(pod)));
      continue;
    }
    const running: Pod[] = [];
    for (const pod of pods) {
      if (isDeleting(pod)) continue;
      if (pod.status.phase === "Failed") failed.push({ pod, node: name });
      else if (pod.status.phase === "Succeeded") succeeded.push({ pod, node: name });
      else running.push(pod);
    }
    running.sort(keepFirst);
    if (!surge) {
      remove.push(...running.slice(1));
      continue;
    }
    if (
      running.length === 0 &&
      run &&
      failed.every((each) => each.node !== name) &&
      succeeded.every((each) => each.node !== name)
    ) {
      create.push(name);
      continue;
    }
    const [newest, ...newRest] = running.filter((pod) => isUpdated(set, pod, hash));
    const [oldest, ...oldRest] = running.filter((pod) => !isUpdated(set, pod, hash));
    remove.push(...newRest, ...oldRest);
    if (newest !== undefined && oldest !== undefined && (!isReady(oldest) || isAvailable(newest, minReadySeconds, now)))
      remove.push(oldest);
  }
  // Pods that wait for nodes that are no more.
  const known = new Set(nodes.map(({ metadata }) => metadata.name));
  for (const [node, pods] of byNode)
    if (!known.has(node)) remove.push(...pods.filter((pod) => (pod.spec.nodeName ?? "") === "" && !isDeleting(pod)));
  return { create, delete: remove, failed, succeeded };
}

function isUpdated(set: DaemonSet, { metadata }: Pod, hash: string): boolean {
  const generation = set.metadata.annotations?.[GENERATION_ANNOTATION];
  const labels = metadata.labels ?? {};
  return labels[HASH_LABEL] === hash || (generation !== undefined && labels[GENERATION_LABEL] === generation);
}

export function maxSurge({ spec }: DaemonSet, desired: number): number {
  if (spec.updateStrategy.type !== "RollingUpdate") return 0;
  return scaledValue(spec.updateStrategy.rollingUpdate?.maxSurge, desired, "up");
}

export function maxUnavailable(set: DaemonSet, desired: number): number {
  const { type, rollingUpdate } = set.spec.updateStrategy;
  if (type !== "RollingUpdate") return 0;
  const value = scaledValue(rollingUpdate?.maxUnavailable ?? 1, desired, "up");
  return value === 0 && maxSurge(set, desired) === 0 && desired > 0 ? 1 : value;
}

/** The next old pods to go, or new ones to come beside them. */
export function planRolling({ set, nodes, byNode, hash, now }: Input): Pick<Plan, "create" | "delete"> {
  const wanted = nodes.filter((node) => placement(set, node).run);
  const desired = wanted.length;
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const available = (pod: Pod) => isAvailable(pod, minReadySeconds, now);
  const surge = maxSurge(set, desired);
  const split = (pods: readonly Pod[]) => {
    const live = pods.filter((pod) => !isDeleting(pod) && !isFinished(pod));
    return {
      old: live.filter((pod) => !isUpdated(set, pod, hash)),
      new: live.filter((pod) => isUpdated(set, pod, hash)),
    };
  };

  if (surge === 0) {
    const limit = maxUnavailable(set, desired);
    let unavailable = 0;
    const replaceable: Pod[] = [];
    const candidates: Pod[] = [];
    for (const node of wanted) {
      const { old, new: fresh } = split(byNode.get(node.metadata.name) ?? []);
      if (
        old.length > 1 ||
        fresh.length > 1 ||
        (old.length === 0 && fresh.length === 0) ||
        (old.length > 0 && fresh.length > 0)
      )
        unavailable++;
      else if (fresh[0] !== undefined) unavailable += available(fresh[0]) ? 0 : 1;
      else if (!available(old[0]!)) {
        // A pod that doesn't work is no loss.
        unavailable++;
        replaceable.push(old[0]!);
      } else candidates.push(old[0]!);
    }
    return { create: [], delete: [...replaceable, ...candidates.slice(0, Math.max(0, limit - unavailable))] };
  }

  let surging = 0;
  const create: string[] = [];
  const candidates: string[] = [];
  const remove: Pod[] = [];
  for (const node of wanted) {
    const { name } = node.metadata;
    const { old, new: fresh } = split(byNode.get(name) ?? []);
    const [oldPod] = old;
    const [newPod] = fresh;
    if (oldPod === undefined) continue;
    if (newPod === undefined) (available(oldPod) ? candidates : create).push(name);
    else if (available(newPod)) remove.push(oldPod);
    else surging++;
  }
  return { create: [...create, ...candidates.slice(0, Math.max(0, surge - surging))], delete: remove };
}

export function statusOf({ set, nodes, byNode, hash, now }: Input, updateGeneration: boolean): DaemonSetStatus {
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  let desired = 0;
  let current = 0;
  let misscheduled = 0;
  let ready = 0;
  let available = 0;
  let updated = 0;
  for (const node of nodes) {
    const [pod] = [...(byNode.get(node.metadata.name) ?? [])].sort(keepFirst);
    if (!placement(set, node).run) {
      if (pod !== undefined) misscheduled++;
      continue;
    }
    desired++;
    if (pod === undefined) continue;
    current++;
    if (isReady(pod)) ready++;
    if (isAvailable(pod, minReadySeconds, now)) available++;
    if (isUpdated(set, pod, hash)) updated++;
  }
  return {
    ...set.status,
    desiredNumberScheduled: desired,
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    numberReady: ready,
    numberAvailable: available,
    numberUnavailable: desired - available,
    updatedNumberScheduled: updated,
    observedGeneration: updateGeneration ? (set.metadata.generation ?? 0) : (set.status?.observedGeneration ?? 0),
  };
}
