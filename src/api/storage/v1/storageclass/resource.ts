/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/storageclass */
import type { StorageClass } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";

export const storageClasses = defineResource<StorageClass>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
});
