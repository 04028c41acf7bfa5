/**
 * Whether the node runs short of something, from what it has and what it must keep free; and for how long already. Pure.
 * Upstream: pkg/kubelet/eviction/eviction_manager.go synchronize
 */
import { absolute, MEANINGS, SIGNALS } from "./thresholds.ts";
import type { Pressure, Signal, Threshold } from "./thresholds.ts";

/** What is left, and of how much. */
export type Observations = Readonly<Partial<Record<Signal, { readonly available: number; readonly capacity: number }>>>;

export interface PressureState {
  /** Met, and for as long as their grace period wants. */
  readonly met: readonly Threshold[];
  readonly firstMetMs: ReadonlyMap<Threshold, number>;
  readonly lastSeenMs: ReadonlyMap<Pressure, number>;
  /** What the node says of itself: a pressure stays for a while after it is gone, so that it doesn't come and go. */
  readonly pressures: ReadonlySet<Pressure>;
}

export const NO_PRESSURE: PressureState = {
  met: [],
  firstMetMs: new Map(),
  lastSeenMs: new Map(),
  pressures: new Set(),
};

export function thresholdsMet(
  observations: Observations,
  thresholds: readonly Threshold[],
  withReclaim = false,
): readonly Threshold[] {
  return thresholds.filter(({ signal, least, reclaim }) => {
    const seen = observations[signal];
    if (seen === undefined || seen.capacity === 0) return false;
    const more = withReclaim && reclaim !== undefined ? absolute(reclaim, seen.capacity) : 0;
    return seen.available < absolute(least, seen.capacity) + more;
  });
}

export function nextPressure(
  before: PressureState,
  observations: Observations,
  thresholds: readonly Threshold[],
  nowMs: number,
  transitionMs: number,
): PressureState {
  const unresolved = thresholdsMet(observations, before.met, true);
  const met = [...new Set([...thresholdsMet(observations, thresholds), ...unresolved])];
  const firstMetMs = new Map(met.map((threshold) => [threshold, before.firstMetMs.get(threshold) ?? nowMs]));
  const lastSeenMs = new Map(before.lastSeenMs);
  for (const { signal } of met) lastSeenMs.set(MEANINGS[signal].pressure, nowMs);
  const pressures = [...lastSeenMs].filter(([, seenMs]) => seenMs === nowMs || nowMs - seenMs < transitionMs);
  return {
    met: met.filter((threshold) => nowMs - firstMetMs.get(threshold)! >= threshold.graceMs),
    firstMetMs,
    lastSeenMs,
    pressures: new Set(pressures.map(([pressure]) => pressure)),
  };
}

/** The one to act on: memory before all others. */
export function mostUrgent(met: readonly Threshold[]): Threshold | undefined {
  return [...met].sort((a, b) => SIGNALS.indexOf(a.signal) - SIGNALS.indexOf(b.signal))[0];
}
