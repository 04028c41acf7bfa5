/** Recently read and written pages. There are two generations: a page that is used moves to the young one, and the old one is dropped as a whole. */
import type { Page } from "./format.ts";

export class PageCache {
  readonly #most: number;
  #young = new Map<number, Page>();
  #old = new Map<number, Page>();
  #youngPages = 0;

  constructor(pages: number) {
    this.#most = Math.max(16, pages / 2);
  }

  get(id: number): Page | undefined {
    const young = this.#young.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(id);
    if (old !== undefined) this.set(id, old);
    return old;
  }

  delete(id: number): void {
    const young = this.#young.get(id);
    if (young !== undefined) this.#youngPages -= 1 + young.overflow;
    this.#young.delete(id);
    this.#old.delete(id);
  }

  set(id: number, page: Page): void {
    this.#old.delete(id);
    this.#young.set(id, page);
    this.#youngPages += 1 + page.overflow;
    if (this.#youngPages <= this.#most) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngPages = 0;
  }
}
