/** A backend without a file: rows by revision, in arrays. */
import { SortedMap } from "../base/sorted-map.ts";
import type { Backend, Bucket, BucketName, KeyValue } from "../etcd/backend/backend.ts";

/** Main revisions are dense until compaction thins them out, so they index arrays directly; an emptied array goes as a whole. */
const CHUNK_BITS = 10;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

/** What one transaction wrote: a lone row (nearly always), or rows by sub revision, with holes where compaction took some. */
type Slot = KeyValue | (KeyValue | undefined)[] | undefined;

interface Chunk {
  readonly slots: Slot[];
  rows: number;
}

/** What a row costs beside its bytes, about as in a file of pages. */
const ROW_OVERHEAD_BYTES = 64;

export class MemoryBackend implements Backend {
  /** By `main >> CHUNK_BITS`, in ascending order because revisions only grow. */
  readonly #chunks = new Map<number, Chunk>();
  #sizeBytes = 0;
  readonly #buckets = new Map<BucketName, Bucket>();

  bucket(name: BucketName): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) this.#buckets.set(name, (bucket = memoryBucket()));
    return bucket;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  readonly hasRowsOnDisk = false;
  readonly hasFailed = false;

  get inUseBytes(): number {
    return this.#sizeBytes;
  }

  put(given: KeyValue, sub: number): void {
    const row = { ...given, key: Buffer.from(given.key), value: Buffer.from(given.value) };
    const number = Math.floor(row.mod_revision / (CHUNK_MASK + 1));
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) this.#chunks.set(number, (chunk = { slots: [], rows: 0 }));
    const at = row.mod_revision % (CHUNK_MASK + 1);
    while (chunk.slots.length < at) chunk.slots.push(undefined); // Holes would make the array slow for good.
    const slot = chunk.slots[at];
    if (slot === undefined && sub === 0) chunk.slots[at] = row;
    else {
      const rows = Array.isArray(slot) ? slot : [slot];
      while (rows.length < sub) rows.push(undefined);
      rows[sub] = row;
      chunk.slots[at] = rows;
    }
    chunk.rows++;
    this.#sizeBytes += sizeOf(row);
  }

  get(main: number, sub: number): KeyValue | undefined {
    const slot = this.#chunks.get(Math.floor(main / (CHUNK_MASK + 1)))?.slots[main % (CHUNK_MASK + 1)];
    return Array.isArray(slot) ? slot[sub] : sub === 0 ? slot : undefined;
  }

  delete(main: number, sub: number): void {
    const number = Math.floor(main / (CHUNK_MASK + 1));
    const chunk = this.#chunks.get(number);
    const at = main % (CHUNK_MASK + 1);
    const slot = chunk?.slots[at];
    const row = Array.isArray(slot) ? slot[sub] : slot;
    if (chunk === undefined || row === undefined) return;
    if (Array.isArray(slot)) slot[sub] = undefined;
    else chunk.slots[at] = undefined;
    this.#sizeBytes -= sizeOf(row);
    if (--chunk.rows === 0) this.#chunks.delete(number);
  }

  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): void {
    const last = Math.floor(to / (CHUNK_MASK + 1));
    const first = Math.floor(from / (CHUNK_MASK + 1));
    // After much compaction few chunks are left between the ends; before it, stepping through the numbers is the shorter way.
    const numbers =
      last - first < this.#chunks.size
        ? Array.from({ length: last - first + 1 }, (_, i) => first + i)
        : [...this.#chunks.keys()].filter((number) => number >= first && number <= last).sort((a, b) => a - b);
    for (const number of numbers) {
      const slots = this.#chunks.get(number)?.slots;
      if (slots === undefined) continue;
      const base = number * (CHUNK_MASK + 1);
      const end = Math.min(slots.length - 1, to - base);
      for (let i = Math.max(0, from - base); i <= end; i++) {
        const slot = slots[i];
        if (slot === undefined) continue;
        if (!Array.isArray(slot)) {
          if (visit(slot, 0) === false) return;
        } else
          for (let sub = 0; sub < slot.length; sub++) {
            const row = slot[sub];
            if (row !== undefined && visit(row, sub) === false) return;
          }
      }
    }
  }
}

function memoryBucket(): Bucket {
  const entries = new SortedMap<Uint8Array>();
  return {
    get: (key) => entries.get(key),
    put: (key, value) => void entries.set(key, value),
    delete: (key) => void entries.delete(key),
    forEach: (visit) => entries.forEach("", undefined, (value, key) => visit(key, value)),
  };
}

function sizeOf(row: KeyValue): number {
  return row.key.length + row.value.length + ROW_OVERHEAD_BYTES;
}
