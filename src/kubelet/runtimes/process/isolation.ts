/** What this machine lets us keep containers apart with: tried, not guessed. */
import type { World } from "../../../world/world.ts";
import type { Isolation, Programs } from "./launch.ts";
import { createPodNetwork, type PodNetwork } from "./network.ts";
import type { ProcessState } from "./state.ts";

/** Why pods can't have networks of their own here, or undefined. */
export async function noPodNetworks({ host }: Pick<World, "host">): Promise<string | undefined> {
  if (host.platform !== "linux") return "network namespaces need Linux";
  if (host.uid !== 0) return "network namespaces need root";
  for (const program of ["ip", "iptables", "iptables-restore", "nsenter", "unshare"])
    if ((await host.which(program)) === undefined) return `${program} is not installed`;
  const { code, stderr } = await host.exec("unshare", ["--mount", "--net", "iptables", "-w", "5", "-t", "nat", "-S"]);
  return code === 0 ? undefined : Buffer.from(stderr).toString().trim();
}

export async function findPrograms({ host }: Pick<World, "host">): Promise<Programs> {
  const which = async (program: string) => (await host.which(program)) ?? program;
  return {
    sh: await which("sh"),
    unshare: await which("unshare"),
    nsenter: await which("nsenter"),
    setpriv: await which("setpriv"),
    setsid: await which("setsid"),
    script: await host.which("script"),
  };
}

export async function probeNetwork(state: ProcessState): Promise<PodNetwork | undefined> {
  const { dir, clusterCidr } = state.options;
  if (state.isolation !== "root" || clusterCidr === undefined) return undefined;
  if ((await noPodNetworks(state.deps)) !== undefined) return undefined;
  return createPodNetwork({ dir, clusterCidr }, state.deps);
}

export async function probeIsolation(state: ProcessState): Promise<Isolation> {
  const { fs, host } = state.deps;
  if (
    host.platform !== "linux" ||
    (await host.which("unshare")) === undefined ||
    (await host.which("nsenter")) === undefined
  )
    return "none";
  const probe = `${state.options.dir}/probe`;
  const works = async (extra: string, ...args: string[]) => {
    for (const folder of ["lower", "upper", "work", "root"]) await fs.mkdir(`${probe}/${folder}`, { recursive: true });
    const mount = `cd "$0" && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work${extra} root`;
    const namespaces = ["--mount", "--propagation", "private", "--uts", "--pid", "--fork"];
    const { code } = await host.exec(state.programs.unshare, [...args, ...namespaces, "sh", "-c", mount, probe]);
    return code === 0;
  };
  try {
    if (host.uid === 0 && (await works(""))) return "root";
    if (!(await works(",userxattr", "--user", "--map-root-user"))) return "none";
    state.isolation = "user"; // The probe's files have to be removed its way.
    return "user";
  } finally {
    await state.removeFiles(probe);
  }
}
