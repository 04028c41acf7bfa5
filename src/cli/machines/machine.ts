/** One machine: its files, its process, and what is left behind when that is killed. */
import { formatKubeconfig, singleContext } from "../../client/kubeconfig.ts";
import { createContainerd, removeMounts } from "../../kubelet/runtimes/containerd/containerd.ts";
import type { Logger } from "../../observe/log.ts";
import type { Process } from "../../world/host.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { containerdOptions } from "../node.ts";
import type { Pki } from "../pki.ts";
import { enter, hostIn, namespacePath } from "./lan.ts";
import type { Machine } from "./plan.ts";

const pidFile = ({ dir }: Machine): string => `${dir}/node.pid`;

export const logFile = ({ dir }: Machine): string => `${dir}/node.log`;

/** Written by the node's process, with its pid, once everything on it runs. */
export const readyFile = (dir: string): string => `${dir}/node.ready`;

/** Where the node's process finds who it is, named as kubeadm names them. */
export const credentialsIn = (dir: string) => ({
  kubelet: `${dir}/kubelet.conf`,
  proxy: `${dir}/kube-proxy.conf`,
  ca: `${dir}/pki/ca.crt`,
  cert: `${dir}/pki/kubelet.crt`,
  key: `${dir}/pki/kubelet.key`,
});

export async function writeCredentials({ fs }: World, machine: Machine, server: string, pki: Pki): Promise<void> {
  const files = credentialsIn(machine.dir);
  await fs.mkdir(`${machine.dir}/pki`, { recursive: true, mode: 0o711 });
  const { client, server: serving } = await pki.node(machine.node, [machine.address]);
  const kubeconfig = (user: Parameters<typeof singleContext>[2]) =>
    formatKubeconfig(singleContext("t8s", { server, ca: pki.ca.cert }, user));
  for (const [path, text] of [
    [files.kubelet, kubeconfig(client)],
    [files.proxy, kubeconfig(pki.proxy)],
    [files.ca, pki.ca.cert],
    [files.cert, serving.cert],
    [files.key, serving.key],
  ] as const)
    await fs.writeFile(path, text, { mode: 0o600, atomic: true });
}

/** Starts `t8s node` on the machine. It outlives us when we are killed, as another machine would. */
export async function startProcess({ fs, host }: World, machine: Machine, args: readonly string[]): Promise<Process> {
  await fs.remove(readyFile(machine.dir));
  const [program, ...inside] = enter(machine.namespace);
  const self = [process.execPath, "--disable-warning=ExperimentalWarning", process.argv[1]!];
  const child = host.spawn(program, [...inside, ...self, "node", `--data-dir=${machine.dir}`, ...args], {
    detached: true,
    stdoutFile: logFile(machine),
    stderrFile: logFile(machine),
  });
  await fs.writeFile(pidFile(machine), String(child.pid));
  return child;
}

export async function isReady({ fs }: World, machine: Machine, pid: number): Promise<boolean> {
  return (await textOf(fs, readyFile(machine.dir))) === String(pid);
}

/** Ends the process that an earlier run left, but not its containers: the next one takes them over. */
export async function killProcess(world: World, machine: Machine): Promise<void> {
  const { fs, host, clock } = world;
  const pid = Number(await textOf(fs, pidFile(machine)));
  // Pids come round again: it is ours as long as its command line names our folder.
  const lives = async () =>
    pid > 1 && (await textOf(fs, `/proc/${pid}/cmdline`))?.split("\0").includes(`--data-dir=${machine.dir}`) === true;
  if (await lives()) host.kill(pid, "SIGKILL");
  while (await lives()) await pause(clock, 10, new AbortController().signal);
  await fs.remove(pidFile(machine));
}

/** Takes away what a machine that did not end in order left: its process, containers, mounts and cgroups. */
export async function sweepMachine(world: World, machine: Machine, log: Logger): Promise<void> {
  await killProcess(world, machine);
  const options = containerdOptions(machine.dir, machine.cgroup, "");
  const { fs } = world;
  const there = async (path: string) => (await fs.stat(path)) !== undefined;
  // Starting adopts what runs, stopping stops that.
  if ((await there(`${options.dir}/containerd.pid`)) && (await there(namespacePath(machine.namespace)))) {
    const stop = new AbortController();
    const containerd = createContainerd(options, { ...world, host: hostIn(machine.namespace, world.host), log });
    await containerd.run(stop.signal, () => stop.abort());
  }
  await removeMounts(world, machine.dir);
}

/** undefined where there is no such file. Files of /proc go while they are read. */
async function textOf(fs: World["fs"], path: string): Promise<string | undefined> {
  if ((await fs.stat(path)) === undefined) return undefined;
  try {
    return Buffer.from(await fs.readFile(path)).toString();
  } catch (error) {
    if (path.startsWith("/proc/")) return undefined;
    throw error;
  }
}
