/** The strategic merge patch from one pod status to another. Pure. Upstream: pkg/util/pod/pod.go PatchPodStatus */
import type { PodStatus } from "../../api/generated/core.v1.ts";

/** Lists that merge by a key; all others are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = { conditions: "type", podIPs: "ip", hostIPs: "ip" };

export function statusPatch(uid: string, before: PodStatus, after: PodStatus): unknown {
  const patch: Record<string, unknown> = {};
  const from = before as Record<string, unknown>;
  const to = after as Record<string, unknown>;
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (same(from[key], to[key])) continue;
    const mergeKey = MERGE_KEYS[key];
    if (to[key] === undefined) patch[key] = null;
    else if (mergeKey === undefined || !Array.isArray(from[key])) patch[key] = to[key];
    else Object.assign(patch, mergedList(key, mergeKey, from[key] as Item[], to[key] as Item[]));
  }
  return { metadata: { uid }, status: patch };
}

type Item = Readonly<Record<string, unknown>>;

function mergedList(key: string, mergeKey: string, before: readonly Item[], after: readonly Item[]) {
  const changed = after.filter((item) => !before.some((old) => same(old, item)));
  const gone = before
    .filter((old) => !after.some((item) => item[mergeKey] === old[mergeKey]))
    .map((old) => ({ [mergeKey]: old[mergeKey], $patch: "delete" }));
  const emptied = changed.map((item) => {
    const old = before.find((each) => each[mergeKey] === item[mergeKey]) ?? {};
    const removed = Object.keys(old).filter((name) => item[name] === undefined);
    return { ...item, ...Object.fromEntries(removed.map((name) => [name, null])) };
  });
  return {
    [`$setElementOrder/${key}`]: after.map((item) => ({ [mergeKey]: item[mergeKey] })),
    [key]: [...emptied, ...gone],
  };
}

/** Deep equality that takes null and absent for the same, as the API does for times. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b || (a ?? undefined) === (b ?? undefined)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
    if (!same(left[key], right[key])) return false;
  return true;
}
