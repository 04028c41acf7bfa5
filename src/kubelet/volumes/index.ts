/** All kinds of volumes that this kubelet mounts. */
import { ephemeral, persistentVolumeClaim } from "./claim.ts";
import { configMap } from "./config-map.ts";
import { downwardApi } from "./downward-api.ts";
import { emptyDir } from "./empty-dir.ts";
import { hostPath } from "./host-path.ts";
import { projected } from "./projected.ts";
import { secret } from "./secret.ts";
import type { VolumeKind } from "./volume.ts";

export const volumeKinds: readonly VolumeKind[] = [
  emptyDir,
  hostPath,
  configMap,
  secret,
  downwardApi,
  projected,
  persistentVolumeClaim,
  ephemeral,
];
