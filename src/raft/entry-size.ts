/** The encoded size of entries, which limits count, and how many entries fit in a limit. Upstream: util.go */
import type { Entry } from "./types.ts";

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Bytes of one entry in protobuf: four fields whose tags take a byte each, absent ones none. */
export function encodedSize(entry: Entry): number {
  const length = entry.data.length;
  return (
    (entry.type === 0 ? 0 : 2) +
    1 +
    varintSize(entry.term) +
    1 +
    varintSize(entry.index) +
    (length === 0 ? 0 : 1 + varintSize(length) + length)
  );
}

export function encodedSizes(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += encodedSize(entries[i]!);
  return size;
}

/** Bytes of what was proposed. A leader's empty entries count nothing, so that no limit ever stops them. */
export function payloadSizes(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i]!.data.length;
  return size;
}

/** How many entries from position `from` up to and without `to` fit in `maxBytes`; one always does. */
export function countWithin(entries: readonly Entry[], from: number, to: number, maxBytes: number): number {
  if (from >= to) return 0;
  if (maxBytes === Infinity) return to - from;
  let size = encodedSize(entries[from]!);
  let i = from + 1;
  for (; i < to; i++) {
    size += encodedSize(entries[i]!);
    if (size > maxBytes) break;
  }
  return i - from;
}
