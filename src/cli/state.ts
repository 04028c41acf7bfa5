/** What a cluster records about itself on disk: where it is, and which process runs it. Other commands find it by name. */
import { join } from "node:path";
import type { World } from "../world/world.ts";
import { CommandError } from "./command.ts";
import type { Lan } from "./machines/plan.ts";

export interface ClusterState {
  readonly name: string;
  readonly pid: number;
  readonly server: string;
  readonly runtime: "containerd" | "process" | "simulated";
  readonly nodes: readonly string[];
  /** Where the nodes are machines of their own. */
  readonly lan?: Lan;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly ready: boolean;
  readonly options: Readonly<Record<string, unknown>>;
}

/** `/var/lib/typernetes/<name>` for root, `$XDG_DATA_HOME/typernetes/<name>` otherwise. */
export function dataDirOf({ host }: Pick<World, "host">, name: string, given: string): string {
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name))
    throw new CommandError(
      `a cluster's name is made of lower case letters, digits and dashes, not ${JSON.stringify(name)}`,
    );
  if (given !== "") return given;
  if (host.uid === 0) return join("/var/lib/typernetes", name);
  const home = host.environment["HOME"] ?? "/tmp";
  return join(host.environment["XDG_DATA_HOME"] ?? join(home, ".local/share"), "typernetes", name);
}

const stateFile = (dir: string): string => join(dir, "cluster.json");

export async function readState({ fs }: Pick<World, "fs">, dir: string): Promise<ClusterState | undefined> {
  if ((await fs.stat(stateFile(dir))) === undefined) return undefined;
  return JSON.parse(Buffer.from(await fs.readFile(stateFile(dir))).toString()) as ClusterState;
}

export async function writeState({ fs }: Pick<World, "fs">, dir: string, state: ClusterState): Promise<void> {
  await fs.writeFile(stateFile(dir), `${JSON.stringify(state, null, 2)}\n`, { atomic: true, mode: 0o600 });
}

export async function removeState({ fs }: Pick<World, "fs">, dir: string): Promise<void> {
  await fs.remove(stateFile(dir));
}

/** True while the process that wrote the state lives. */
export function isRunning({ host }: Pick<World, "host">, state: ClusterState | undefined): state is ClusterState {
  return state !== undefined && host.kill(state.pid, 0);
}

/** True for a process that has ended and that nobody has reaped yet: where the first process of a machine is slow to, that takes seconds. */
export async function isZombie({ fs }: Pick<World, "fs">, pid: number): Promise<boolean> {
  const path = `/proc/${pid}/stat`;
  try {
    return (await fs.stat(path)) !== undefined && /\) Z /.test(Buffer.from(await fs.readFile(path)).toString());
  } catch {
    return false; // It was reaped in between, or there is no such file system.
  }
}
