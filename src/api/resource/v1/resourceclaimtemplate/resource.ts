/** Upstream: pkg/apis/resource/v1/defaults.go, pkg/registry/resource/resourceclaimtemplate */
import { defineResource } from "../../../define.ts";
import type { ResourceClaimTemplate } from "../../../generated/resource.v1.ts";
import { defaultClaimSpec, plainColumns } from "../../device.ts";
import { validateNewTemplate, validateTemplateUpdate } from "../../validation.ts";

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceClaimTemplate",
  behaviour: {
    defaults: ({ spec }) => defaultClaimSpec(spec?.spec),
    validate: validateNewTemplate,
    validateUpdate: validateTemplateUpdate,
  },
  columns: plainColumns,
});
