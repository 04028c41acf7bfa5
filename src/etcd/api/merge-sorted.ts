/** Merges sorted lists, a piece at a time; equal elements stay in the order of the lists. */
import { Heap } from "../../base/heap.ts";

interface Head<T> {
  readonly list: readonly T[];
  readonly number: number;
  at: number;
}

export function* mergeSorted<T>(
  lists: readonly (readonly T[])[],
  compare: (a: T, b: T) => number,
  wanted: number,
  piece: number,
): Generator<T[]> {
  const heads = new Heap<Head<T>>((a, b) => {
    const order = compare(a.list[a.at]!, b.list[b.at]!);
    return order === 0 ? a.number < b.number : order < 0;
  });
  for (const [number, list] of lists.entries()) if (list.length > 0) heads.push({ list, number, at: 0 });
  let merged: T[] = [];
  for (let count = 0; count < wanted; count++) {
    const head = heads.pop();
    if (head === undefined) break;
    merged.push(head.list[head.at++]!);
    if (head.at < head.list.length) heads.push(head);
    if (merged.length === piece) {
      yield merged;
      merged = [];
    }
  }
  if (merged.length > 0) yield merged;
}
