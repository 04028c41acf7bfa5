/**
 * The history of one key as revisions: generations, each from a creation to the tombstone that ends it. The last generation is open while the
 * key lives.
 *
 * ```
 *   generations  {1, 3, 5(t)}  {8, 9}         get(4) = 3    get(6) = none    get(9) = 9
 *   compact(8)                 {8, 9}
 * ```
 *
 * There are millions of keys, and most have one version: the last write is in the object itself, and those before it, where there are any, are
 * numbers in one list. A generation needs no object of its own, it ends where a tombstone is.
 *
 * Upstream: server/storage/mvcc/key_index.go
 */
import { assert } from "../../base/assert.ts";
import type { Revision } from "./revision.ts";

/** Told of a write that is dropped. */
export type Dropped = (main: number, sub: number, isTombstone: boolean) => void;

export class KeyIndex implements Revision {
  readonly key: string;
  #main = -1;
  #sub = 0;
  #created = 0;
  #version = 0;
  /** Writes before the last one, oldest first: of each its main revision, and twice its sub revision, one more for a tombstone. */
  #past: number[] | undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** The last write, be it a tombstone. */
  get main(): number {
    return this.#main;
  }
  get sub(): number {
    return this.#sub;
  }
  /** When the key that lives was created. */
  get created(): number {
    return this.#created;
  }
  /** How many writes it had since then, of whatever compaction has dropped, too; 0 while the key is deleted. */
  get version(): number {
    return this.#version;
  }
  /** The key exists now. */
  get alive(): boolean {
    return this.#version > 0;
  }
  get #isEmpty(): boolean {
    return this.#main === -1;
  }

  put(main: number, sub: number): void {
    if (this.#version === 0) this.#created = main;
    this.#write(main, sub, this.#version + 1);
  }

  /** Takes up a key whose older history compaction has dropped. */
  restore(main: number, sub: number, created: number, version: number): void {
    assert(!this.alive, `key "${this.key}" is restored over a living generation`);
    this.#created = created;
    this.#write(main, sub, version);
  }

  tombstone(main: number, sub: number): void {
    assert(this.alive, `key "${this.key}" is deleted twice`);
    this.#write(main, sub, 0);
  }

  /** Takes up a tombstone; compaction may have dropped all of its generation but that. */
  restoreTombstone(main: number, sub: number): void {
    this.#write(main, sub, 0);
  }

  #write(main: number, sub: number, version: number): void {
    assert(main > this.#main || (main === this.#main && sub > this.#sub), `key "${this.key}" was written out of order`);
    if (!this.#isEmpty) {
      const mark = 2 * this.#sub + (this.#version === 0 ? 1 : 0);
      // A list that grows by itself takes room for sixteen more at once.
      if (this.#past === undefined) this.#past = [this.#main, mark];
      else if (this.#past.length < 8) this.#past = this.#past.concat(this.#main, mark);
      else this.#past.push(this.#main, mark);
    }
    this.#main = main;
    this.#sub = sub;
    this.#version = version;
  }

  /** The last write at or before `at`, or nothing where the key didn't exist then. */
  get(at: number): Revision | undefined {
    if (this.#main <= at) return this.alive ? this : undefined;
    const past = this.#past;
    const i = this.#pastAt(at);
    if (past === undefined || i === -1 || isTombstone(past[i + 1]!)) return undefined;
    return { main: past[i]!, sub: past[i + 1]! >> 1 };
  }

  /** Drops what no reader at `at` or later needs, and tells each dropped revision. True when nothing is left of the key. */
  compact(at: number, dropped: Dropped): boolean {
    if (this.#main <= at) {
      this.#dropPast(this.#past?.length ?? 0, dropped);
      // A tombstone at exactly `at` counts: a watch from there still wants it.
      if (this.alive || this.#isEmpty || this.#main === at) return this.#isEmpty;
      dropped(this.#main, this.#sub, true);
      return true;
    }
    const i = this.#pastAt(at);
    if (i === -1) return false;
    const isOver = isTombstone(this.#past![i + 1]!) && this.#past![i]! < at;
    this.#dropPast(isOver ? i + 2 : i, dropped);
    return false;
  }

  /** Drops all but the newest writes, and tells each dropped revision. True when nothing is left of the key. */
  keepNewest(count: number, dropped: Dropped): boolean {
    assert(count > 0, "a key keeps its last version");
    const past = this.#past ?? [];
    let over = Math.max(0, past.length - 2 * (count - 1));
    // What has only its end left is nothing that anyone could read; its tombstone goes with it.
    if (over < past.length && isTombstone(past[over + 1]!)) over += 2;
    this.#dropPast(over, dropped);
    if (this.alive || this.#isEmpty || this.#past !== undefined) return this.#isEmpty;
    dropped(this.#main, this.#sub, true);
    return true;
  }

  /** Where in the past the last write at or before `at` is; -1 where there is none. */
  #pastAt(at: number): number {
    const past = this.#past;
    let i = past === undefined ? -2 : past.length - 2;
    while (i >= 0 && past![i]! > at) i -= 2;
    return Math.max(-1, i);
  }

  #dropPast(length: number, dropped: Dropped): void {
    const past = this.#past;
    if (past === undefined || length === 0) return;
    for (let i = 0; i < length; i += 2) dropped(past[i]!, past[i + 1]! >> 1, isTombstone(past[i + 1]!));
    this.#past = length === past.length ? undefined : past.slice(length);
  }
}

function isTombstone(mark: number): boolean {
  return (mark & 1) === 1;
}
