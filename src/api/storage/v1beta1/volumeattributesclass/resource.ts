/** Upstream: pkg/apis/storage/v1beta1, pkg/registry/storage/volumeattributesclass */
import type { VolumeAttributesClass } from "../../../generated/storage.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  group: "storage.k8s.io",
  version: "v1beta1",
  kind: "VolumeAttributesClass",
});
