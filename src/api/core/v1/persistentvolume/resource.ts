/** Upstream: pkg/apis/core/v1, pkg/registry/core/persistentvolume */
import type { PersistentVolume } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const persistentVolumes = defineResource<PersistentVolume>({
  group: "",
  version: "v1",
  kind: "PersistentVolume",
});
