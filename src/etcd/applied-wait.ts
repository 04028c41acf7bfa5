/** Waits until an entry has been applied. Upstream: pkg/wait/wait_time.go */
import { Heap } from "../base/heap.ts";

interface Waiter {
  readonly index: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class AppliedWait {
  readonly #waiters = new Heap<Waiter>((a, b) => a.index < b.index);
  #index = 0;
  #stopped: Error | undefined;

  get index(): number {
    return this.#index;
  }

  reached(index: number): Promise<void> | undefined {
    if (index <= this.#index) return undefined;
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => this.#waiters.push({ index, resolve, reject }));
  }

  /** @internal */
  advance(index: number): void {
    this.#index = index;
    for (let next = this.#waiters.peek(); next !== undefined && next.index <= index; next = this.#waiters.peek()) {
      this.#waiters.pop();
      next.resolve();
    }
  }

  /** @internal */
  stop(error: Error): void {
    this.#stopped = error;
    for (let next = this.#waiters.pop(); next !== undefined; next = this.#waiters.pop()) next.reject(error);
  }
}
