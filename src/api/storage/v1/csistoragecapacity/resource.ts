/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/csistoragecapacity */
import type { CSIStorageCapacity } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";
import { validateCapacity, validateCapacityUpdate } from "../validation.ts";

export const csiStorageCapacities = defineResource<CSIStorageCapacity>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIStorageCapacity",
  behaviour: { validate: validateCapacity, validateUpdate: validateCapacityUpdate },
});
