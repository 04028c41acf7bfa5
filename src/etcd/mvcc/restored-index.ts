/** The key index as it comes back from rows in order of revision, and which keys hang on leases. A store takes it over as a whole. */
import { SortedMap } from "../../base/sorted-map.ts";
import type { KeyValue } from "../backend/backend.ts";
import { KeyIndex } from "./key-index.ts";
import type { Revision } from "./revision.ts";

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
    const revision: Revision = { main: row.main, sub: row.sub };
    let index = this.keys.get(text);
    if (index === undefined) this.keys.set(text, (index = new KeyIndex(text)));
    const before = index.alive;
    if (row.version === 0) index.restoreTombstone(revision);
    else if (index.openGeneration !== undefined || row.version === 1) index.put(revision);
    else index.restore({ main: row.created, sub: 0 }, revision, row.version);
    if (index.alive !== before) this.keys.reweigh(text, index.alive ? 1 : -1);
    if (row.lease !== 0n) this.leases.set(text, row.lease);
    else if (this.leases.size > 0) this.leases.delete(text);
  }
}

/** Weighed by life: the weight of a range is how many keys it has now. */
export function emptyIndex(): SortedMap<KeyIndex> {
  return new SortedMap<KeyIndex>((key) => (key.alive ? 1 : 0));
}

export function restoredRow({ mod_revision, create_revision, version, lease }: KeyValue, sub: number): RestoredRow {
  return { main: mod_revision, sub, created: create_revision, version, lease };
}
