/** Upstream: pkg/apis/resource/v1beta1/defaults.go, pkg/registry/resource/resourceslice */
import { defineResource } from "../../../define.ts";
import type { ResourceSlice } from "../../../generated/resource.v1beta1.ts";
import { sliceColumns, sliceFields } from "../../device.ts";
import { sliceBehaviour } from "../../slice.ts";
import { sliceFromV1, sliceToV1 } from "../conversion.ts";

export const resourceSlices = defineResource<ResourceSlice>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "ResourceSlice",
  selectableFields: sliceFields,
  behaviour: sliceBehaviour<ResourceSlice>(sliceToV1),
  columns: sliceColumns,
  toStored: sliceToV1,
  fromStored: sliceFromV1,
});
