/** Upstream: pkg/apis/core/v1, pkg/registry/core/persistentvolumeclaim */
import type { PersistentVolumeClaim } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const persistentVolumeClaims = defineResource<PersistentVolumeClaim>({
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
});
