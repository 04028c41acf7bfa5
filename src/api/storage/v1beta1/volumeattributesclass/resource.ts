/** The same as v1, field for field. Upstream: pkg/registry/storage/volumeattributesclass */
import { defineResource } from "../../../define.ts";
import type { VolumeAttributesClass } from "../../../generated/storage.v1beta1.ts";
import { volumeAttributesClasses as v1 } from "../../v1/volumeattributesclass/resource.ts";
import { validateAttributesClass, validateAttributesClassUpdate } from "../../v1/validation.ts";

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  group: "storage.k8s.io",
  version: "v1beta1",
  kind: "VolumeAttributesClass",
  behaviour: { validate: validateAttributesClass, validateUpdate: validateAttributesClassUpdate },
  columns: v1.columns,
  deprecated: {
    warning:
      "storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass",
  },
});
