/** Removes faults from a failing run as long as it still fails: halves first, then smaller parts. */
import { EtcdRunFailure, runEtcd, type EtcdRunOptions } from "./run.ts";
import type { Fault } from "./plan.ts";

export interface Shrunk {
  readonly faults: readonly Fault[];
  readonly message: string;
}

export async function shrink(options: EtcdRunOptions, failure: EtcdRunFailure, maxRuns = 200): Promise<Shrunk> {
  let found: Shrunk = { faults: failure.faults, message: failure.message };
  let runs = 0;
  const failsWith = async (faults: readonly Fault[]): Promise<boolean> => {
    runs++;
    try {
      await runEtcd({ ...options, faults });
      return false;
    } catch (error) {
      if (!(error instanceof EtcdRunFailure)) throw error;
      found = { faults, message: error.message };
      return true;
    }
  };
  for (let size = Math.ceil(found.faults.length / 2); size >= 1;) {
    let isSmaller = false;
    for (let at = 0; at < found.faults.length && runs < maxRuns;) {
      const without = [...found.faults.slice(0, at), ...found.faults.slice(at + size)];
      if (await failsWith(without)) isSmaller = true;
      else at += size;
    }
    if (size === 1 && (!isSmaller || runs >= maxRuns)) break;
    size = isSmaller ? Math.min(size, Math.ceil(found.faults.length / 2)) || 1 : Math.floor(size / 2);
    if (found.faults.length === 0) break;
  }
  return found;
}
