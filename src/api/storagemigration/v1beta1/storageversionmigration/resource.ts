/** Upstream: pkg/apis/storagemigration/v1beta1, pkg/registry/storagemigration/storageversionmigration */
import type { StorageVersionMigration } from "../../../generated/storagemigration.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const storageVersionMigrations = defineResource<StorageVersionMigration>({
  group: "storagemigration.k8s.io",
  version: "v1beta1",
  kind: "StorageVersionMigration",
});
