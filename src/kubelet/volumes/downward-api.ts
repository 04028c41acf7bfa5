/** The pod's own fields as files. Upstream: pkg/volume/downwardapi */
import { writeAtomically } from "./atomic-writer.ts";
import { applyFsGroup } from "./ownership.ts";
import { downwardFiles } from "./payload.ts";
import { mountTmpfs } from "./tmpfs.ts";
import type { VolumeKind } from "./volume.ts";

export const downwardApi: VolumeKind = {
  field: "downwardAPI",
  plugin: "kubernetes.io~downward-api",
  refreshes: true,
  async setUp(context, pod, volume, dir) {
    const { items = [], defaultMode = 0o644 } = volume.downwardAPI!;
    const payload = downwardFiles(pod, items, defaultMode, context.downward([]));
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
