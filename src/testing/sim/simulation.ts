/** Virtual time. It advances only when every promise has settled and nothing is left to do at the present instant. */
import { assert } from "../../base/assert.ts";
import { Heap } from "../../base/heap.ts";
import type { Clock } from "../../world/world.ts";

interface Event {
  readonly at: number;
  readonly sequence: number;
  run: (() => void) | undefined;
}

export class Simulation implements Clock {
  readonly #epoch = Date.UTC(2030, 0, 1);
  readonly #events = new Heap<Event>((a, b) => a.at < b.at || (a.at === b.at && a.sequence < b.sequence));
  #elapsed = 0;
  #sequence = 0;
  #soon: (() => void)[] = [];
  #skewMs = 0;
  /** Called whenever nothing is left to do at the present instant: the moment to look at the state of things. */
  onSettled: (() => void) | undefined;

  now(): number {
    return this.#epoch + Math.floor(this.#elapsed) + this.#skewMs;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** Wall time jumps, as when someone sets the clock; durations are not touched. */
  jump(ms: number): void {
    this.#skewMs += ms;
  }

  after(ms: number, run: () => void): Disposable {
    const event: Event = { at: this.#elapsed + Math.max(0, ms), sequence: this.#sequence++, run };
    this.#events.push(event);
    return {
      [Symbol.dispose]: () => {
        event.run = undefined;
      },
    };
  }

  soon(fn: () => void): void {
    this.#soon.push(fn);
  }

  /** Runs until `reached()`; a run that can never reach it fails at once instead of hanging. */
  async until(reached: () => boolean, limitMs: number): Promise<void> {
    const limit = this.#elapsed + limitMs;
    for (await this.#settle(); !reached(); await this.#settle()) {
      const event = this.#next();
      assert(event, `deadlock at ${this.#elapsed} ms: the condition is false and nothing is scheduled`);
      assert(event.at <= limit, `the condition is still false after ${limitMs} virtual ms`);
      this.#elapsed = event.at;
      event.run!();
    }
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    let over = false;
    this.after(ms, () => {
      over = true;
    });
    await this.until(() => over, ms);
  }

  #next(): Event | undefined {
    for (;;) {
      const event = this.#events.pop();
      if (event === undefined || event.run !== undefined) return event;
    }
  }

  /** Every promise that can settle without time passing has settled, and no `soon` is waiting. */
  async #settle(): Promise<void> {
    do {
      const batch = this.#soon;
      this.#soon = [];
      for (const fn of batch) fn();
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (this.#soon.length > 0);
    this.onSettled?.();
  }
}
