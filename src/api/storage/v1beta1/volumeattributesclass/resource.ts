/** The same as v1, field for field. Upstream: pkg/registry/storage/volumeattributesclass */
import { defineResource } from "../../../define.ts";
import type { VolumeAttributesClass } from "../../../generated/storage.v1beta1.ts";
import { volumeAttributesClasses as v1 } from "../../v1/volumeattributesclass/resource.ts";

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  group: "storage.k8s.io",
  version: "v1beta1",
  kind: "VolumeAttributesClass",
  columns: v1.columns,
});
