/**
 * Shares the encoded bytes of a long list among clients that read the same list at the same time: a hundred clients that list ten thousand pods get
 * the same pieces, which are also compressed only once. The pieces are dropped when the last of these clients is done.
 */
import { deflateRawSync } from "node:zlib";
import { FLUSHED } from "./gzip.ts";
import type { JsonList } from "./list-parts.ts";

/** Of a long answer, what is put together; no more than what is never compressed. */
export const PIECE_BYTES = 128 * 1024;
/** More of one list isn't kept for others: a reader who is slow makes the rest for himself. */
const SHARED_MAX_BYTES = 64 * 1024 * 1024;

/** Some items of a list, up to the one before `to`. */
class Piece {
  readonly bytes: Buffer;
  readonly to: number;
  #packed: Buffer | undefined;

  constructor(bytes: Buffer, to: number) {
    this.bytes = bytes;
    this.to = to;
  }

  /** Compressed, as a part of a stream that goes on. */
  get packed(): Buffer {
    return (this.#packed ??= deflateRawSync(this.bytes, FLUSHED));
  }
}

export function pieceOf(list: JsonList, from: number): Piece {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let at = from;
  while (at < list.count && bytes <= PIECE_BYTES) {
    const first = list.before(at);
    const item = list.item(at++);
    parts.push(first, item);
    bytes += first.length + item.length;
  }
  return new Piece(Buffer.concat(parts, bytes), at);
}

class SharedList {
  readonly #list: JsonList;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  readers = 0;

  constructor(list: JsonList) {
    this.#list = list;
  }

  piece(number: number, from: number): Piece {
    const known = this.#pieces[number];
    if (known !== undefined) return known;
    const piece = pieceOf(this.#list, from);
    if (number === this.#pieces.length && this.#bytes < SHARED_MAX_BYTES) {
      this.#pieces.push(piece);
      this.#bytes += piece.bytes.length;
    }
    return piece;
  }
}

/** A list that is read piece by piece, until it is disposed of. */
export interface Reading extends Disposable {
  /** The piece of that number, which begins with the item `from`. */
  piece(number: number, from: number): Piece;
}

export class SharedLists {
  /** By the state that was listed. */
  readonly #byState = new Map<object, Map<string, SharedList>>();

  /** Two lists of the same state and key have the same items. */
  read(state: object, key: string, list: JsonList): Reading {
    let byKey = this.#byState.get(state);
    if (byKey === undefined) this.#byState.set(state, (byKey = new Map()));
    let shared = byKey.get(key);
    if (shared === undefined) byKey.set(key, (shared = new SharedList(list)));
    const [lists, mine] = [byKey, shared];
    mine.readers++;
    return {
      piece: (number, from) => mine.piece(number, from),
      [Symbol.dispose]: () => {
        if (--mine.readers > 0) return;
        lists.delete(key);
        if (lists.size === 0) this.#byState.delete(state);
      },
    };
  }

  /** How many lists are being read. */
  get size(): number {
    return this.#byState.size;
  }
}
