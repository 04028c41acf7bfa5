/** A folder in memory if this process may mount one, else an ordinary folder. */
import type { VolumeContext } from "./volume.ts";

export async function mountTmpfs(context: VolumeContext, dir: string, options: readonly string[] = []): Promise<void> {
  const { fs, host } = context.world;
  await fs.mkdir(dir, { recursive: true });
  if (!context.mayMount || (await isMountPoint(context, dir))) return;
  const flags = options.length === 0 ? [] : ["-o", options.join(",")];
  const result = await host.exec("mount", ["-t", "tmpfs", ...flags, "tmpfs", dir]);
  if (result.code !== 0)
    throw new Error(`mount failed: exit status ${result.code}\n${Buffer.from(result.stderr).toString()}`);
}

async function isMountPoint(context: Pick<VolumeContext, "world">, dir: string): Promise<boolean> {
  return (await mountPointsUnder(context, dir)).includes(dir);
}

/** Deepest first. */
async function mountPointsUnder(context: Pick<VolumeContext, "world">, dir: string): Promise<readonly string[]> {
  let table: string;
  try {
    table = Buffer.from(await context.world.fs.readFile("/proc/self/mountinfo")).toString("utf8");
  } catch {
    return []; // Not Linux: nothing was mounted by us.
  }
  const points: string[] = [];
  for (const line of table.split("\n")) {
    const point = line.split(" ")[4]?.replaceAll("\\040", " ");
    if (point !== undefined && (point === dir || point.startsWith(`${dir}/`))) points.push(point);
  }
  return points.sort((a, b) => b.length - a.length);
}

export async function unmountUnder(context: Pick<VolumeContext, "world">, dir: string): Promise<void> {
  for (const point of await mountPointsUnder(context, dir)) await context.world.host.exec("umount", [point]);
}
