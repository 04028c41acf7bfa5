/** Upstream: pkg/apis/scheduling/v1/defaults.go, pkg/registry/scheduling/priorityclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PriorityClass } from "../../../generated/scheduling.v1.ts";
import { validatePriorityClass, validatePriorityClassUpdate } from "./validation.ts";

export const priorityClasses = defineResource<PriorityClass>({
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
  behaviour: {
    defaults: (priorityClass) => ifAbsent(priorityClass, "preemptionPolicy", "PreemptLowerPriority"),
    validate: validatePriorityClass,
    validateUpdate: validatePriorityClassUpdate,
  },
  columns: [
    nameColumn,
    column("Value", "integer", ({ value }) => value ?? 0),
    column("Global-Default", "boolean", ({ globalDefault }) => globalDefault === true),
    ageColumn,
    column("PreemptionPolicy", "string", ({ preemptionPolicy }) => preemptionPolicy ?? ""),
  ],
});
