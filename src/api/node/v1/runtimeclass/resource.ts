/** Upstream: pkg/apis/node/v1, pkg/registry/node/runtimeclass */
import type { RuntimeClass } from "../../../generated/node.v1.ts";
import { defineResource } from "../../../define.ts";

export const runtimeClasses = defineResource<RuntimeClass>({
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
});
