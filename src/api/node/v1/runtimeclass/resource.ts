/** Upstream: pkg/registry/node/runtimeclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { GONE_LABELS } from "../../../core/v1/pod/warnings.ts";
import { defineResource } from "../../../define.ts";
import type { RuntimeClass } from "../../../generated/node.v1.ts";
import { validateRuntimeClass, validateRuntimeClassUpdate } from "./validation.ts";

export const runtimeClasses = defineResource<RuntimeClass>({
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  behaviour: {
    validate: validateRuntimeClass,
    validateUpdate: validateRuntimeClassUpdate,
    warnings: ({ scheduling }) =>
      Object.keys(scheduling?.nodeSelector ?? {})
        .filter((label) => label in GONE_LABELS)
        .map((label) => `scheduling.nodeSelector: ${GONE_LABELS[label]}`),
  },
  columns: [nameColumn, column("Handler", "string", ({ handler }) => handler ?? ""), ageColumn],
});
