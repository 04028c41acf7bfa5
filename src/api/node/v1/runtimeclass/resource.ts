/** Upstream: pkg/registry/node/runtimeclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { RuntimeClass } from "../../../generated/node.v1.ts";
import { validateRuntimeClass, validateRuntimeClassUpdate } from "./validation.ts";

export const runtimeClasses = defineResource<RuntimeClass>({
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  behaviour: { validate: validateRuntimeClass, validateUpdate: validateRuntimeClassUpdate },
  columns: [nameColumn, column("Handler", "string", ({ handler }) => handler ?? ""), ageColumn],
});
