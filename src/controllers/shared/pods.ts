/** Questions about pods that all workload controllers ask. Upstream: pkg/controller/controller_utils.go, pkg/api/v1/pod */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { controllerOf, type KubeObject } from "../../machinery/meta/object.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";
import type { Informer } from "../../client/informer/informer.ts";

export const isFinished = ({ status }: Pod) => status.phase === "Succeeded" || status.phase === "Failed";
export const isDeleting = ({ metadata }: KubeObject) => metadata.deletionTimestamp !== undefined;
export const isActive = (pod: Pod) => !isFinished(pod) && !isDeleting(pod);
export const isTerminating = (pod: Pod) => isDeleting(pod) && !isFinished(pod);

export function isReady(pod: Pod): boolean {
  return conditionOf(pod.status, "Ready")?.status === "True";
}

/** Ms until the pod has been ready for long enough; 0 when it has, undefined while it isn't ready. */
function availableInMs(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const ready = conditionOf(pod.status, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  if (ready.lastTransitionTime === undefined) return minReadySeconds * 1000;
  return Math.max(0, Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 - now);
}

export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  return availableInMs(pod, minReadySeconds, now) === 0;
}

/** When to look again because a ready pod becomes available; undefined when none is waiting. */
export function nextAvailabilityMs(pods: readonly Pod[], minReadySeconds: number, now: number): number | undefined {
  const waits = pods.map((pod) => availableInMs(pod, minReadySeconds, now)).filter((ms) => ms !== undefined && ms > 0);
  return waits.length === 0 ? undefined : Math.min(...(waits as number[]));
}

/** The index of objects by who controls them: `ns/Kind/name/uid`, or `ns` alone for those without a controller. */
const BY_CONTROLLER = "controller";

export function addControllerIndex<T extends KubeObject>(informer: Informer<T>): void {
  informer.addIndex(BY_CONTROLLER, (object) => {
    const owner = controllerOf(object);
    const namespace = object.metadata.namespace ?? "";
    return [owner === undefined ? namespace : controllerIndexKey(namespace, owner)];
  });
}

function controllerIndexKey(
  namespace: string,
  { kind, name, uid }: Pick<OwnerReference, "kind" | "name" | "uid">,
): string {
  return `${namespace}/${kind}/${name}/${uid}`;
}

/** Objects that `owner` controls and those in its namespace that nobody does. */
export function ownedAndOrphaned<T extends KubeObject>(informer: Informer<T>, owner: KubeObject): readonly T[] {
  return [...ownedBy(informer, owner), ...informer.byIndex(BY_CONTROLLER, owner.metadata.namespace ?? "")];
}

export function ownedBy<T extends KubeObject>(informer: Informer<T>, owner: KubeObject): readonly T[] {
  const { namespace = "", name, uid } = owner.metadata;
  return informer.byIndex(BY_CONTROLLER, controllerIndexKey(namespace, { kind: owner.kind, name, uid }));
}

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

export interface DeletionContext {
  readonly now: number;
  /** How many siblings run on the pod's node; more are lost first. */
  rank(pod: Pod): number;
}

/** Sorts pods so that those whose loss costs least come first. */
export function compareForReplicaSetDeletion(context: DeletionContext): (a: Pod, b: Pod) => number {
  return (a, b) =>
    assigned(a) - assigned(b) ||
    phase(a) - phase(b) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    context.rank(b) - context.rank(a) ||
    (isReady(a) && isReady(b) ? compareLogAge(readySince(a), readySince(b), a, b, context.now) : 0) ||
    restarts(b) - restarts(a) ||
    compareLogAge(
      Date.parse(a.metadata.creationTimestamp),
      Date.parse(b.metadata.creationTimestamp),
      a,
      b,
      context.now,
    );
}

/** As above without cost, rank and buckets: for Jobs. */
export function compareForDeletion(a: Pod, b: Pod): number {
  return (
    assigned(a) - assigned(b) ||
    phase(a) - phase(b) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    (isReady(a) && isReady(b) ? newerFirst(readySince(a), readySince(b)) : 0) ||
    restarts(b) - restarts(a) ||
    newerFirst(Date.parse(a.metadata.creationTimestamp), Date.parse(b.metadata.creationTimestamp))
  );
}

const assigned = ({ spec }: Pod) => (spec.nodeName === undefined || spec.nodeName === "" ? 0 : 1);
const phase = ({ status }: Pod) => PHASES[status.phase ?? ""] ?? 0;
const readySince = (pod: Pod) => Date.parse(conditionOf(pod.status, "Ready")?.lastTransitionTime ?? "");

function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"];
  if (text === undefined || !/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return cost >= -(2 ** 31) && cost < 2 ** 31 ? cost : 0;
}

function restarts({ spec, status }: Pod): number {
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const all = [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ];
  return all.reduce((most, { restartCount }) => Math.max(most, restartCount ?? 0), 0);
}

/** Unknown times come first. */
function newerFirst(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return b - a;
}

/** Of two ages only the power of two counts, so that the choice among pods of one rollout is by chance and not by age. */
function compareLogAge(a: number, b: number, podA: Pod, podB: Pod, now: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  if (a === b) return 0;
  const bucketA = logBucket(now - a);
  const bucketB = logBucket(now - b);
  if (bucketA !== bucketB) return bucketA - bucketB;
  return podA.metadata.uid < podB.metadata.uid ? -1 : podA.metadata.uid > podB.metadata.uid ? 1 : 0;
}

function logBucket(ageMs: number): number {
  return ageMs <= 0 ? -1 : Math.floor(Math.log2(ageMs * 1e6));
}
