/**
 * containerd as the runtime: one that is already running, or a child process with a root folder of its own. A child outlives a killed parent, and
 * the next start adopts it; at an orderly stop its pods are stopped first, then the child itself, and finally whatever is left mounted is unmounted.
 */
import type { Component } from "../../../base/component-group.ts";
import { deferred } from "../../../base/deferred.ts";
import { connectCri } from "../../../protocols/cri/connect.ts";
import type { Logger } from "../../../observe/log.ts";
import { pause } from "../../../world/time.ts";
import type { World } from "../../../world/world.ts";
import { ociArchive, tar } from "../../images/oci-archive.ts";
import { pauseProgram } from "../../images/pause.ts";
import type { Runtime } from "../runtime.ts";
import { type ContainerdConfig, renderContainerdConfig, socketOf } from "./config.ts";

const SANDBOX_IMAGE = "localhost/typernetes/pause:1";

export interface ContainerdOptions {
  /** The private root. */
  readonly dir: string;
  /** A containerd that someone else runs, by its socket: it is used as it is and left as it is. */
  readonly endpoint?: string;
  readonly cniConfDir: string;
  /** The cgroup (below each controller) that pods are put in: removed at the end. */
  readonly cgroupRoot: string;
}

export interface ContainerdRuntime extends Component {
  readonly runtime: Runtime;
  readonly socket: string;
}

/** How long a pod may take to stop when the whole node does. */
const STOP_GRACE_SECONDS = 2;

/** Why containerd can't be run here, or undefined. */
export async function noContainerd({ host }: Pick<World, "host">): Promise<string | undefined> {
  if (host.platform !== "linux") return "containerd needs Linux";
  if (host.uid !== 0) return "containerd needs root";
  for (const program of ["containerd", "runc", "ctr", "iptables", "ip"]) {
    if ((await host.which(program)) === undefined) return `${program} is not installed`;
  }
  return undefined;
}

export function createContainerd(
  options: ContainerdOptions,
  deps: Pick<World, "fs" | "host" | "net" | "clock"> & { readonly log: Logger },
): ContainerdRuntime {
  const { fs, host, clock, log } = deps;
  const socket = options.endpoint?.replace(/^unix:(\/\/)?/, "") ?? socketOf(options.dir);
  const cri = connectCri(deps, socket);
  const pidFile = `${options.dir}/containerd.pid`;

  const answers = () =>
    cri.runtime.Version({ version: "v1" }, { timeoutMs: 2000 }).then(
      () => true,
      () => false,
    );

  /** The pid of the child that an earlier run of ours left, if it still serves. */
  async function running(): Promise<number | undefined> {
    if ((await fs.stat(pidFile)) === undefined) return undefined;
    const pid = Number(Buffer.from(await fs.readFile(pidFile)).toString());
    return Number.isInteger(pid) && pid > 1 && host.kill(pid, 0) && (await answers()) ? pid : undefined;
  }

  async function start(signal: AbortSignal): Promise<number> {
    const adopted = await running();
    if (adopted !== undefined) {
      log.info("Took over the containerd that was running", { pid: adopted });
      return adopted;
    }
    for (const folder of ["root", "state", "certs.d"])
      await fs.mkdir(`${options.dir}/${folder}`, { recursive: true, mode: 0o711 });
    await fs.mkdir(options.cniConfDir, { recursive: true });
    const config: ContainerdConfig = {
      dir: options.dir,
      sandboxImage: SANDBOX_IMAGE,
      cniBinDirs: [
        (await firstThatExists(fs, ["/opt/cni/bin/bridge", "/usr/lib/cni/bridge", "/usr/libexec/cni/bridge"])) ??
          "/opt/cni/bin",
      ],
      cniConfDir: options.cniConfDir,
      mayLowerOomScore: await mayLowerOomScore(fs),
      snapshotter: "overlayfs",
      systemdCgroup: false,
      runtimes: Object.fromEntries(
        await Promise.all(["crun"].map(async (name) => [name, await host.which(name)] as const)).then((found) =>
          found.filter(([, path]) => path !== undefined),
        ),
      ) as Record<string, string>,
    };
    await fs.writeFile(`${options.dir}/config.toml`, renderContainerdConfig(config));
    await fs.remove(socket);
    const logFile = `${options.dir}/containerd.log`;
    // A session of its own: Ctrl-C in a terminal goes to us alone, and we stop it in order.
    const child = host.spawn("containerd", ["-c", `${options.dir}/config.toml`], {
      detached: true,
      stdoutFile: logFile,
      stderrFile: logFile,
    });
    await fs.writeFile(pidFile, String(child.pid));
    let exited: number | undefined;
    void child.exited.then(({ code }) => {
      exited = code;
    });
    for (let waited = 0; !(await answers()); waited += 20) {
      if (exited !== undefined || waited > 30_000) {
        const tail = Buffer.from(await fs.readFile(logFile))
          .toString()
          .split("\n")
          .slice(-4)
          .join("\n");
        throw new Error(
          `containerd ${exited === undefined ? "does not answer" : `exited with ${exited}`}; its log ${logFile} ends with:\n${tail}`,
        );
      }
      if (!(await pause(clock, 20, signal))) break;
    }
    return child.pid;
  }

  async function ensureSandboxImage(): Promise<void> {
    const { image } = await cri.images.ImageStatus({ image: { image: SANDBOX_IMAGE } });
    if (image !== undefined) return;
    const layer = tar([{ path: "pause", data: pauseProgram(host.arch === "arm64" ? "arm64" : "x64"), mode: 0o755 }]);
    const archive = ociArchive([
      {
        names: [SANDBOX_IMAGE],
        architecture: host.arch === "arm64" ? "arm64" : "amd64",
        layers: [layer],
        config: { Entrypoint: ["/pause"] },
      },
    ]);
    const path = `${options.dir}/pause.tar`;
    await fs.writeFile(path, archive);
    await importImages(deps, socket, path);
    await fs.remove(path);
  }

  /** Stops all pods at once, then containerd, then takes away what is left of them. */
  async function stop(pid: number): Promise<void> {
    try {
      const { containers } = await cri.runtime.ListContainers({});
      await Promise.allSettled(
        containers
          .filter(({ state }) => state === "CONTAINER_RUNNING")
          .map(({ id }) =>
            cri.runtime.StopContainer({ container_id: id, timeout: STOP_GRACE_SECONDS }, { timeoutMs: 15_000 }),
          ),
      );
      const { items } = await cri.runtime.ListPodSandbox({});
      // Ten at a time: each makes CNI plugins and runc run.
      const queue = items.map(({ id }) => id);
      const worker = async () => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
          await cri.runtime
            .StopPodSandbox({ pod_sandbox_id: id }, { timeoutMs: 30_000 })
            .catch((error: unknown) => log.error("Failed to stop a sandbox", error, { id }));
          await cri.runtime
            .RemovePodSandbox({ pod_sandbox_id: id }, { timeoutMs: 30_000 })
            .catch((error: unknown) => log.error("Failed to remove a sandbox", error, { id }));
        }
      };
      await Promise.all(Array.from({ length: Math.min(10, queue.length) }, worker));
    } catch (error) {
      log.error("Failed to stop all pods", error);
    }
    host.kill(pid, "SIGTERM");
    for (let waited = 0; host.kill(pid, 0) && waited < 10_000; waited += 20) {
      if (waited === 5000) host.kill(pid, "SIGKILL");
      await pause(clock, 20, new AbortController().signal);
    }
    await fs.remove(pidFile);
    await removeMounts(deps, options.dir);
    await removeCgroups(fs, options.cgroupRoot);
  }

  return {
    name: "containerd",
    socket,
    runtime: { name: "containerd", runtime: cri.runtime, images: cri.images, usesFiles: true, usesCgroups: true },
    async run(signal, ready) {
      const pid = options.endpoint === undefined ? await start(signal) : undefined;
      if (pid !== undefined) await ensureSandboxImage();
      ready();
      const stopped = deferred();
      signal.addEventListener("abort", () => stopped.resolve(), { once: true });
      if (!signal.aborted) await stopped.promise;
      if (pid !== undefined) await stop(pid);
      await cri.close();
    },
  };
}

/** OCI or docker archive into the image store that kubelets use. Returns the names that were loaded. */
export async function importImages(
  { host }: Pick<World, "host">,
  socket: string,
  path: string,
): Promise<readonly string[]> {
  const { code, stdout, stderr } = await host.exec("ctr", [
    "-a",
    socket,
    "-n",
    "k8s.io",
    "images",
    "import",
    "--all-platforms",
    path,
  ]);
  if (code !== 0) throw new Error(`ctr images import ${path}: ${Buffer.from(stderr).toString().trim()}`);
  return [
    ...Buffer.from(stdout)
      .toString()
      .matchAll(/unpacking (\S+)/g),
  ].map(([, name]) => name!);
}

async function firstThatExists(fs: World["fs"], paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await fs.stat(path)) !== undefined) return path.slice(0, path.lastIndexOf("/"));
  return undefined;
}

/** CAP_SYS_RESOURCE (bit 24) of this process: without it, asking for a lower OOM score makes every container fail. */
async function mayLowerOomScore(fs: World["fs"]): Promise<boolean> {
  const status = Buffer.from(await fs.readFile("/proc/self/status")).toString();
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & (1n << 24n)) !== 0n;
}

/** Unmounts everything below a folder, deepest first. */
export async function removeMounts({ fs, host }: Pick<World, "fs" | "host">, dir: string): Promise<void> {
  if ((await fs.stat("/proc/self/mounts")) === undefined) return;
  const mounts = Buffer.from(await fs.readFile("/proc/self/mounts")).toString();
  const below = mounts
    .split("\n")
    .map((line) => (line.split(" ")[1] ?? "").replaceAll("\\040", " "))
    .filter((path) => path.startsWith(`${dir}/`))
    .sort((a, b) => b.length - a.length);
  for (const path of below) await host.exec("umount", ["-l", path]);
}

/** Removes a cgroup and all below it from every hierarchy: the kernel wants them emptied leaf by leaf. */
async function removeCgroups(fs: World["fs"], cgroup: string): Promise<void> {
  if (cgroup === "" || cgroup === "/") return;
  const root = "/sys/fs/cgroup";
  const removeTree = async (path: string): Promise<void> => {
    for (const name of await fs.list(path))
      if ((await fs.lstat(`${path}/${name}`))?.kind === "dir") await removeTree(`${path}/${name}`);
    await fs.rmdir(path).catch(() => {}); // Busy for a moment after its last process: the next start finds and uses it.
  };
  for (const hierarchy of ["", ...(await fs.list(root)).map((name) => `/${name}`)]) {
    const path = `${root}${hierarchy}/${cgroup.replace(/^\//, "")}`;
    if ((await fs.stat(path))?.kind === "dir") await removeTree(path);
  }
}
