/** What the node has left, and what its pods use. Upstream: pkg/kubelet/server/stats, pkg/kubelet/eviction/helpers.go makeSignalObservations */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { World } from "../../world/world.ts";
import { CONTAINER_NAME, POD_UID } from "../keys.ts";
import type { Paths } from "../paths.ts";
import { podLogDir } from "../runtime/sandbox-config.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import type { Observations } from "./pressure.ts";
import type { PodUse } from "./rank.ts";

type Machine = Pick<World, "fs" | "host">;

export async function observe({ fs, host }: Machine, cri: Runtime, rootDir: string): Promise<Observations> {
  const { totalBytes, freeBytes } = host.memory();
  const node = await fs.statfs(rootDir);
  const images = await imageDisk({ fs }, cri);
  const processes = await processesOf({ fs });
  return {
    "memory.available": { available: freeBytes, capacity: totalBytes },
    "nodefs.available": { available: node.freeBytes, capacity: node.sizeBytes },
    "nodefs.inodesFree": { available: node.filesFree, capacity: node.files },
    ...(images && {
      "imagefs.available": { available: images.freeBytes, capacity: images.sizeBytes },
      "imagefs.inodesFree": { available: images.filesFree, capacity: images.files },
    }),
    ...(processes && { "pid.available": processes }),
  };
}

/** The disk that images are on; undefined where the runtime doesn't say. */
export async function imageDisk({ fs }: Pick<World, "fs">, { images }: Runtime) {
  const { image_filesystems } = await images.ImageFsInfo({});
  const mountpoint = image_filesystems[0]?.fs_id?.mountpoint;
  if (mountpoint === undefined || (await fs.stat(mountpoint)) === undefined) return undefined;
  return fs.statfs(mountpoint);
}

async function processesOf({ fs }: Pick<World, "fs">) {
  const read = async (path: string) =>
    (await fs.stat(path)) === undefined ? "" : Buffer.from(await fs.readFile(path)).toString("utf8");
  const limits = [await read("/proc/sys/kernel/pid_max"), await read("/proc/sys/kernel/threads-max")];
  const running = /\d+\/(\d+)/.exec(await read("/proc/loadavg"))?.[1];
  if (running === undefined || limits.includes("")) return undefined;
  const capacity = Math.min(...limits.map(Number));
  return { available: capacity - Number(running), capacity };
}

/** Of all pods at once; volumes are only counted where the disk is what runs short. */
export async function podUses(
  { fs }: Machine,
  cri: Runtime,
  pods: readonly Pod[],
  places: { readonly paths: Paths; readonly podLogsDir: string; readonly withDisk: boolean },
): Promise<ReadonlyMap<string, PodUse>> {
  const { stats } = await cri.runtime.ListContainerStats({});
  const uses = new Map<string, PodUse>();
  for (const pod of pods) {
    const { uid } = pod.metadata;
    const own = stats.filter(({ attributes }) => attributes?.labels[POD_UID] === uid);
    const containers = await Promise.all(
      own.map(async ({ attributes, memory, writable_layer }) => {
        const name = attributes?.labels[CONTAINER_NAME] ?? attributes?.metadata?.name ?? "";
        const logs = places.withDisk ? await diskUse(fs, `${podLogDir(places.podLogsDir, pod)}/${name}`) : 0;
        return {
          name,
          memory: memory?.working_set_bytes?.value,
          disk: writable_layer?.used_bytes === undefined ? undefined : writable_layer.used_bytes.value + logs,
        };
      }),
    );
    const volumes = new Map<string, number>();
    for (const { name, emptyDir } of places.withDisk ? (pod.spec.volumes ?? []) : [])
      if (emptyDir !== undefined)
        volumes.set(name, await diskUse(fs, places.paths.volume(uid, "kubernetes.io~empty-dir", name)));
    // What is in memory fills no disk.
    const onDisk = (pod.spec.volumes ?? []).filter(({ emptyDir }) => emptyDir?.medium !== "Memory");
    uses.set(uid, {
      containers,
      memory: containers.reduce((sum, { memory = 0 }) => sum + memory, 0),
      disk:
        containers.reduce((sum, { disk = 0 }) => sum + disk, 0) +
        onDisk.reduce((sum, { name }) => sum + (volumes.get(name) ?? 0), 0),
      volumes,
      processes: own.length,
    });
  }
  return uses;
}

/** What all files below a folder take of the disk. */
export async function diskUse(fs: World["fs"], path: string): Promise<number> {
  const found = await fs.lstat(path);
  if (found === undefined) return 0;
  if (found.kind !== "dir") return found.allocatedBytes ?? found.sizeBytes;
  let sum = 0;
  for (const name of await fs.list(path)) sum += await diskUse(fs, `${path}/${name}`);
  return sum;
}
