/** Several sources in one folder: config maps, secrets, the pod's fields, and tokens of its service account. Upstream: pkg/volume/projected */
import type { Pod } from "../../api/generated/core.v1.ts";
import { writeAtomically } from "./atomic-writer.ts";
import type { ProjectedFile } from "./atomic-writer.ts";
import { applyFsGroup } from "./ownership.ts";
import { configMapFiles, downwardFiles, secretFiles } from "./payload.ts";
import { mountTmpfs } from "./tmpfs.ts";
import type { VolumeKind } from "./volume.ts";

export const projected: VolumeKind = {
  field: "projected",
  plugin: "kubernetes.io~projected",
  refreshes: true,
  async setUp(context, pod, volume, dir) {
    const { sources = [], defaultMode = 0o644 } = volume.projected!;
    const namespace = pod.metadata.namespace ?? "";
    const payload = new Map<string, ProjectedFile>();
    const add = (files: ReadonlyMap<string, ProjectedFile>) => files.forEach((file, path) => payload.set(path, file));
    for (const source of sources) {
      if (source.configMap) {
        const { name, optional, items } = source.configMap;
        const found = await context.references.configMap(namespace, name);
        if (found === undefined && optional !== true) throw new Error(`configmap "${name}" not found`);
        add(configMapFiles(found, { items, optional, defaultMode }));
      } else if (source.secret) {
        const { name, optional, items } = source.secret;
        const found = await context.references.secret(namespace, name);
        if (found === undefined && optional !== true) throw new Error(`secret "${name}" not found`);
        add(secretFiles(found, { items, optional, defaultMode }));
      } else if (source.downwardAPI) {
        add(downwardFiles(pod, source.downwardAPI.items ?? [], defaultMode, context.downward([])));
      } else if (source.serviceAccountToken && context.writesFiles) {
        const { audience = "", expirationSeconds = 3600, path } = source.serviceAccountToken;
        const token = await context.tokens.token(pod, audience === "" ? [] : [audience], expirationSeconds);
        const uid = onlyUser(pod);
        const shared = uid !== undefined || pod.spec.securityContext?.fsGroup !== undefined;
        payload.set(path, { data: Buffer.from(token), mode: shared ? 0o600 : defaultMode, uid });
      }
    }
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

/** The user that all containers run as, where the spec names one and the same. */
function onlyUser(pod: Pod): number | undefined {
  const users = new Set<number | undefined>();
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers])
    users.add(container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser);
  return users.size === 1 ? [...users][0] : undefined;
}
