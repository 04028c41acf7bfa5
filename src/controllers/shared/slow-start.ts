/**
 * Makes `count` calls in batches of 1, 2, 4, …, and stops after a batch with a failure, so that a quota that rejects the first call does not have to
 * reject hundreds.
 * Upstream: pkg/controller/replicaset/replica_set.go (slowStartBatch)
 */
export async function slowStart(count: number, call: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  for (let size = 1; next < count; size = Math.min(2 * size, count - next)) {
    const batch = Array.from({ length: size }, (_, i) => call(next + i));
    next += size;
    await allSettled(batch);
  }
}

/** Waits for all, then throws the first failure. */
export async function allSettled(calls: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(calls);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
