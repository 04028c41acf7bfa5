/** Looks for a planted bug: how many seeds it takes until a run fails. */
import type { PlantedBug } from "./planted.ts";
import { EtcdRunFailure, runEtcd } from "./run.ts";

export interface Found {
  /** Undefined where it was not found. */
  readonly seed: number | undefined;
  readonly seeds: number;
  readonly message: string;
}

export async function hunt(bug: PlantedBug, fromSeed: number, seeds: number): Promise<Found> {
  const takeOut = bug.plant();
  try {
    for (let seed = fromSeed; seed < fromSeed + seeds; seed++) {
      try {
        await runEtcd({ seed, ...(bug.kinds !== undefined && { kinds: bug.kinds }) });
      } catch (error) {
        if (!(error instanceof EtcdRunFailure)) throw error;
        return { seed, seeds: seed - fromSeed + 1, message: error.message };
      }
    }
    return { seed: undefined, seeds, message: "" };
  } finally {
    takeOut();
  }
}
