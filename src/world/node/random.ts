/** The system's randomness. */
import { randomFillSync } from "node:crypto";
import type { Random } from "../world.ts";

const POOL_BYTES = 4096;

/** Cryptographically strong, drawn from the system in blocks: a single small draw costs 50 times as much. */
export function nodeRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  const take = (length: number): number => {
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    used += length;
    return used - length;
  };
  return {
    next() {
      const at = take(8);
      return ((pool.readUInt32LE(at) >>> 5) * 2 ** 26 + (pool.readUInt32LE(at + 4) >>> 6)) / 2 ** 53;
    },
    bytes(length) {
      if (length > POOL_BYTES / 4) return randomFillSync(new Uint8Array(length));
      const at = take(length);
      const drawn = new Uint8Array(length);
      drawn.set(pool.subarray(at, at + length));
      pool.fill(0, at, at + length); // What was handed out may be a secret: it is kept nowhere else.
      return drawn;
    },
    fork: () => nodeRandom(),
  };
}
