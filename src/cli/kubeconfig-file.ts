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

export function kubeconfigPath({ host }: Pick<World, "host">): string {
  const listed = host.environment["KUBECONFIG"]?.split(":").find((path) => path !== "");
  return listed ?? join(host.environment["HOME"] ?? "/root", ".kube/config");
}

/** Returns false when the file holds something that isn't a kubeconfig: it is left alone. */
async function change(world: Pick<World, "fs" | "host">, edit: (config: Kubeconfig) => Kubeconfig): Promise<string> {
  const path = kubeconfigPath(world);
  const before =
    (await world.fs.stat(path)) === undefined
      ? EMPTY_KUBECONFIG
      : parseKubeconfig(Buffer.from(await world.fs.readFile(path)).toString());
  await world.fs.mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await world.fs.writeFile(path, formatKubeconfig(edit(before)), { mode: 0o600, atomic: true });
  return path;
}

export const addToKubeconfig = (world: Pick<World, "fs" | "host">, config: Kubeconfig): Promise<string> =>
  change(world, (before) => mergeKubeconfig(before, config));
export const removeFromKubeconfig = (world: Pick<World, "fs" | "host">, name: string): Promise<string> =>
  change(world, (before) => removeContext(before, contextOf(name)));
