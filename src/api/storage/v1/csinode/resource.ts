/** Upstream: pkg/registry/storage/csinode */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { CSINode } from "../../../generated/storage.v1.ts";
import { validateCsiNode, validateCsiNodeUpdate } from "../validation.ts";

export const csiNodes = defineResource<CSINode>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  behaviour: { validate: validateCsiNode, validateUpdate: validateCsiNodeUpdate },
  columns: [nameColumn, column("Drivers", "integer", ({ spec }) => (spec.drivers ?? []).length), ageColumn],
});
