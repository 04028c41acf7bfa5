/** Upstream: pkg/apis/apps/v1/defaults.go, pkg/registry/apps/replicaset */
import { ageColumn, column, nameColumn, selectorText, wide } from "../../../columns.ts";
import { defaultPodTemplate } from "../../../core/v1/pod/defaults.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { ReplicaSet } from "../../../generated/apps.v1.ts";
import { validateReplicaSet, validateReplicaSetStatus, validateReplicaSetUpdate } from "../validation.ts";
import { ownerNameWarnings, templateWarnings } from "../../../core/v1/pod/warnings.ts";

export const replicaSets = defineResource<ReplicaSet>({
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  behaviour: {
    defaults({ spec }) {
      ifAbsent(spec, "replicas", 1);
      defaultPodTemplate(spec.template);
    },
    validate: validateReplicaSet,
    validateUpdate: validateReplicaSetUpdate,
    warnings: (object, old) => [
      ...(old === undefined ? ownerNameWarnings(object.metadata.name) : []),
      ...(old?.metadata.generation === object.metadata.generation
        ? []
        : templateWarnings(object.spec.template, "spec.template.")),
    ],
  },
  podTemplate: ({ spec }) => spec.template,
  views: { status: { validateUpdate: validateReplicaSetStatus } },
  scale: { specReplicas: "spec.replicas", statusReplicas: "status.replicas", selector: "spec.selector" },
  columns: [
    nameColumn,
    column("Desired", "integer", ({ spec }) => spec.replicas ?? 0),
    column("Current", "integer", ({ status }) => status?.replicas ?? 0),
    column("Ready", "integer", ({ status }) => status?.readyReplicas ?? 0),
    ageColumn,
    ...templateColumns<ReplicaSet>(({ spec }) => spec.template),
    wide("Selector", "string", ({ spec }) => selectorText(spec.selector)),
  ],
});
