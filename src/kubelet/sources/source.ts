/** The sources of pods. A source reports all its pods each time anything changes; a pod that is missing then has been removed. */
import type { Pod } from "../../api/generated/core.v1.ts";

export interface Source {
  readonly name: "api" | "file" | "http";
  /** Runs until the signal aborts; the first call of `onPods` says that the source is ready. */
  run(signal: AbortSignal, onPods: (pods: readonly Pod[]) => void): Promise<void>;
}
