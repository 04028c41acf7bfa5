/** A folder that lives as long as the pod, on disk or in memory. Upstream: pkg/volume/emptydir */
import { podLimits } from "../runtime/pod-resources.ts";
import { valueOf } from "../quantity.ts";
import { applyFsGroup } from "./ownership.ts";
import { mountTmpfs } from "./tmpfs.ts";
import type { VolumeKind } from "./volume.ts";

export const emptyDir: VolumeKind = {
  field: "emptyDir",
  plugin: "kubernetes.io~empty-dir",
  refreshes: false,
  async setUp(context, pod, volume, dir) {
    if (!context.writesFiles) return dir;
    const { fs } = context.world;
    const medium = volume.emptyDir?.medium ?? "";
    if (medium !== "" && medium !== "Memory") throw new Error(`unknown storage medium "${medium}"`);
    await fs.mkdir(dir, { recursive: true });
    if (medium === "Memory") {
      const limits = [valueOf(volume.emptyDir?.sizeLimit), podLimits(pod)["memory"] ?? 0].filter((bytes) => bytes > 0);
      await mountTmpfs(context, dir, limits.length === 0 ? [] : [`size=${Math.min(...limits)}`]);
    }
    await fs.chmod(dir, 0o777);
    await applyFsGroup(fs, pod, dir, { always: true });
    return dir;
  },
};
