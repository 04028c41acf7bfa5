/** Applies the pod's fsGroup to a volume. Upstream: pkg/volume/volume_linux.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Fs } from "../../world/fs.ts";

export async function applyFsGroup(
  fs: Fs,
  pod: Pod,
  dir: string,
  options: { readonly always: boolean; readonly readOnly?: boolean },
): Promise<void> {
  const group = pod.spec.securityContext?.fsGroup;
  if (group === undefined) return;
  const root = await fs.stat(dir);
  const fits = root !== undefined && root.gid === group && (root.mode & 0o2770) === 0o2770;
  if (!options.always && fits && pod.spec.securityContext?.fsGroupChangePolicy === "OnRootMismatch") return;
  await walk(fs, dir, group, options.readOnly === true ? 0o440 : 0o660);
}

async function walk(fs: Fs, path: string, group: number, mask: number): Promise<void> {
  const found = await fs.lstat(path);
  if (found === undefined || found.kind === "symlink") return;
  if (found.kind === "dir") for (const name of await fs.list(path)) await walk(fs, `${path}/${name}`, group, mask);
  await fs.chown(path, -1, group);
  const more = found.kind === "dir" ? mask | 0o2110 : mask;
  await fs.chmod(path, (found.mode & 0o7777) | more);
}
