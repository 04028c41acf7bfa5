/** The user's kubeconfig: `$KUBECONFIG` (its first file), else `~/.kube/config`. A cluster's context is merged in as kind does it. */
import { dirname, join } from "node:path";
import {
  EMPTY_KUBECONFIG,
  formatKubeconfig,
  type Kubeconfig,
  mergeKubeconfig,
  parseKubeconfig,
  removeContext,
} from "../client/kubeconfig.ts";
import type { World } from "../world/world.ts";

export const contextOf = (name: string): string => `t8s-${name}`;

function kubeconfigPath({ host }: Pick<World, "host">): string {
  const listed = host.environment["KUBECONFIG"]?.split(":").find((path) => path !== "");
  return listed ?? join(host.environment["HOME"] ?? "/root", ".kube/config");
}

async function readKubeconfig(world: Pick<World, "fs" | "host">, path: string): Promise<Kubeconfig> {
  return (await world.fs.stat(path)) === undefined
    ? EMPTY_KUBECONFIG
    : parseKubeconfig(Buffer.from(await world.fs.readFile(path)).toString());
}

async function writeKubeconfig(world: Pick<World, "fs" | "host">, path: string, config: Kubeconfig): Promise<void> {
  await world.fs.mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await world.fs.writeFile(path, formatKubeconfig(config), { mode: 0o600, atomic: true });
}

/** Returns the file's path. */
export async function addToKubeconfig(world: Pick<World, "fs" | "host">, config: Kubeconfig): Promise<string> {
  const path = kubeconfigPath(world);
  await writeKubeconfig(world, path, mergeKubeconfig(await readKubeconfig(world, path), config));
  return path;
}

/** Returns the file's path, or undefined where the context wasn't there and the file is left as it was. */
export async function removeFromKubeconfig(
  world: Pick<World, "fs" | "host">,
  name: string,
): Promise<string | undefined> {
  const path = kubeconfigPath(world);
  const config = await readKubeconfig(world, path);
  if (!config.contexts.some((entry) => entry.name === contextOf(name))) return undefined;
  await writeKubeconfig(world, path, removeContext(config, contextOf(name)));
  return path;
}
