/** A container's volumeMounts as CRI mounts. Upstream: pkg/kubelet/kubelet_pods.go makeMounts */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Mount } from "../../protocols/cri/generated.ts";
import type { Fs } from "../../world/fs.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { AnyContainer } from "../pod.ts";
import { expandStrictly } from "../runtime/expansion.ts";

export async function makeMounts(
  fs: Fs,
  pod: Pod,
  container: AnyContainer,
  environment: ReadonlyMap<string, string>,
  volumePath: (volume: string) => string | undefined,
  writesFiles: boolean,
): Promise<readonly Init<Mount>[]> {
  const mounts: Init<Mount>[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const root = volumePath(mount.name);
    if (root === undefined)
      throw new Error(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
    let subPath = mount.subPath ?? "";
    if (mount.subPathExpr !== undefined && mount.subPathExpr !== "")
      subPath = expandStrictly(mount.subPathExpr, (name) => environment.get(name));
    let host_path = root;
    if (subPath !== "") {
      if (subPath.startsWith("/")) throw new Error(`error SubPath \`${subPath}\` must not be an absolute path`);
      if (subPath.split("/").includes(".."))
        throw new Error(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
      host_path = writesFiles
        ? await resolveSubPath(fs, root, subPath, mount.name, container.name)
        : `${root}/${subPath}`;
    }
    mounts.push({
      container_path: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
      host_path,
      readonly: mount.readOnly === true,
      propagation:
        mount.mountPropagation === "Bidirectional"
          ? "PROPAGATION_BIDIRECTIONAL"
          : mount.mountPropagation === "HostToContainer"
            ? "PROPAGATION_HOST_TO_CONTAINER"
            : "PROPAGATION_PRIVATE",
      recursive_read_only: mount.recursiveReadOnly === "Enabled",
    });
  }
  return mounts;
}

/** The real place behind a sub path, made when it isn't there; a link that leads out of the volume is refused. */
async function resolveSubPath(
  fs: Fs,
  root: string,
  subPath: string,
  volume: string,
  container: string,
): Promise<string> {
  const realRoot = await fs.realpath(root);
  const path = `${realRoot}/${subPath}`;
  const isInside = (real: string) => real === realRoot || real.startsWith(`${realRoot}/`);
  let missing = "";
  let existing = path;
  while ((await fs.lstat(existing)) === undefined) {
    const slash = existing.lastIndexOf("/");
    missing = `${existing.slice(slash)}${missing}`;
    existing = existing.slice(0, slash);
  }
  const real = await fs.realpath(existing);
  if (!isInside(real)) {
    throw new Error(`failed to prepare subPath for volumeMount "${volume}" of container "${container}"`);
  }
  if (missing !== "") {
    const mode = ((await fs.stat(realRoot))?.mode ?? 0o755) & 0o7777;
    await fs.mkdir(`${real}${missing}`, { recursive: true, mode });
    await fs.chmod(`${real}${missing}`, mode);
  }
  return `${real}${missing}`;
}
