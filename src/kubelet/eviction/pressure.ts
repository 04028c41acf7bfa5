/**
 * Whether the node is short of a resource, from what it has and its thresholds. Pure. The kubelet does not use it yet: its node reports no pressure
 * and evicts nothing.
 * Upstream: pkg/kubelet/eviction
 */

export type Signal = "memory.available" | "nodefs.available" | "nodefs.inodesFree" | "pid.available";

/** What is left, and of how much. */
export type Observations = Readonly<Partial<Record<Signal, { readonly available: number; readonly capacity: number }>>>;

/** In bytes or counts, or a part of the capacity. */
export type Threshold = { readonly signal: Signal } & ({ readonly amount: number } | { readonly fraction: number });

export type Pressure = "MemoryPressure" | "DiskPressure" | "PIDPressure";

export const DEFAULT_HARD: readonly Threshold[] = [
  { signal: "memory.available", amount: 100 * 2 ** 20 },
  { signal: "nodefs.available", fraction: 0.1 },
  { signal: "nodefs.inodesFree", fraction: 0.05 },
];

const CONDITIONS: Readonly<Record<Signal, Pressure>> = {
  "memory.available": "MemoryPressure",
  "nodefs.available": "DiskPressure",
  "nodefs.inodesFree": "DiskPressure",
  "pid.available": "PIDPressure",
};

export function thresholdsMet(observations: Observations, thresholds: readonly Threshold[]): readonly Threshold[] {
  return thresholds.filter((threshold) => {
    const seen = observations[threshold.signal];
    if (seen === undefined || seen.capacity === 0) return false;
    const least = "amount" in threshold ? threshold.amount : threshold.fraction * seen.capacity;
    return seen.available < least;
  });
}

export function pressuresOf(met: readonly Threshold[]): ReadonlySet<Pressure> {
  return new Set(met.map(({ signal }) => CONDITIONS[signal]));
}
