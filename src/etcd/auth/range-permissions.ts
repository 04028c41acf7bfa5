/**
 * Which keys a user may read or write: the ranges of all the user's roles, as intervals. A range is permitted if they cover all of it, if need be
 * together.
 * Upstream: server/auth/range_perm_cache.go, pkg/adt/interval_tree.go
 */

/** From `begin` up to but without `end`; without an end: all from there on. Keys as in `mvcc/key-text.ts`. */
export interface Interval {
  readonly begin: string;
  readonly end: string | undefined;
}

/** The keys that a request or a permission means. One key is the interval up to its successor. */
export function intervalOf(key: string, rangeEnd: string): Interval {
  if (rangeEnd === "") return { begin: key, end: `${key}\0` };
  return { begin: key, end: rangeEnd === "\0" ? undefined : rangeEnd };
}

/** A permission on no key at all, or on keys in the wrong order, can't be granted. */
export function isValidPermissionRange(key: string, rangeEnd: string): boolean {
  return key !== "" && (rangeEnd === "" || rangeEnd === "\0" || key < rangeEnd);
}

export class RangePermissions {
  /** In order, with gaps between them. */
  readonly #merged: readonly Interval[];
  readonly #granted: readonly Interval[];

  constructor(granted: readonly Interval[]) {
    this.#granted = granted;
    this.#merged = merge(granted);
  }

  allows(key: string, rangeEnd: string): boolean {
    const { begin, end } = intervalOf(key, rangeEnd);
    // What asks for nothing is allowed where one grant goes around it, as upstream's tree has it.
    if (end !== undefined && end <= begin)
      return this.#granted.some((one) => one.begin < end && (one.end === undefined || begin < one.end));
    const around = this.#merged[lastBeginning(this.#merged, begin)];
    if (around === undefined) return false;
    return around.end === undefined || (end !== undefined && end <= around.end);
  }
}

function merge(granted: readonly Interval[]): readonly Interval[] {
  const sorted = granted
    .filter(({ begin, end }) => end === undefined || begin < end)
    .sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0));
  const merged: Interval[] = [];
  for (const one of sorted) {
    const last = merged.at(-1);
    if (last === undefined || (last.end !== undefined && last.end < one.begin)) merged.push(one);
    else if (last.end !== undefined && (one.end === undefined || last.end < one.end))
      merged[merged.length - 1] = { begin: last.begin, end: one.end };
  }
  return merged;
}

/** The last that begins at `key` or before it, or -1. */
function lastBeginning(intervals: readonly Interval[], key: string): number {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (intervals[middle]!.begin <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
