/** A Secret's keys as files, in memory. Upstream: pkg/volume/secret */
import { writeAtomically } from "./atomic-writer.ts";
import { applyFsGroup } from "./ownership.ts";
import { secretFiles } from "./payload.ts";
import { mountTmpfs } from "./tmpfs.ts";
import type { VolumeKind } from "./volume.ts";

export const secret: VolumeKind = {
  field: "secret",
  plugin: "kubernetes.io~secret",
  refreshes: true,
  async setUp(context, pod, volume, dir) {
    const { secretName = "", optional, items, defaultMode = 0o644 } = volume.secret!;
    const found = await context.references.secret(pod.metadata.namespace ?? "", secretName);
    if (found === undefined && optional !== true) throw new Error(`secret "${secretName}" not found`);
    const payload = secretFiles(found, { items, optional, defaultMode });
    if (!context.writesFiles) return dir;
    const { fs } = context.world;
    await mountTmpfs(context, dir);
    await fs.chmod(dir, 0o777);
    await writeAtomically(context.world, dir, payload, (root) =>
      applyFsGroup(fs, pod, root, { always: true, readOnly: true }),
    );
    return dir;
  },
};
