/** The deadlines of many calls on few timers: they fire a little late, and a call that ends in time costs no timer of its own. */
import type { Clock } from "../../world/world.ts";

const STEP_MS = 8;

export interface Expiring {
  expire(): void;
}

/** Where a call waits, to be taken away when it ends. */
export interface Deadline {
  readonly due: number;
  readonly calls: Set<Expiring>;
  readonly timer: Disposable;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #byDue = new Map<number, Deadline>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(call: Expiring, timeoutMs: number): Deadline {
    const now = this.#clock.monotonic();
    const due = Math.ceil((now + timeoutMs) / STEP_MS) * STEP_MS;
    let deadline = this.#byDue.get(due);
    if (deadline === undefined) {
      const calls = new Set<Expiring>();
      const timer = this.#clock.after(due - now, () => {
        this.#byDue.delete(due);
        for (const late of calls) late.expire();
      });
      deadline = { due, calls, timer };
      this.#byDue.set(due, deadline);
    }
    deadline.calls.add(call);
    return deadline;
  }

  remove(call: Expiring, deadline: Deadline): void {
    deadline.calls.delete(call);
    if (deadline.calls.size > 0) return;
    deadline.timer[Symbol.dispose]();
    if (this.#byDue.get(deadline.due) === deadline) this.#byDue.delete(deadline.due);
  }
}
