/**
 * Averages over time: how many seats a level could have used, and how full it was.
 * Upstream: fairqueuing/integrator.go, metrics/timing_ratio_histogram.go
 */
import { Distribution } from "../../observe/metrics.ts";

export interface Demand {
  readonly seconds: number;
  readonly average: number;
  readonly deviation: number;
  readonly max: number;
}

/** Mean, deviation and maximum of a number, weighted by how long it stayed. */
export class Integrator {
  #value = 0;
  #since: number;
  #seconds = 0;
  #sum = 0;
  #squares = 0;
  #max = 0;

  constructor(now: number) {
    this.#since = now;
  }

  set(now: number, value: number): void {
    this.#advance(now);
    this.#value = value;
    if (value > this.#max) this.#max = value;
  }

  /** The figures since the last reset. */
  reset(now: number): Demand {
    this.#advance(now);
    const seconds = this.#seconds;
    const average = seconds > 0 ? this.#sum / seconds : 0;
    const variance = seconds > 0 ? this.#squares / seconds - average * average : 0;
    const result = { seconds, average, deviation: Math.sqrt(Math.max(0, variance)), max: this.#max };
    this.#seconds = 0;
    this.#sum = 0;
    this.#squares = 0;
    this.#max = this.#value;
    return result;
  }

  #advance(now: number): void {
    const seconds = (now - this.#since) / 1000;
    this.#since = now;
    this.#seconds += seconds;
    this.#sum += this.#value * seconds;
    this.#squares += this.#value * this.#value * seconds;
  }
}

/** A histogram as if the ratio were observed at the end of every nanosecond. */
export class TimedRatio {
  readonly distribution: Distribution;
  #value = 0;
  #denominator: number;
  #since: number;

  constructor(now: number, bounds: readonly number[], denominator = 1) {
    this.distribution = new Distribution(bounds);
    this.#since = now;
    this.#denominator = denominator;
  }

  set(now: number, value: number): void {
    if (value === this.#value) return;
    this.advance(now);
    this.#value = value;
  }
  setDenominator(now: number, denominator: number): void {
    this.advance(now);
    this.#denominator = denominator;
  }
  /** Counts what has passed, also before a reading. */
  advance(now: number): void {
    const nanoseconds = Math.round((now - this.#since) * 1e6);
    if (nanoseconds <= 0) return;
    this.#since = now;
    const ratio = this.#value / this.#denominator;
    const { bounds, counts } = this.distribution;
    let i = 0;
    while (i < bounds.length && ratio > bounds[i]!) i++;
    counts[i]! += nanoseconds;
    this.distribution.sum += ratio * nanoseconds;
  }
}
