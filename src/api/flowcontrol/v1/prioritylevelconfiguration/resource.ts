/** Upstream: pkg/apis/flowcontrol/v1/defaults.go, pkg/registry/flowcontrol/prioritylevelconfiguration */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PriorityLevelConfiguration } from "../../../generated/flowcontrol.v1.ts";
import { validateConditionTypes } from "../flowschema/validation.ts";
import { validatePriorityLevel } from "./validation.ts";

const queuing = ({ spec }: PriorityLevelConfiguration) => spec?.limited?.limitResponse?.queuing;

export const priorityLevelConfigurations = defineResource<PriorityLevelConfiguration>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "PriorityLevelConfiguration",
  behaviour: {
    defaults({ spec }) {
      const { limited, exempt } = spec ?? {};
      if (limited !== undefined) {
        ifAbsent(limited, "nominalConcurrencyShares", 30);
        ifAbsent(limited, "lendablePercent", 0);
        const queues = limited.limitResponse?.queuing;
        if (queues !== undefined) {
          ifEmpty(queues, "handSize", 8);
          ifEmpty(queues, "queues", 64);
          ifEmpty(queues, "queueLengthLimit", 50);
        }
      }
      if (exempt !== undefined) {
        ifAbsent(exempt, "nominalConcurrencyShares", 0);
        ifAbsent(exempt, "lendablePercent", 0);
      }
    },
    validate: validatePriorityLevel,
  },
  views: { status: { validateUpdate: ({ status }) => validateConditionTypes(status?.conditions) } },
  columns: [
    nameColumn,
    column("Type", "string", ({ spec }) => spec?.type ?? ""),
    column("NominalConcurrencyShares", "string", ({ spec }) => spec?.limited?.nominalConcurrencyShares ?? "<none>"),
    column("Queues", "string", (level) => queuing(level)?.queues ?? "<none>"),
    column("HandSize", "string", (level) => queuing(level)?.handSize ?? "<none>"),
    column("QueueLengthLimit", "string", (level) => queuing(level)?.queueLengthLimit ?? "<none>"),
    ageColumn,
  ],
});
