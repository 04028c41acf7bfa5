/**
 * Rotates container logs so that they do not fill the disk: a large log is renamed, older ones are compressed, the oldest are removed.
 * Upstream: pkg/kubelet/logs/container_log_manager.go
 */
import { gzipSync } from "node:zlib";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Runtime } from "../runtimes/runtime.ts";

const CHECK_MS = 10_000;

export interface RotationLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
}

interface RotationDeps {
  readonly world: Pick<World, "fs" | "clock">;
  readonly log: Logger;
  readonly cri: Pick<Runtime, "runtime">;
}

export async function rotateLogs(
  deps: RotationDeps,
  limits: RotationLimits,
  running: () => readonly { readonly containerId: string; readonly path: string }[],
  signal: AbortSignal,
): Promise<void> {
  while (await pause(deps.world.clock, CHECK_MS, signal)) {
    for (const { containerId, path } of running()) {
      try {
        const found = await deps.world.fs.stat(path);
        if (found === undefined) await deps.cri.runtime.ReopenContainerLog({ container_id: containerId });
        else if (found.sizeBytes >= limits.maxBytes) await rotateLog(deps, limits, containerId, path);
      } catch (error) {
        if (!signal.aborted)
          deps.log.error("Failed to rotate log for container", error, { path, containerID: containerId });
      }
    }
  }
}

async function rotateLog(deps: RotationDeps, limits: RotationLimits, containerId: string, path: string): Promise<void> {
  const { fs, clock } = deps.world;
  const dir = path.slice(0, path.lastIndexOf("/"));
  const base = path.slice(dir.length + 1);
  const names = (await fs.list(dir)).filter((name) => name.startsWith(`${base}.`));
  const plan = planRotation(base, names, limits.maxFiles);
  for (const name of plan.remove) await fs.remove(`${dir}/${name}`);
  for (const name of plan.compress) {
    await fs.writeFile(`${dir}/${name}.tmp`, gzipSync(await fs.readFile(`${dir}/${name}`)));
    await fs.rename(`${dir}/${name}.tmp`, `${dir}/${name}.gz`);
    await fs.remove(`${dir}/${name}`);
  }
  const rotated = `${path}.${new Date(clock.now()).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-")}`;
  await fs.rename(path, rotated);
  try {
    await deps.cri.runtime.ReopenContainerLog({ container_id: containerId });
  } catch (error) {
    await fs.rename(rotated, path); // The container still writes to it.
    throw error;
  }
}

/** What to do with older files before the current one joins them. Pure. */
export function planRotation(
  base: string,
  names: readonly string[],
  maxFiles: number,
): { readonly remove: readonly string[]; readonly compress: readonly string[] } {
  const remove = names.filter((name) => name.endsWith(".tmp"));
  const compressed = new Set(names.filter((name) => name.endsWith(".gz")));
  const plain = names.filter((name) => !name.endsWith(".tmp") && !name.endsWith(".gz"));
  // Compressed already, and the kubelet stopped before it removed the source.
  remove.push(...plain.filter((name) => compressed.has(`${name}.gz`)));
  const stamp = (name: string) => name.slice(base.length + 1, base.length + 16);
  const kept = names.filter((name) => !remove.includes(name)).sort((a, b) => (stamp(a) < stamp(b) ? -1 : 1));
  const surplus = kept.slice(0, Math.max(0, kept.length - Math.max(0, maxFiles - 2)));
  remove.push(...surplus);
  return { remove, compress: kept.filter((name) => !surplus.includes(name) && !name.endsWith(".gz")) };
}
