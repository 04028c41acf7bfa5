/** What a Deployment notes on its ReplicaSets, and which of its own notes they share. Upstream: pkg/controller/deployment/util/deployment_util.go */
import type { Deployment, ReplicaSet } from "../../api/generated/apps.v1.ts";

export const REVISION = "deployment.kubernetes.io/revision";
const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";
export const ROLLBACK_TO = "deprecated.deployment.rollback.to";

/** Each object has its own of these. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  ROLLBACK_TO,
]);
const HISTORY_MAX = 2000;

/** Of 64 bits: whoever writes the annotation may begin anywhere. */
export const revisionOf = ({ metadata }: ReplicaSet): bigint => revisionIn(metadata.annotations?.[REVISION]);

const revisionIn = (text = ""): bigint => (/^-?\d+$/.test(text) ? BigInt(text) : 0n);

export function maxRevision(sets: readonly ReplicaSet[]): bigint {
  return sets.map(revisionOf).reduce((most, revision) => (revision > most ? revision : most), 0n);
}

export function numberIn(set: ReplicaSet, annotation: string): number | undefined {
  const text = set.metadata.annotations?.[annotation];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** The annotations that `set` has as the Deployment's newest one at `revision`. Values are overwritten, never taken away. */
export function annotationsForNew(
  deployment: Deployment,
  set: Pick<ReplicaSet, "metadata"> | undefined,
  revision: bigint,
): Readonly<Record<string, string>> {
  const result: Record<string, string> = { ...set?.metadata.annotations };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!NOT_COPIED.has(name)) result[name] = value;
  const old = result[REVISION];
  if (revisionIn(old) < revision) {
    result[REVISION] = String(revision);
    // The set comes back from an earlier life: its former number goes on record.
    if (old !== undefined) result[REVISION_HISTORY] = historyWith(result[REVISION_HISTORY], old);
  }
  return result;
}

function historyWith(history: string | undefined, revision: string): string {
  if (history === undefined || history === "") return revision;
  const list = history.split(",");
  list.push(revision);
  while (list.join(",").length > HISTORY_MAX && list.length > 1) list.shift();
  return list.join(",");
}

/** A ReplicaSet's annotations as the Deployment gets them back in a rollback. */
export function annotationsForRollback(deployment: Deployment, set: ReplicaSet): Readonly<Record<string, string>> {
  const own = Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => NOT_COPIED.has(name));
  const theirs = Object.entries(set.metadata.annotations ?? {}).filter(([name]) => !NOT_COPIED.has(name));
  return Object.fromEntries([...own, ...theirs]);
}
