/** A ConfigMap's keys as files. Upstream: pkg/volume/configmap */
import { writeAtomically } from "./atomic-writer.ts";
import { applyFsGroup } from "./ownership.ts";
import { configMapFiles } from "./payload.ts";
import type { VolumeKind } from "./volume.ts";

export const configMap: VolumeKind = {
  field: "configMap",
  plugin: "kubernetes.io~configmap",
  refreshes: true,
  async setUp(context, pod, volume, dir) {
    const { name, optional, items, defaultMode = 0o644 } = volume.configMap!;
    const found = await context.references.configMap(pod.metadata.namespace ?? "", name);
    if (found === undefined && optional !== true) throw new Error(`configmap "${name}" not found`);
    const payload = configMapFiles(found, { items, optional, defaultMode });
    if (!context.writesFiles) return dir;
    const { fs } = context.world;
    await fs.mkdir(dir, { recursive: true });
    await fs.chmod(dir, 0o777);
    await writeAtomically(context.world, dir, payload, (root) =>
      applyFsGroup(fs, pod, root, { always: true, readOnly: true }),
    );
    return dir;
  },
};
