/** Upstream: pkg/apis/apps/v1/defaults.go, pkg/registry/apps/statefulset */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defaultClaim } from "../../../core/v1/persistentvolumeclaim/defaults.ts";
import { defaultPodTemplate } from "../../../core/v1/pod/defaults.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { StatefulSet } from "../../../generated/apps.v1.ts";
import type { Mutable } from "../../../../base/mutable.ts";
import { nameIsLabel } from "../../../../machinery/validation/names.ts";
import { validateStatefulSet, validateStatefulSetStatus, validateStatefulSetUpdate } from "../validation.ts";
import { fractionWarnings, templateWarnings } from "../../../core/v1/pod/warnings.ts";

export const statefulSets = defineResource<StatefulSet>({
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  behaviour: {
    defaults({ spec }) {
      ifEmpty(spec, "podManagementPolicy", "OrderedReady");
      ifAbsent(spec, "updateStrategy", {});
      const strategy = spec.updateStrategy!;
      if (!strategy.type) {
        strategy.type = "RollingUpdate";
        ifAbsent(strategy, "rollingUpdate", {});
      }
      if (strategy.type === "RollingUpdate" && strategy.rollingUpdate !== undefined)
        ifAbsent(strategy.rollingUpdate, "partition", 0);
      ifAbsent(spec, "persistentVolumeClaimRetentionPolicy", {});
      ifEmpty(spec.persistentVolumeClaimRetentionPolicy!, "whenDeleted", "Retain");
      ifEmpty(spec.persistentVolumeClaimRetentionPolicy!, "whenScaled", "Retain");
      ifAbsent(spec, "replicas", 1);
      ifAbsent(spec, "revisionHistoryLimit", 10);
      defaultPodTemplate(spec.template);
      for (const claim of spec.volumeClaimTemplates ?? []) {
        claim.apiVersion = "v1";
        claim.kind = "PersistentVolumeClaim";
        defaultClaim(claim);
      }
    },
    prepareForCreate: ({ spec }, { featureGates }) => {
      if (featureGates.get("MaxUnavailableStatefulSet") !== true) dropMaxUnavailable(spec);
    },
    prepareForUpdate({ spec }, old, { featureGates }) {
      if (
        featureGates.get("MaxUnavailableStatefulSet") !== true &&
        old.spec.updateStrategy?.rollingUpdate?.maxUnavailable === undefined
      )
        dropMaxUnavailable(spec);
    },
    validate: validateStatefulSet,
    validateUpdate: validateStatefulSetUpdate,
    warnings: (object, old) => [
      ...(old?.metadata.generation === object.metadata.generation
        ? []
        : templateWarnings(object.spec.template, "spec.template.")),
      ...(object.spec.volumeClaimTemplates ?? []).flatMap(({ spec }, i) => {
        const path = `spec.volumeClaimTemplates[${i}]${old === undefined ? "" : ".Spec"}.resources`;
        return [
          ...fractionWarnings(spec?.resources?.requests, `${path}.requests`, ["storage"]),
          ...fractionWarnings(spec?.resources?.limits, `${path}.limits`, ["storage"]),
        ];
      }),
      ...((object.spec.revisionHistoryLimit ?? 0) < 0
        ? ["spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"]
        : []),
    ],
  },
  podTemplate: ({ spec }) => spec.template,
  views: { status: { validateUpdate: validateStatefulSetStatus } },
  nameRule: nameIsLabel,
  scale: { specReplicas: "spec.replicas", statusReplicas: "status.replicas", selector: "spec.selector" },
  columns: [
    nameColumn,
    column("Ready", "string", ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    ageColumn,
    ...templateColumns<StatefulSet>(({ spec }) => spec.template),
  ],
});

function dropMaxUnavailable(spec: Mutable<StatefulSet["spec"]>): void {
  delete spec.updateStrategy?.rollingUpdate?.maxUnavailable;
}
