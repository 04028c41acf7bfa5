/**
 * The content of a simulated file, and what of it would survive a loss of power. Pages that nobody wrote are holes full of zeros, so that
 * a log of 64 MB that was only allocated costs nothing; a sync costs as much as was written since the last one.
 */
import type { Random } from "../../world/world.ts";

const PAGE = 4096;
/** A disk writes these whole or not at all. */
const SECTOR = 512;

const ZEROS = Buffer.alloc(PAGE);

export class SparseFile {
  #length = 0;
  readonly #pages = new Map<number, Uint8Array>();
  /** What the disk has where it differs from `#pages`: the page as it was at the last sync, undefined for a hole. */
  readonly #unsynced = new Map<number, Uint8Array | undefined>();
  #durableLength = 0;

  static of(content: Uint8Array): SparseFile {
    const file = new SparseFile();
    file.write(0, content, false);
    return file;
  }

  get length(): number {
    return this.#length;
  }

  read(position: number, length: number): Uint8Array {
    const end = Math.min(position + length, this.#length);
    const result = new Uint8Array(Math.max(0, end - position));
    for (let at = position; at < end;) {
      const within = at % PAGE;
      const count = Math.min(PAGE - within, end - at);
      const page = this.#pages.get((at - within) / PAGE);
      if (page !== undefined) result.set(page.subarray(within, within + count), at - position);
      at += count;
    }
    return result;
  }

  /** `durable` bytes are on disk at once (O_DSYNC), and no more than these. */
  write(position: number, data: Uint8Array, durable: boolean): void {
    const end = position + data.length;
    for (let at = position; at < end;) {
      const within = at % PAGE;
      const count = Math.min(PAGE - within, end - at);
      const number = (at - within) / PAGE;
      const bytes = data.subarray(at - position, at - position + count);
      at += count;
      // Zeros over a hole that the disk has as a hole, too: nothing changes, now or after a loss of power.
      if (count === PAGE && !this.#pages.has(number) && !this.#unsynced.has(number) && ZEROS.equals(bytes)) continue;
      if (!durable) this.#keep(number);
      else if (this.#unsynced.has(number)) {
        let kept = this.#unsynced.get(number);
        if (kept === undefined) this.#unsynced.set(number, (kept = new Uint8Array(PAGE)));
        kept.set(bytes, within);
      }
      let page = this.#pages.get(number);
      if (page === undefined) this.#pages.set(number, (page = new Uint8Array(PAGE)));
      page.set(bytes, within);
    }
    this.#length = Math.max(this.#length, end);
    if (durable) this.#durableLength = Math.max(this.#durableLength, end);
  }

  truncate(length: number): void {
    if (length < this.#length) {
      const within = length % PAGE;
      const first = (length - within) / PAGE;
      for (const number of this.#pages.keys()) {
        if (number < first) continue;
        this.#keep(number);
        if (number === first && within > 0) this.#pages.get(number)!.fill(0, within);
        else this.#pages.delete(number);
      }
    }
    this.#length = length;
  }

  sync(): void {
    this.#unsynced.clear();
    this.#durableLength = this.#length;
  }

  /** Power is gone: of what was not synced, nothing, everything, or any sectors are there afterwards. */
  lose(random: Random): void {
    if (this.#unsynced.size === 0 && this.#length === this.#durableLength) return;
    const mood = random.next();
    const survives = mood < 0.4 ? () => false : mood < 0.6 ? () => true : () => random.next() < 0.5;
    for (const number of [...this.#unsynced.keys()].sort((a, b) => a - b)) {
      const kept = this.#unsynced.get(number);
      const page = this.#pages.get(number) ?? new Uint8Array(PAGE);
      for (let at = 0; at < PAGE; at += SECTOR) {
        if (survives()) continue;
        if (kept === undefined) page.fill(0, at, at + SECTOR);
        else page.set(kept.subarray(at, at + SECTOR), at);
      }
      this.#pages.set(number, page);
    }
    const part = mood < 0.4 ? 0 : mood < 0.6 ? 1 : random.next();
    this.#length = this.#durableLength + Math.round((this.#length - this.#durableLength) * part);
    for (const number of this.#pages.keys()) if (number * PAGE >= this.#length) this.#pages.delete(number);
    this.sync();
  }

  #keep(number: number): void {
    if (!this.#unsynced.has(number)) this.#unsynced.set(number, this.#pages.get(number)?.slice());
  }
}
