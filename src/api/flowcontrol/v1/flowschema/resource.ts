/** Upstream: pkg/apis/flowcontrol/v1/defaults.go, pkg/registry/flowcontrol/flowschema */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { FlowSchema } from "../../../generated/flowcontrol.v1.ts";
import { validateConditionTypes, validateFlowSchema } from "./validation.ts";

export const flowSchemas = defineResource<FlowSchema>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "FlowSchema",
  behaviour: {
    defaults({ spec }) {
      if (spec !== undefined) ifEmpty(spec, "matchingPrecedence", 1000);
    },
    validate: validateFlowSchema,
  },
  views: { status: { validateUpdate: ({ status }) => validateConditionTypes(status?.conditions) } },
  rowOrder: (a, b) =>
    (a.spec?.matchingPrecedence ?? 0) - (b.spec?.matchingPrecedence ?? 0) ||
    ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1),
  columns: [
    nameColumn,
    column("PriorityLevel", "string", ({ spec }) => spec?.priorityLevelConfiguration?.name ?? ""),
    column("MatchingPrecedence", "string", ({ spec }) => spec?.matchingPrecedence ?? 0),
    column("DistinguisherMethod", "string", ({ spec }) => spec?.distinguisherMethod?.type ?? "<none>"),
    ageColumn,
    column(
      "MissingPL",
      "string",
      ({ status }) => status?.conditions?.find(({ type }) => type === "Dangling")?.status ?? "?",
    ),
  ],
});
