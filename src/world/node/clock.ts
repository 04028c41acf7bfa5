/** The machine's clocks and timers. */
import type { Clock } from "../world.ts";
import { inTurn } from "./turn.ts";

/** Node fires a timer at once when its delay does not fit 31 bits, so longer waits are cut into pieces. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    let timer: NodeJS.Timeout;
    const start = (left: number) => {
      timer =
        left > LONGEST_TIMER_MS
          ? setTimeout(() => start(left - LONGEST_TIMER_MS), LONGEST_TIMER_MS)
          : setTimeout(fn, Math.max(0, left));
    };
    start(ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  // Not queueMicrotask: microtasks run after each socket's callback, so a batch would never hold more than one
  // connection's requests. setImmediate runs when everything that the poll found has been handled,
  // and before timers (from another `soon` a timer that is due may come first).
  soon: (fn) => void setImmediate(inTurn, fn),
};
