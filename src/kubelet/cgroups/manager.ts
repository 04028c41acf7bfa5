/** Makes and removes the cgroups of pods. Upstream: pkg/kubelet/cm/{pod_container_manager,qos_container_manager}_linux.go */
import { qosClassOf } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Logger } from "../../observe/log.ts";
import { sleep } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { errorText } from "../runtime/context.ts";
import type { ResourceSettings } from "../runtime/linux-resources.ts";
import type { PodCgroups, PodCgroupValues } from "../runtime/resize.ts";
import { kubepodsPath, podCgroupPath, qosPath } from "./names.ts";
import { burstableShares, cgroupFiles, podCgroupValues, readFiles, readValues, resizeFiles } from "./values.ts";
import type { CgroupFile } from "./values.ts";

/** Hierarchies of version 1 that a pod gets a folder in, where they are mounted. */
const V1_CONTROLLERS = ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "systemd"];
const V2_CONTROLLERS = ["cpuset", "cpu", "memory", "hugetlb", "pids"];
const DESTROY_TRIES = 5;

export interface CgroupSettings extends ResourceSettings {
  readonly mount: string;
  readonly root: string;
  readonly podPidsLimit: number;
}

export async function cgroupVersionAt(fs: World["fs"], mount: string): Promise<1 | 2> {
  return (await fs.stat(`${mount}/cgroup.controllers`)) === undefined ? 1 : 2;
}

/** Without it, saying anything about swap makes a container fail. */
export async function hasSwapController(fs: World["fs"], mount: string, version: 1 | 2): Promise<boolean> {
  if (version === 1) return (await fs.stat(`${mount}/memory/memory.memsw.limit_in_bytes`)) !== undefined;
  // The root has no such file; any group of the machine tells.
  for (const name of await fs.list(mount))
    if ((await fs.stat(`${mount}/${name}/memory.swap.max`)) !== undefined) return true;
  return false;
}

export class CgroupManager implements PodCgroups {
  readonly #world: Pick<World, "clock" | "fs" | "host">;
  readonly #log: Logger;
  readonly #settings: CgroupSettings;
  #controllers: readonly string[] = [];

  constructor(world: Pick<World, "clock" | "fs" | "host">, log: Logger, settings: CgroupSettings) {
    this.#world = world;
    this.#log = log;
    this.#settings = settings;
  }

  /** The level of all pods and those of the two lower classes. */
  async start(): Promise<void> {
    const { mount, root, cgroupVersion } = this.#settings;
    if (cgroupVersion === 1) {
      const found: string[] = [];
      for (const name of V1_CONTROLLERS) {
        // cpuset asks each level for its own cpus; without inheritance a child could hold nothing.
        const dir = await this.#world.fs.stat(`${mount}/${name}`);
        if (dir?.kind === "dir") found.push(name);
      }
      this.#controllers = found;
    }
    for (const path of [kubepodsPath(root), qosPath(root, "Burstable"), qosPath(root, "BestEffort")])
      await this.#make(path);
    await this.#write(
      qosPath(root, "BestEffort"),
      cgroupFiles(
        { cpuShares: 2, cpuQuotaUs: undefined, memoryLimitBytes: undefined, pidsMax: undefined },
        cgroupVersion,
      ).slice(0, 1),
    );
  }

  pathOf(pod: Pod): string {
    return podCgroupPath(this.#settings.root, qosClassOf(pod.spec), pod.metadata.uid);
  }

  /** Makes the pod's cgroup where it isn't there; one that is changes only with a resize. True where it was made. */
  async ensure(pod: Pod): Promise<boolean> {
    const path = this.pathOf(pod);
    const dirs = await Promise.all(this.#dirs(path).map((dir) => this.#world.fs.stat(dir)));
    if (dirs.every((dir) => dir !== undefined)) return false;
    await this.#make(path);
    await this.#write(path, cgroupFiles(podCgroupValues(pod, this.#settings), this.#settings.cgroupVersion));
    return true;
  }

  async read(pod: Pod): Promise<PodCgroupValues> {
    const { cgroupVersion } = this.#settings;
    const texts = await Promise.all(
      readFiles(cgroupVersion).map(({ controller, name }) =>
        this.#readFile(this.#file(this.pathOf(pod), controller, name)),
      ),
    );
    return readValues(texts, cgroupVersion);
  }

  wanted(pod: Pod) {
    const { cpuShares, cpuQuotaUs, memoryLimitBytes } = podCgroupValues(pod, this.#settings);
    return { cpuShares, cpuQuotaUs, memoryLimitBytes };
  }

  async write(pod: Pod, values: Partial<PodCgroupValues>): Promise<void> {
    for (const { controller, name, value } of resizeFiles(values, this.#settings.cgroupVersion)) {
      const file = this.#file(this.pathOf(pod), controller, name);
      await using handle = await this.#world.fs.open(file, { write: true });
      try {
        await handle.write(0, [Buffer.from(value)]);
      } catch (error) {
        throw new Error(`failed to write "${value}": write ${file}: ${errorText(error)}`, { cause: error });
      }
    }
  }

  async memoryUsageBytes(pod: Pod): Promise<number | undefined> {
    const name = this.#settings.cgroupVersion === 2 ? "memory.current" : "memory.usage_in_bytes";
    return Number(await this.#readFile(this.#file(this.pathOf(pod), "memory", name)));
  }

  /** Called whenever the set of pods changes. */
  async balance(pods: readonly Pod[]): Promise<void> {
    const { root, cgroupVersion } = this.#settings;
    const shares = burstableShares(pods);
    const files = cgroupFiles(
      { cpuShares: shares, cpuQuotaUs: undefined, memoryLimitBytes: undefined, pidsMax: undefined },
      cgroupVersion,
    );
    await this.#write(qosPath(root, "Burstable"), files.slice(0, 1));
  }

  /** Takes the pod's cgroup away; what still lives in it is killed. */
  async remove(pod: Pod): Promise<void> {
    await this.removePath(this.pathOf(pod));
  }

  async removePath(path: string): Promise<void> {
    for (const dir of this.#dirs(path)) {
      for (let i = 0; i < DESTROY_TRIES; i++) {
        if ((await this.#world.fs.stat(dir)) === undefined) break;
        await this.#kill(dir);
        if (await this.#removeTree(dir)) break;
        await sleep(this.#world.clock, 50 * (i + 1));
      }
    }
  }

  /** Uids of pods that have a cgroup. */
  async podUids(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const { root } = this.#settings;
    for (const qos of ["Guaranteed", "Burstable", "BestEffort"] as const) {
      const path = qosPath(root, qos);
      const dir = this.#dirs(path)[0];
      if (dir === undefined || (await this.#world.fs.stat(dir)) === undefined) continue;
      for (const name of await this.#world.fs.list(dir))
        if (name.startsWith("pod")) found.set(name.slice(3), `${path}/${name}`);
    }
    return found;
  }

  /** Nothing of this node is left: the levels go as well. */
  async stop(): Promise<void> {
    const { root } = this.#settings;
    for (const path of [qosPath(root, "Burstable"), qosPath(root, "BestEffort"), kubepodsPath(root), root])
      if (path !== "/") for (const dir of this.#dirs(path)) await this.#rmdir(dir);
  }

  #dirs(path: string): readonly string[] {
    const { mount, cgroupVersion } = this.#settings;
    return cgroupVersion === 2 ? [`${mount}${path}`] : this.#controllers.map((name) => `${mount}/${name}${path}`);
  }

  async #make(path: string): Promise<void> {
    const { fs } = this.#world;
    for (const dir of this.#dirs(path)) {
      if ((await fs.stat(dir)) !== undefined) continue;
      await fs.mkdir(dir, { recursive: true });
      if (dir.startsWith(`${this.#settings.mount}/cpuset/`)) await this.#inheritCpuset(path);
      if (this.#settings.cgroupVersion === 2) await this.#enableControllers(path);
    }
  }

  #file(path: string, controller: CgroupFile["controller"], name: string): string {
    const { mount, cgroupVersion } = this.#settings;
    return cgroupVersion === 2 ? `${mount}${path}/${name}` : `${mount}/${controller}${path}/${name}`;
  }

  async #readFile(file: string): Promise<string> {
    return Buffer.from(await this.#world.fs.readFile(file))
      .toString("utf8")
      .trim();
  }

  /** Version 2: a level passes on only the controllers that it is told to. */
  async #enableControllers(path: string): Promise<void> {
    const parts = path.split("/").filter((part) => part !== "");
    for (let i = 0; i < parts.length; i++) {
      const dir = `${this.#settings.mount}/${parts.slice(0, i).join("/")}`;
      for (const name of V2_CONTROLLERS) await this.#writeFile(`${dir}/cgroup.subtree_control`, `+${name}`);
    }
  }

  /** Version 1: a new cpuset is empty, and takes nobody in until it has cpus and memory nodes. */
  async #inheritCpuset(path: string): Promise<void> {
    const { fs } = this.#world;
    const parts = path.split("/").filter((part) => part !== "");
    for (let i = 1; i <= parts.length; i++) {
      const dir = `${this.#settings.mount}/cpuset/${parts.slice(0, i).join("/")}`;
      const parent = `${this.#settings.mount}/cpuset/${parts.slice(0, i - 1).join("/")}`;
      for (const name of ["cpuset.cpus", "cpuset.mems"]) {
        const own = Buffer.from(await fs.readFile(`${dir}/${name}`))
          .toString()
          .trim();
        if (own !== "") continue;
        await this.#writeFile(
          `${dir}/${name}`,
          Buffer.from(await fs.readFile(`${parent}/${name}`))
            .toString()
            .trim(),
        );
      }
    }
  }

  async #write(path: string, files: readonly CgroupFile[]): Promise<void> {
    for (const { controller, name, value } of files) await this.#writeFile(this.#file(path, controller, name), value);
  }

  /** Values that can't be written are told and left: a pod runs without a limit rather than not at all. */
  async #writeFile(file: string, value: string): Promise<void> {
    try {
      await using handle = await this.#world.fs.open(file, { write: true });
      await handle.write(0, [Buffer.from(value)]);
    } catch (error) {
      this.#log.v(2).info("Could not write cgroup file", { file, value, error: String(error) });
    }
  }

  async #kill(dir: string): Promise<void> {
    for (const child of await this.#children(dir)) await this.#kill(`${dir}/${child}`);
    const text = await this.#world.fs.readFile(`${dir}/cgroup.procs`).catch(() => new Uint8Array());
    for (const pid of Buffer.from(text).toString().split("\n"))
      if (pid !== "") this.#world.host.kill(Number(pid), "SIGKILL");
  }

  async #children(dir: string): Promise<readonly string[]> {
    const names: string[] = [];
    for (const name of await this.#world.fs.list(dir).catch(() => []))
      if ((await this.#world.fs.lstat(`${dir}/${name}`))?.kind === "dir") names.push(name);
    return names;
  }

  async #removeTree(dir: string): Promise<boolean> {
    for (const child of await this.#children(dir)) await this.#removeTree(`${dir}/${child}`);
    return this.#rmdir(dir);
  }

  /** A cgroup's files can't be removed, only the folder. */
  async #rmdir(dir: string): Promise<boolean> {
    if ((await this.#world.fs.stat(dir)) === undefined) return true;
    return this.#world.fs.rmdir(dir).then(
      () => true,
      () => false, // Busy while its last process ends.
    );
  }
}
