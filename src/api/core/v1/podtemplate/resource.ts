/** Upstream: pkg/registry/core/podtemplate */
import { column, labelsText, nameColumn } from "../../../columns.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { PodTemplate } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { templateWarnings } from "../pod/warnings.ts";
import { defaultPodTemplate } from "../pod/defaults.ts";
import { containerImages, containerNames } from "../pod/template.ts";
import { validatePodTemplate } from "../pod/validation/spec.ts";

export const podTemplates = defineResource<PodTemplate>({
  group: "",
  version: "v1",
  kind: "PodTemplate",
  behaviour: {
    defaults: ({ template }) => defaultPodTemplate(template),
    prepareForUpdate(podTemplate, old) {
      if (!semanticEqual(podTemplate.template, old.template)) nextGeneration(podTemplate, old);
    },
    validate: ({ template }, context) => validatePodTemplate(template, "template", context),
    validateUpdate: ({ template }, old, context) =>
      validatePodTemplate(template, "template", { ...context, oldTemplate: old.template }),
    warnings: ({ template }, old) =>
      old !== undefined && semanticEqual(template, old.template) ? [] : templateWarnings(template, "template."),
  },
  podTemplate: ({ template }) => template,
  columns: [
    nameColumn,
    column("Containers", "string", ({ template }) => containerNames(template)),
    column("Images", "string", ({ template }) => containerImages(template)),
    column("Pod Labels", "string", ({ template }) => labelsText(template?.metadata?.labels)),
  ],
});
