/** Where pods come from. A source says all its pods at once, each time anything changed; what is missing then is gone. */
import type { Pod } from "../../api/generated/core.v1.ts";

export interface Source {
  readonly name: "api" | "file" | "http";
  /** Runs until the signal aborts; the first call of `onPods` says that the source is ready. */
  run(signal: AbortSignal, onPods: (pods: readonly Pod[]) => void): Promise<void>;
}
