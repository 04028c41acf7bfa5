/** Entries in key order, in chunks: an insertion or removal moves at most a thousand others, however many there are. */
import type { Entry } from "./entry.ts";

const PIECE_MAX = 1024;

export class SortedEntries implements Iterable<Entry> {
  /** None is empty, and each has only keys before the next one's. */
  #pieces: Entry[][] = [];
  #size = 0;

  /** From entries that are in order already. */
  static of(entries: readonly Entry[]): SortedEntries {
    const sorted = new SortedEntries();
    for (let at = 0; at < entries.length; at += PIECE_MAX / 2)
      sorted.#pieces.push(entries.slice(at, at + PIECE_MAX / 2));
    sorted.#size = entries.length;
    return sorted;
  }

  get size(): number {
    return this.#size;
  }

  *[Symbol.iterator](): Generator<Entry> {
    for (const piece of this.#pieces) yield* piece;
  }

  /** Takes the place of the one with its key, if there is one. */
  set(entry: Entry): void {
    const { key } = entry;
    const number = this.#pieceOf(key);
    if (number < 0) {
      this.#pieces.push([entry]);
      this.#size++;
      return;
    }
    const piece = this.#pieces[number]!;
    const at = lowerBound(piece, key);
    if (piece[at]?.key === key) {
      piece[at] = entry;
      return;
    }
    this.#size++;
    if (at === piece.length) piece.push(entry);
    else piece.splice(at, 0, entry);
    if (piece.length <= PIECE_MAX) return;
    // Keys that come in order leave full pieces behind.
    const half = at === piece.length - 1 ? piece.length - 1 : piece.length >> 1;
    this.#pieces.splice(number + 1, 0, piece.splice(half));
  }

  delete(key: string): void {
    const number = this.#pieceOf(key);
    if (number < 0) return;
    const piece = this.#pieces[number]!;
    const at = lowerBound(piece, key);
    if (piece[at]?.key !== key) return;
    this.#size--;
    if (piece.length > 1) piece.splice(at, 1);
    else this.#pieces.splice(number, 1);
  }

  /** Those whose keys begin with `prefix` and aren't before `start`, `limit` at most. */
  withPrefix(prefix: string, limit = Number.POSITIVE_INFINITY, start = prefix): Entry[] {
    const found: Entry[] = [];
    let [number, at] = this.#find(start);
    for (; number < this.#pieces.length && found.length < limit; number++, at = 0) {
      const piece = this.#pieces[number]!;
      const whole = at === 0 && piece.at(-1)!.key.startsWith(prefix);
      for (; at < piece.length && found.length < limit; at++) {
        if (!whole && !piece[at]!.key.startsWith(prefix)) return found;
        found.push(piece[at]!);
      }
    }
    return found;
  }

  /** How many begin with `prefix` and aren't before `start`. */
  count(prefix: string, start = prefix): number {
    const [number, at] = this.#find(start);
    let count = 0;
    for (let i = number; i < this.#pieces.length; i++) {
      const piece = this.#pieces[i]!;
      const from = i === number ? at : 0;
      if (piece.at(-1)!.key.startsWith(prefix)) {
        count += piece.length - from;
        continue;
      }
      for (let j = from; j < piece.length && piece[j]!.key.startsWith(prefix); j++) count++;
      break;
    }
    return count;
  }

  /** Where the first key is that isn't before `key`. */
  #find(key: string): [piece: number, at: number] {
    const number = Math.max(0, this.#pieceOf(key));
    const piece = this.#pieces[number];
    if (piece === undefined) return [number, 0];
    const at = lowerBound(piece, key);
    return at < piece.length ? [number, at] : [number + 1, 0];
  }

  /** The piece that a key belongs to: the last that begins at or before it; the first, if all begin later; -1 where there is none. */
  #pieceOf(key: string): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pieces[middle]![0]!.key <= key) low = middle + 1;
      else high = middle;
    }
    return this.#pieces.length === 0 ? -1 : Math.max(0, low - 1);
  }
}

function lowerBound(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
