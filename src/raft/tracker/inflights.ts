/** The append messages in flight to one follower: a ring that bounds them by number and by bytes. Upstream: tracker/inflights.go */
import { assert } from "../../base/assert.ts";

export class Inflights {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  /** Last index and bytes of each message, in two rings that grow together up to `#maxCount`. */
  #indexes = new Float64Array(0);
  #sizes = new Float64Array(0);
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count === this.#maxCount || this.#bytes >= this.#maxBytes;
  }

  /** Notes that a message went out whose last entry is `index`. Indexes come in rising order. */
  add(index: number, bytes: number): void {
    assert(!this.full, "cannot add into a Full inflights");
    if (this.#count === this.#indexes.length) this.#grow();
    const position = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[position] = index;
    this.#sizes[position] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** The follower has everything up to and with `index`: what carried it is no longer under way. */
  freeTo(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count--;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Most followers never need the whole ring, so it doubles as it fills. */
  #grow(): void {
    const size = this.#indexes.length;
    const indexes = new Float64Array(Math.min(Math.max(size * 2, 1), this.#maxCount));
    const sizes = new Float64Array(indexes.length);
    for (let i = 0; i < this.#count; i++) {
      indexes[i] = this.#indexes[(this.#start + i) % size]!;
      sizes[i] = this.#sizes[(this.#start + i) % size]!;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
