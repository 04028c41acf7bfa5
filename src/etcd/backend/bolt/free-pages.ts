/**
 * The free pages of a file, as a bitmap. The lowest free page is taken first, so that the file stays as short as possible.
 *
 * A page that a transaction releases still belongs to older states: it becomes free when the next transaction begins and no reader uses such a state
 * any more.
 */
import { assert } from "../../../base/assert.ts";

export class FreePages {
  #bits = new Uint32Array(1024);
  #count = 0;
  /** No run of so many pages is free below. Index 1 is for single pages. */
  readonly #hints: number[] = [];
  /** What each transaction let go of, oldest first. */
  #pending: { readonly txid: number; readonly runs: number[] }[] = [];
  #pendingPages = 0;

  /** Free now, and those that will be once nobody looks at old states. */
  get count(): number {
    return this.#count + this.#pendingPages;
  }

  has(page: number): boolean {
    return ((this.#bits[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0;
  }

  /** Marks pages free that no state uses. */
  add(first: number, pages: number): void {
    while (first + pages > this.#bits.length * 32) {
      const larger = new Uint32Array(this.#bits.length * 2);
      larger.set(this.#bits);
      this.#bits = larger;
    }
    for (let page = first; page < first + pages; page++) {
      assert(!this.has(page), `page ${page} is freed twice`);
      this.#bits[page >>> 5]! |= 1 << (page & 31);
    }
    this.#count += pages;
    this.#hints.length = 0;
  }

  /** Takes the lowest run of `pages` free pages below `limit`, or undefined where there is none. */
  take(pages: number, limit: number): number | undefined {
    if (this.#count < pages) return undefined;
    let run = 0;
    for (let page = this.#hints[pages] ?? 0; page < limit; page++) {
      const word = this.#bits[page >>> 5]!;
      if (word === undefined) break;
      if (word === 0) {
        run = 0;
        page |= 31; // Nothing in these 32.
      } else if ((word & (1 << (page & 31))) === 0) run = 0;
      else if (++run === pages) {
        const first = page - pages + 1;
        this.#clear(first, pages);
        this.#hints[pages] = page + 1;
        return first;
      }
    }
    this.#hints[pages] = limit;
    return undefined;
  }

  #clear(first: number, pages: number): void {
    for (let page = first; page < first + pages; page++) this.#bits[page >>> 5]! &= ~(1 << (page & 31));
    this.#count -= pages;
  }

  /** `txid` lets go of pages. */
  release(txid: number, first: number, pages: number): void {
    let last = this.#pending.at(-1);
    if (last?.txid !== txid) this.#pending.push((last = { txid, runs: [] }));
    last.runs.push(first, pages);
    this.#pendingPages += pages;
  }

  /** How it is now; the result brings that back, when the transaction that begins comes to nothing. */
  checkpoint(): () => void {
    const bits = this.#bits.slice();
    const count = this.#count;
    const pending = this.#pending.length;
    return () => {
      this.#bits = bits;
      this.#count = count;
      for (const { runs } of this.#pending.splice(pending))
        for (let i = 1; i < runs.length; i += 2) this.#pendingPages -= runs[i]!;
      this.#hints.length = 0;
    };
  }

  /** Frees what transactions up to `txid` let go of. */
  settle(txid: number): void {
    while (this.#pending.length > 0 && this.#pending[0]!.txid <= txid) {
      const { runs } = this.#pending.shift()!;
      for (let i = 0; i < runs.length; i += 2) {
        this.#pendingPages -= runs[i + 1]!;
        this.add(runs[i]!, runs[i + 1]!);
      }
    }
  }

  /** Forgets free pages at the end of a file of `pages` pages, and gives the length that is left. */
  trim(pages: number): number {
    let end = pages;
    while (end > 2 && this.has(end - 1)) end--;
    if (end < pages) this.#clear(end, pages - end);
    this.#hints.length = 0;
    return end;
  }

  /** All of them in order, those that wait too: what a stored list holds. */
  list(pages: number): number[] {
    const all: number[] = [];
    for (let page = 0; page < pages; page++) if (this.has(page)) all.push(page);
    for (const { runs } of this.#pending)
      for (let i = 0; i < runs.length; i += 2) for (let k = 0; k < runs[i + 1]!; k++) all.push(runs[i]! + k);
    return all.sort((a, b) => a - b);
  }
}
