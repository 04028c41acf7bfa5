/**
 * Raft's clock, and detection of pauses. A process that was stopped or starved for a while may still consider itself the leader: until it has heard
 * from the others again, its leadership does not count.
 * Upstream: server/etcdserver/raft.go (tick), server.go (isActive)
 */
import type { Clock } from "../world/world.ts";

/** Who missed this many ticks was not running. */
const MISSED_TICKS = 3;

export class Ticker {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onTick: () => void;
  #timer: Disposable | undefined;
  #tickedAt: number;
  #isSuspect = false;

  constructor(clock: Clock, intervalMs: number, onTick: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onTick = onTick;
    this.#tickedAt = clock.monotonic();
  }

  /** Whether ticks have come as they should. While it rests nobody waits for them. */
  get isActive(): boolean {
    return this.#timer === undefined || (!this.#isSuspect && !this.#hasMissed(this.#clock.monotonic()));
  }

  /** The others have been asked, or have told. */
  confirm(): void {
    this.#isSuspect = false;
  }

  run(): void {
    if (this.#timer !== undefined) return;
    this.#tickedAt = this.#clock.monotonic();
    this.#arm(this.#intervalMs);
  }

  rest(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #hasMissed(now: number): boolean {
    return now - this.#tickedAt > MISSED_TICKS * this.#intervalMs;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.after(ms, () => this.#tick());
  }

  #tick(): void {
    const now = this.#clock.monotonic();
    if (this.#hasMissed(now)) this.#isSuspect = true;
    // A little late is made up for. Ticks that were missed are not: an election after a pause would only disturb.
    const late = now - this.#tickedAt - this.#intervalMs;
    this.#tickedAt = now;
    this.#arm(late > 0 && late < this.#intervalMs ? this.#intervalMs - late : this.#intervalMs);
    this.#onTick();
  }
}
