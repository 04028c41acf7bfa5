/**
 * Caches decoded header blocks by their bytes. Once a connection's table is warm, a client that repeats a request sends the same bytes, and a block
 * that adds nothing to the table keeps its meaning as long as no other block does.
 */
import type { HeaderDecoder } from "./hpack/decoder.ts";

const BLOCK_BYTES_MAX = 256;
const BLOCKS_MAX = 64;

export class HeadCache<T extends object> {
  readonly #decoder: HeaderDecoder;
  readonly #make: (list: readonly string[]) => T;
  readonly #heads = new Map<string, T>();
  #version = 0;

  constructor(decoder: HeaderDecoder, make: (list: readonly string[]) => T) {
    this.#decoder = decoder;
    this.#make = make;
  }

  /** Undefined for a list over the limits. */
  decode(buffer: Buffer, start: number, end: number): T | undefined {
    const decoder = this.#decoder;
    const { version } = decoder;
    if (this.#version !== version) {
      this.#heads.clear();
      this.#version = version;
    }
    const key = end - start <= BLOCK_BYTES_MAX ? buffer.toString("latin1", start, end) : undefined;
    const known = key === undefined ? undefined : this.#heads.get(key);
    if (known !== undefined) return known;
    const list = decoder.decode(buffer, start, end);
    if (list === undefined) return undefined;
    const head = this.#make(list);
    if (key !== undefined && decoder.version === version) {
      if (this.#heads.size >= BLOCKS_MAX) this.#heads.clear();
      this.#heads.set(key, head);
    }
    return head;
  }
}
