/** Upstream: pkg/apis/apps/v1/defaults.go, pkg/registry/apps/deployment */
import { ageColumn, column, nameColumn, selectorText, wide } from "../../../columns.ts";
import { defaultPodTemplate } from "../../../core/v1/pod/defaults.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource, keep, nextGeneration } from "../../../define.ts";
import type { Deployment } from "../../../generated/apps.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateDeployment, validateDeploymentStatus, validateDeploymentUpdate } from "../validation.ts";
import { ownerNameWarnings, templateWarnings } from "../../../core/v1/pod/warnings.ts";

export const deployments = defineResource<Deployment>({
  group: "apps",
  version: "v1",
  kind: "Deployment",
  behaviour: {
    defaults(deployment) {
      const spec = deployment.spec;
      ifAbsent(spec, "replicas", 1);
      ifAbsent(spec, "strategy", {});
      ifEmpty(spec.strategy!, "type", "RollingUpdate");
      if (spec.strategy!.type === "RollingUpdate") {
        const rolling = (spec.strategy!.rollingUpdate ??= {});
        ifAbsent(rolling, "maxUnavailable", "25%");
        ifAbsent(rolling, "maxSurge", "25%");
      }
      ifAbsent(spec, "revisionHistoryLimit", 10);
      ifAbsent(spec, "progressDeadlineSeconds", 600);
      defaultPodTemplate(spec.template);
    },
    prepareForUpdate(deployment, old) {
      // Annotations count: a rollout may be steered by them.
      if (
        !semanticEqual(deployment.spec, old.spec) ||
        !semanticEqual(deployment.metadata.annotations ?? {}, old.metadata.annotations ?? {})
      )
        nextGeneration(deployment, old);
    },
    validate: validateDeployment,
    validateUpdate: validateDeploymentUpdate,
    warnings: (object, old) => [
      ...(old === undefined ? ownerNameWarnings(object.metadata.name) : []),
      ...(old?.metadata.generation === object.metadata.generation
        ? []
        : templateWarnings(object.spec.template, "spec.template.")),
    ],
  },
  podTemplate: ({ spec }) => spec.template,
  views: {
    status: {
      validateUpdate: validateDeploymentStatus,
      prepareForUpdate: (deployment, old) =>
        keep(deployment.metadata, old.metadata as typeof deployment.metadata, "labels"),
    },
  },
  scale: {
    specReplicas: "spec.replicas",
    statusReplicas: "status.replicas",
    selector: "spec.selector",
  },
  columns: [
    nameColumn,
    column("Ready", "string", ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    column("Up-to-date", "string", ({ status }) => status?.updatedReplicas ?? 0),
    column("Available", "string", ({ status }) => status?.availableReplicas ?? 0),
    ageColumn,
    ...templateColumns<Deployment>(({ spec }) => spec.template),
    wide("Selector", "string", ({ spec }) => {
      const text = selectorText(spec.selector);
      return text === "<none>" ? "" : text === "<error>" ? "<invalid>" : text;
    }),
  ],
});
