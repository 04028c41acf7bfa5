/** The progress of a namespace's deletion, as conditions in upstream's words. Pure. Upstream: pkg/controller/namespace/deletion */
import type { Namespace, NamespaceCondition, NamespaceStatus, Pod } from "../../api/generated/core.v1.ts";
import { isFinished } from "../shared/pods.ts";

export interface Remaining {
  /** `pods.` or `deployments.apps`: resource, dot, group. */
  readonly resource: string;
  readonly count: number;
  readonly finalizers: ReadonlyMap<string, number>;
}

export interface Findings {
  readonly discoveryError?: string;
  readonly contentErrors: readonly string[];
  readonly remaining: readonly Remaining[];
}

/** What content with finalizers and no date of its own is expected to take. */
const FINALIZER_ESTIMATE_SECONDS = 15;

/** Seconds until the pods should be gone. */
export function estimateOfPods(pods: readonly Pod[], nowMs: number): number {
  let most = 0;
  for (const pod of pods) {
    if (isFinished(pod)) continue;
    const grace = pod.spec.terminationGracePeriodSeconds ?? 0;
    const deletedAt = pod.metadata.deletionTimestamp;
    // Overdue: no estimate helps, whoever holds it must be asked.
    if (deletedAt !== undefined && nowMs - Date.parse(deletedAt) > grace * 1000) continue;
    most = Math.max(most, grace);
  }
  return most;
}

export function estimateOf({ count, finalizers }: Remaining): number {
  return count > 0 && finalizers.size > 0 ? FINALIZER_ESTIMATE_SECONDS : 0;
}

export function nextLookMs(estimateSeconds: number): number {
  return (Math.floor(estimateSeconds / 2) + 1) * 1000;
}

export function statusOf(
  namespace: Namespace,
  { discoveryError, contentErrors, remaining }: Findings,
  now: string,
): NamespaceStatus {
  const counts = [...remaining]
    .filter(({ count }) => count > 0)
    .map(({ resource, count }) => `${resource} has ${count} resource instances`)
    .sort();
  const totals = new Map<string, number>();
  for (const { finalizers } of remaining)
    for (const [finalizer, count] of finalizers) totals.set(finalizer, (totals.get(finalizer) ?? 0) + count);
  const holders = [...totals].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`).sort();

  const found: readonly [string, boolean, string, string][] = [
    [
      "NamespaceDeletionDiscoveryFailure",
      discoveryError !== undefined,
      discoveryError === undefined ? "ResourcesDiscovered" : "DiscoveryFailed",
      discoveryError ?? "All resources successfully discovered",
    ],
    [
      "NamespaceDeletionGroupVersionParsingFailure",
      false,
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ],
    [
      "NamespaceDeletionContentFailure",
      contentErrors.length > 0,
      contentErrors.length > 0 ? "ContentDeletionFailed" : "ContentDeleted",
      contentErrors.length > 0
        ? `Failed to delete all resource types, ${contentErrors.length} remaining: ${[...contentErrors].sort().join(", ")}`
        : "All content successfully deleted, may be waiting on finalization",
    ],
    [
      "NamespaceContentRemaining",
      counts.length > 0,
      counts.length > 0 ? "SomeResourcesRemain" : "ContentRemoved",
      counts.length > 0 ? `Some resources are remaining: ${counts.join(", ")}` : "All content successfully removed",
    ],
    [
      "NamespaceFinalizersRemaining",
      holders.length > 0,
      holders.length > 0 ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
      holders.length > 0
        ? `Some content in the namespace has finalizers remaining: ${holders.join(", ")}`
        : "All content-preserving finalizers finished",
    ],
  ];
  const old = namespace.status?.conditions ?? [];
  const conditions = found.map(([type, holds, reason, message]): NamespaceCondition => {
    const status = holds ? "True" : "False";
    const current = old.find((condition) => condition.type === type);
    if (current?.status === status && current.reason === reason && current.message === message) return current;
    const since = current?.status === status ? (current.lastTransitionTime ?? now) : now;
    return { type, status, lastTransitionTime: since, reason, message };
  });
  const others = old.filter(({ type }) => !found.some(([known]) => known === type));
  return { ...namespace.status, phase: "Terminating", conditions: [...others, ...conditions] };
}
