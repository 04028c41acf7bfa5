/** Upstream: pkg/apis/resource/v1beta1/defaults.go, pkg/registry/resource/resourceclaimtemplate */
import { defineResource } from "../../../define.ts";
import type { ResourceClaimTemplate } from "../../../generated/resource.v1beta1.ts";
import { templateFromV1, templateToV1 } from "../conversion.ts";
import type { ResourceClaimTemplate as V1 } from "../../../generated/resource.v1.ts";
import { defaultClaimSpec, plainColumns } from "../../device.ts";
import { validateNewTemplate, validateTemplateUpdate } from "../../validation.ts";

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "ResourceClaimTemplate",
  behaviour: {
    defaults: ({ spec }) => defaultClaimSpec(spec?.spec),
    validate: (template, context) => validateNewTemplate(templateToV1(template) as V1, context),
    validateUpdate: (template, old, context) =>
      validateTemplateUpdate(templateToV1(template) as V1, templateToV1(old) as V1, context),
  },
  columns: plainColumns,
  toStored: templateToV1,
  fromStored: templateFromV1,
});
