/** Upstream: pkg/registry/storage/volumeattributesclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { VolumeAttributesClass } from "../../../generated/storage.v1.ts";
import { validateAttributesClass, validateAttributesClassUpdate } from "../validation.ts";

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttributesClass",
  behaviour: { validate: validateAttributesClass, validateUpdate: validateAttributesClassUpdate },
  columns: [nameColumn, column("DriverName", "string", ({ driverName }) => driverName ?? ""), ageColumn],
});
