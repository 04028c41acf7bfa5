/** Upstream: pkg/apis/apps/v1/defaults.go, pkg/registry/apps/daemonset */
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, column, labelsText, nameColumn, selectorText, wide } from "../../../columns.ts";
import { defaultPodTemplate } from "../../../core/v1/pod/defaults.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { DaemonSet } from "../../../generated/apps.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateDaemonSet, validateDaemonSetStatus, validateDaemonSetUpdate } from "../validation.ts";
import { templateWarnings } from "../../../core/v1/pod/warnings.ts";

/** A generation of the template alone, from before `metadata.generation`; still on the wire as an annotation. */
const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

export const daemonSets = defineResource<DaemonSet>({
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  behaviour: {
    defaults(daemonSet) {
      const { spec } = daemonSet;
      if (daemonSet.metadata.annotations?.[TEMPLATE_GENERATION] === undefined) setTemplateGeneration(daemonSet, 0);
      ifAbsent(spec, "updateStrategy", {});
      const strategy = spec.updateStrategy!;
      ifEmpty(strategy, "type", "RollingUpdate");
      if (strategy.type === "RollingUpdate") {
        const rolling = (strategy.rollingUpdate ??= {});
        ifAbsent(rolling, "maxUnavailable", 1);
        ifAbsent(rolling, "maxSurge", 0);
      }
      // What isn't said of a rollout that doesn't happen is none, upstream's internal type being no reference.
      if (spec.updateStrategy.rollingUpdate !== undefined)
        for (const field of ["maxUnavailable", "maxSurge"] as const)
          ifAbsent(spec.updateStrategy.rollingUpdate, field, 0);
      ifAbsent(spec, "revisionHistoryLimit", 10);
      defaultPodTemplate(spec.template);
    },
    prepareForCreate(daemonSet) {
      setTemplateGeneration(daemonSet, Math.max(1, templateGeneration(daemonSet)));
    },
    prepareForUpdate(daemonSet, old) {
      const before = templateGeneration(old);
      if (!semanticEqual(daemonSet.spec.template, old.spec.template)) {
        setTemplateGeneration(daemonSet, before + 1);
        nextGeneration(daemonSet, old);
        return;
      }
      setTemplateGeneration(daemonSet, before);
      if (!semanticEqual(daemonSet.spec, old.spec)) nextGeneration(daemonSet, old);
    },
    validate: validateDaemonSet,
    validateUpdate: validateDaemonSetUpdate,
    warnings: (object, old) =>
      old !== undefined && semanticEqual(object.spec.template, old.spec.template)
        ? []
        : templateWarnings(object.spec.template, "spec.template."),
  },
  podTemplate: ({ spec }) => spec.template,
  views: { status: { validateUpdate: validateDaemonSetStatus } },
  columns: [
    nameColumn,
    column("Desired", "integer", ({ status }) => status?.desiredNumberScheduled ?? 0),
    column("Current", "integer", ({ status }) => status?.currentNumberScheduled ?? 0),
    column("Ready", "integer", ({ status }) => status?.numberReady ?? 0),
    column("Up-to-date", "integer", ({ status }) => status?.updatedNumberScheduled ?? 0),
    column("Available", "integer", ({ status }) => status?.numberAvailable ?? 0),
    column("Node Selector", "string", ({ spec }) => labelsText(spec.template?.spec?.nodeSelector)),
    ageColumn,
    ...templateColumns<DaemonSet>(({ spec }) => spec.template),
    wide("Selector", "string", ({ spec }) => selectorText(spec.selector)),
  ],
});

function templateGeneration(daemonSet: DaemonSet): number {
  return Number(daemonSet.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0) || 0;
}
function setTemplateGeneration(daemonSet: Mutable<DaemonSet>, generation: number): void {
  daemonSet.metadata.annotations = { ...daemonSet.metadata.annotations, [TEMPLATE_GENERATION]: String(generation) };
}
