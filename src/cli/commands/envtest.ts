/** `t8s envtest`: a folder with etcd, kube-apiserver and kubectl, as controller-runtime's envtest looks for them. */
import { join, resolve } from "node:path";
import { CONTROLLERS } from "../../controllers/index.ts";
import type { World } from "../../world/world.ts";
import { CommandError, defineCommand } from "../command.ts";

const PACKAGE = resolve(import.meta.dirname, "../../..");

export const envtest = defineCommand({
  name: "envtest",
  usage: "[flags]",
  about: "Print a folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver and kubectl for envtest.",
  flags: {
    controllers: {
      type: "list",
      default: [],
      help: "Controllers that the API server runs in its own process, which envtest is without otherwise: namespace-controller, garbage-collector-controller, or any other of kube-controller-manager's.",
    },
    dir: { type: "string", default: "", help: "Where to put the folder. Empty means a cache folder of the user's." },
  },
  async run({ world, out }, values) {
    const unknown = values.controllers.filter((name) => !CONTROLLERS.some((definition) => definition.name === name));
    if (unknown.length > 0) throw new CommandError(`there is no controller ${unknown.join(", ")}`);
    const dir = values.dir === "" ? cacheDir(world, values.controllers) : resolve(values.dir);
    await world.fs.mkdir(dir, { recursive: true });
    const flags = values.controllers.length === 0 ? "" : ` --t8s-controllers=${values.controllers.join(",")}`;
    await script(world, join(dir, "etcd"), "etcd", "");
    await script(world, join(dir, "kube-apiserver"), "kube-apiserver", flags);
    const kubectl = await found(world, "kubectl");
    await world.fs.remove(join(dir, "kubectl"));
    // envtest runs it only for tests that ask for it.
    if (kubectl !== undefined) await world.fs.symlink(kubectl, join(dir, "kubectl"));
    out(`${dir}\n`);
    return 0;
  },
});

function cacheDir({ host }: Pick<World, "host">, controllers: readonly string[]): string {
  const cache = host.environment["XDG_CACHE_HOME"] ?? join(host.environment["HOME"] ?? "/tmp", ".cache");
  return join(cache, "typernetes", ["envtest", ...controllers].join("-"));
}

/** envtest ends its children by their pid: nothing may stand between it and the program. */
async function script({ fs }: Pick<World, "fs">, path: string, program: string, flags: string): Promise<void> {
  const target = join(PACKAGE, "bin", program).replaceAll("'", "'\\''");
  await fs.writeFile(path, `#!/bin/sh\nexec '${target}' "$@"${flags}\n`, { atomic: true, mode: 0o755 });
  await fs.chmod(path, 0o755);
}

async function found({ host, fs }: Pick<World, "host" | "fs">, program: string): Promise<string | undefined> {
  for (const folder of (host.environment["PATH"] ?? "").split(":")) {
    const path = join(folder, program);
    if (folder !== "" && (await fs.stat(path)) !== undefined) return path;
  }
  return undefined;
}
