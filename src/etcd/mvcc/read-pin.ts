/**
 * Pins a revision that is read over several turns. Compaction, and the removal of surplus versions, go on meanwhile; rows that they delete and that
 * the reader has not reached yet are set aside for it. So the reader does not have to start again, and they do not have to wait.
 */
import { SortedMap } from "../../base/sorted-map.ts";
import type { KeyValue } from "../backend/backend.ts";
import { keyText } from "./key-text.ts";

export class ReadPin implements Disposable {
  readonly revision: number;
  /** The range ends before this key; undefined where it takes in all. */
  readonly end: string | undefined;
  readonly #laidAside = new SortedMap<KeyValue>();
  readonly #letGo: (pin: ReadPin) => void;
  /** Keys before this one have been read. */
  #next: string;

  constructor(revision: number, from: string, end: string | undefined, letGo: (pin: ReadPin) => void) {
    this.revision = revision;
    this.end = end;
    this.#next = from;
    this.#letGo = letGo;
  }

  get next(): string {
    return this.#next;
  }

  /** Whether what is dropped of a key may be missed. */
  awaits(key: string): boolean {
    return key >= this.#next && (this.end === undefined || key < this.end);
  }

  /** The bytes of a row that is about to go may be a page's. */
  layAside(row: KeyValue): void {
    this.#laidAside.set(keyText(row.key), { ...row, key: Buffer.from(row.key), value: Buffer.from(row.value) });
  }

  /** Goes on to `next`, or to the end; gives what was laid aside before that, in the order of keys. */
  advance(next: string | undefined): KeyValue[] {
    const rows: KeyValue[] = [];
    if (this.#laidAside.size > 0) this.#laidAside.forEach(this.#next, next, (row) => void rows.push(row));
    if (next !== undefined) this.#next = next;
    return rows;
  }

  [Symbol.dispose](): void {
    this.#letGo(this);
  }
}
