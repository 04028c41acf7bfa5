/** Upstream: pkg/registry/core/replicationcontroller */
import { ageColumn, column, labelsText, nameColumn, wide } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { ReplicationController } from "../../../generated/core.v1.ts";
import { defaultPodTemplate } from "../pod/defaults.ts";
import { templateColumns } from "../pod/template.ts";
import {
  replicationControllerName,
  validateReplicationController,
  validateReplicationControllerStatus,
  validateReplicationControllerUpdate,
} from "./validation.ts";
import { ownerNameWarnings, templateWarnings } from "../pod/warnings.ts";

export const replicationControllers = defineResource<ReplicationController>({
  group: "",
  version: "v1",
  kind: "ReplicationController",
  anyPrefix: true,
  behaviour: {
    defaults(controller) {
      const labels = controller.spec.template?.metadata?.labels;
      if (labels !== undefined) {
        if (Object.keys(controller.spec.selector ?? {}).length === 0) controller.spec.selector = { ...labels };
        if (Object.keys(controller.metadata.labels ?? {}).length === 0) controller.metadata.labels = { ...labels };
      }
      ifAbsent(controller.spec, "replicas", 1);
      defaultPodTemplate(controller.spec.template);
    },
    validate: validateReplicationController,
    validateUpdate: validateReplicationControllerUpdate,
    warnings(object, old) {
      const path = "spec.template.";
      if (old === undefined)
        return [...ownerNameWarnings(object.metadata.name), ...templateWarnings(object.spec.template, path)];
      // Upstream looks at the template that was.
      return old.metadata.generation === object.metadata.generation ? [] : templateWarnings(old.spec.template, path);
    },
  },
  podTemplate: ({ spec }) => spec.template,
  nameRule: replicationControllerName,
  views: { status: { validateUpdate: validateReplicationControllerStatus } },
  selectableFields: { "status.replicas": ({ status }) => String(status?.replicas ?? 0) },
  scale: { specReplicas: "spec.replicas", statusReplicas: "status.replicas", selector: "spec.selector" },
  columns: [
    nameColumn,
    column("Desired", "integer", ({ spec }) => spec.replicas ?? 0),
    column("Current", "integer", ({ status }) => status?.replicas ?? 0),
    column("Ready", "integer", ({ status }) => status?.readyReplicas ?? 0),
    ageColumn,
    ...templateColumns<ReplicationController>(({ spec }) => spec.template),
    wide("Selector", "string", ({ spec }) => labelsText(spec.selector)),
  ],
});
