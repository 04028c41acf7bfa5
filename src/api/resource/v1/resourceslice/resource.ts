/** Upstream: pkg/apis/resource/v1/defaults.go, pkg/registry/resource/resourceslice */
import { defineResource } from "../../../define.ts";
import type { ResourceSlice } from "../../../generated/resource.v1.ts";
import { sliceColumns, sliceFields } from "../../device.ts";
import { sliceBehaviour } from "../../slice.ts";

export const resourceSlices = defineResource<ResourceSlice>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceSlice",
  selectableFields: sliceFields,
  behaviour: sliceBehaviour<ResourceSlice>((slice) => slice),
  columns: sliceColumns,
});
