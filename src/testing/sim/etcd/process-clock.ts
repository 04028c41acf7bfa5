/** The clock of one process: it may run a little fast or slow, be set by someone, and stand still while the process does. */
import type { Clock } from "../../../world/world.ts";

export class ProcessClock implements Clock {
  readonly #clock: Clock;
  /** Of its milliseconds to real ones. */
  readonly #rate: number;
  #skewMs = 0;
  /** Nothing of the process runs before then. */
  #frozenUntil = 0;
  /** What it took to get there is known to who looks at the clock in the same turn. */
  #blockedUntil = 0;

  constructor(clock: Clock, rate: number) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** As SIGSTOP: what is due meanwhile happens when it goes on. */
  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#clock.monotonic() + ms);
  }

  get frozen(): boolean {
    return this.frozenForMs > 0;
  }
  get frozenForMs(): number {
    return this.#frozenUntil - this.#clock.monotonic();
  }

  /** It waits for a call that doesn't give way to others. */
  block(ms: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, this.#clock.monotonic()) + ms;
    this.freeze(this.#blockedUntil - this.#clock.monotonic());
  }

  jump(ms: number): void {
    this.#skewMs += ms;
  }

  now(): number {
    return this.#clock.now() + this.#skewMs;
  }

  monotonic(): number {
    return Math.max(this.#clock.monotonic(), this.#blockedUntil) * this.#rate;
  }

  soon(fn: () => void): void {
    if (this.frozen) this.after(0, fn);
    else this.#clock.soon(fn);
  }

  after(ms: number, fn: () => void): Disposable {
    const due = () => {
      const left = this.#frozenUntil - this.#clock.monotonic();
      if (left > 0) timer = this.#clock.after(left, due);
      else fn();
    };
    let timer = this.#clock.after(ms / this.#rate, due);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }
}
