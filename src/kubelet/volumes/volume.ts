/** The interface between kinds of volumes and the volume manager. */
import type { Pod, Volume } from "../../api/generated/core.v1.ts";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import type { ReferencedObjects } from "../references.ts";
import type { DownwardContext } from "../runtime/downward.ts";
import type { TokenManager } from "./tokens.ts";

export interface VolumeContext {
  readonly world: Pick<World, "clock" | "random" | "fs" | "host">;
  readonly log: Logger;
  readonly references: ReferencedObjects;
  readonly tokens: TokenManager;
  downward(podIPs: readonly string[]): DownwardContext;
  /** False: nothing is written, only what is referred to has to be there. */
  readonly writesFiles: boolean;
  /** Root on Linux: tmpfs can be mounted. */
  readonly mayMount: boolean;
}

export interface VolumeKind {
  /** The field of a volume that names its source. */
  readonly field: keyof Volume;
  /** As in folder names: `kubernetes.io~empty-dir`. */
  readonly plugin: string;
  /** Set up again with each resync: what it shows may have changed. */
  readonly refreshes: boolean;
  /** Makes the volume at `dir` and returns where it is. Doing it twice does no harm. */
  setUp(context: VolumeContext, pod: Pod, volume: Volume, dir: string): Promise<string>;
}
