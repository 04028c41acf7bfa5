/** Builds a key index, and the attachment of keys to leases, from rows in the order of their revisions. A store takes it over as a whole. */
import { SortedMap } from "../../base/sorted-map.ts";
import { KeyIndex } from "./key-index.ts";

/** What the index wants to know of a row. */
export interface RestoredRow {
  readonly main: number;
  readonly sub: number;
  readonly created: number;
  /** 0 for a tombstone. */
  readonly version: number;
  readonly lease: bigint;
}

export class RestoredIndex {
  readonly keys = emptyIndex();
  readonly leases = new Map<string, bigint>();

  add(text: string, row: RestoredRow): void {
    const index = this.keys.get(text);
    if (index === undefined) {
      const made = new KeyIndex(text);
      take(made, row);
      this.keys.set(text, made); // Weighed as it is by now.
    } else {
      const before = index.alive;
      take(index, row);
      if (index.alive !== before) this.keys.reweigh(text, index.alive ? 1 : -1);
    }
    if (row.lease !== 0n) this.leases.set(text, row.lease);
    else if (this.leases.size > 0) this.leases.delete(text);
  }
}

function take(index: KeyIndex, { main, sub, created, version }: RestoredRow): void {
  if (version === 0) index.restoreTombstone(main, sub);
  else if (index.alive || version === 1) index.put(main, sub);
  else index.restore(main, sub, created, version);
}

/** Weighed by life: the weight of a range is how many keys it has now. */
export function emptyIndex(): SortedMap<KeyIndex> {
  return new SortedMap<KeyIndex>((key) => (key.alive ? 1 : 0));
}
