/**
 * Synchronous gzip, one piece at a time: each piece is compressed independently of the others, so that no thread is needed and a piece that was
 * compressed before can be used again.
 */
import { constants, crc32, deflateRawSync } from "node:zlib";

/** As Go's: no name, no time, an unknown system. */
const HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255]);

/** A flush ends on a whole byte, and what follows may be another stream's blocks. */
export const FLUSHED = { level: 1, finishFlush: constants.Z_FULL_FLUSH } as const;
const LAST = { level: 1, finishFlush: constants.Z_FINISH } as const;

export class GzipWriter {
  #crc = 0;
  #bytes = 0;
  #hasBegun = false;

  /** `packed`: the piece as somebody has compressed it already, with `FLUSHED`; not the last one. */
  write(piece: Uint8Array, isLast: boolean, packed?: Uint8Array): Uint8Array {
    this.#crc = crc32(piece, this.#crc);
    this.#bytes += piece.length;
    const parts: Uint8Array[] = [packed ?? deflateRawSync(piece, isLast ? LAST : FLUSHED)];
    if (!this.#hasBegun) parts.unshift(HEAD);
    this.#hasBegun = true;
    if (isLast) {
      const end = Buffer.alloc(8);
      end.writeUInt32LE(this.#crc);
      end.writeUInt32LE(this.#bytes % 2 ** 32, 4);
      parts.push(end);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}
