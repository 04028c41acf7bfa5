/**
 * The history of one key as revisions: generations, each from a creation to the tombstone that ends it. The last generation is open, and
 * empty while the key is deleted.
 *
 * ```
 *   generations  {1, 3, 5(t)}  {8, 9}         get(4) = 3    get(6) = none    get(9) = 9
 *   compact(8)                 {8, 9}
 * ```
 *
 * Upstream: server/storage/mvcc/key_index.go
 */
import { assert } from "../../base/assert.ts";
import { isAfter, type Revision } from "./revision.ts";

export interface Generation {
  /** How many writes it had, tombstone included; compaction doesn't change it. */
  version: number;
  readonly created: Revision;
  revisions: Revision[];
}

/** What a key was at some revision. */
export interface Version {
  readonly modified: Revision;
  readonly created: Revision;
  readonly version: number;
}

const NONE: readonly Generation[] = [];

/** A list that grows by itself takes room for sixteen more at once. Most keys have one or two versions, and there are millions of keys. */
function appended(revisions: Revision[], revision: Revision): Revision[] {
  if (revisions.length < 4) return revisions.concat(revision);
  revisions.push(revision);
  return revisions;
}

export class KeyIndex {
  readonly key: string;
  #generations: readonly Generation[] = NONE;
  /** False between a tombstone and the next put. */
  #open = false;

  constructor(key: string) {
    this.key = key;
  }

  /** The key exists now. */
  get alive(): boolean {
    return this.#open;
  }

  put(revision: Revision): void {
    const last = this.#generations.at(-1);
    assert(
      last === undefined || isAfter(revision, last.revisions.at(-1)!),
      `key "${this.key}" was written out of order`,
    );
    if (this.#open) {
      last!.revisions = appended(last!.revisions, revision);
      last!.version++;
    } else {
      this.#begin({ version: 1, created: revision, revisions: [revision] });
      this.#open = true;
    }
  }

  /** Takes up a key whose older history compaction has dropped. */
  restore(created: Revision, modified: Revision, version: number): void {
    assert(this.#generations.length === 0 || !this.#open, `key "${this.key}" is restored over a living generation`);
    this.#begin({ version, created, revisions: [modified] });
    this.#open = true;
  }

  #begin(generation: Generation): void {
    this.#generations = this.#generations.length === 0 ? [generation] : this.#generations.concat(generation);
  }

  tombstone(revision: Revision): void {
    assert(this.#open, `key "${this.key}" is deleted twice`);
    const last = this.#generations.at(-1)!;
    last.revisions = appended(last.revisions, revision);
    last.version++;
    this.#open = false;
  }

  /** Takes up a tombstone whose generation compaction has dropped. */
  restoreTombstone(revision: Revision): void {
    if (this.#open) return this.tombstone(revision);
    this.#begin({ version: 1, created: revision, revisions: [revision] });
  }

  /** The last write while the key is alive. */
  latest(): Revision | undefined {
    return this.#open ? this.#generations.at(-1)!.revisions.at(-1) : undefined;
  }

  /** What the next put carries on from. */
  get openGeneration(): Generation | undefined {
    return this.#open ? this.#generations.at(-1) : undefined;
  }

  /** The last write at or before `at`, or nothing where the key didn't exist then. */
  get(at: number): Version | undefined {
    for (let g = this.#generations.length - 1; g >= 0; g--) {
      const { created, revisions, version } = this.#generations[g]!;
      const last = revisions.length - 1;
      const ended = g < this.#generations.length - 1 || !this.#open;
      if (ended && revisions[last]!.main <= at) return undefined;
      for (let i = last; i >= 0; i--)
        if (revisions[i]!.main <= at) return { modified: revisions[i]!, created, version: version - (last - i) };
    }
    return undefined;
  }

  /** Drops what no reader at `at` or later needs, and tells each dropped revision. True when nothing is left of the key. */
  compact(at: number, dropped: (revision: Revision) => void): boolean {
    const first = this.#generationAt(at);
    for (let g = 0; g < first; g++) this.#generations[g]!.revisions.forEach(dropped);
    if (first > 0) this.#generations = this.#generations.slice(first);
    const generation = this.#generations[0];
    if (generation === undefined) return true;
    const kept = lastAtOrBefore(generation.revisions, at);
    if (kept > 0) generation.revisions.splice(0, kept).forEach(dropped);
    return false;
  }

  /** Drops all but the newest writes, and tells each dropped revision. True when nothing is left of the key. */
  keepNewest(count: number, dropped: (revision: Revision) => void): boolean {
    let left = count;
    for (let g = this.#generations.length - 1; g >= 0; g--) {
      const generation = this.#generations[g]!;
      const over = generation.revisions.length - left;
      left = Math.max(0, -over);
      if (over > 0) generation.revisions.splice(0, over).forEach(dropped);
    }
    const isEnded = (g: number) => g < this.#generations.length - 1 || !this.#open;
    // What has only its end left is nothing that anyone could read; its tombstone goes with it.
    const kept = this.#generations.filter(({ revisions }, g) => {
      if (revisions.length > 1 || (revisions.length === 1 && !isEnded(g))) return true;
      revisions.forEach(dropped);
      return false;
    });
    if (kept.length < this.#generations.length) this.#generations = kept;
    return kept.length === 0;
  }

  /** The one revision at or before `at` that a reader of the compacted store at `at` can meet. A tombstone is none. */
  keep(at: number): Revision | undefined {
    const g = this.#generationAt(at);
    const generation = this.#generations[g];
    if (generation === undefined) return undefined;
    const kept = lastAtOrBefore(generation.revisions, at);
    const ended = g < this.#generations.length - 1 || !this.#open;
    return kept === -1 || (ended && kept === generation.revisions.length - 1) ? undefined : generation.revisions[kept];
  }

  /** The first generation that lives at `at` or later. A tombstone at exactly `at` counts: a watch from there still wants it. */
  #generationAt(at: number): number {
    let g = 0;
    for (; g < this.#generations.length; g++) {
      const ended = g < this.#generations.length - 1 || !this.#open;
      if (!ended || this.#generations[g]!.revisions.at(-1)!.main >= at) break;
    }
    return g;
  }
}

function lastAtOrBefore(revisions: readonly Revision[], at: number): number {
  let i = revisions.length - 1;
  while (i >= 0 && revisions[i]!.main > at) i--;
  return i;
}
