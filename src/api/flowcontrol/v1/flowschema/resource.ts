/** Upstream: pkg/apis/flowcontrol/v1, pkg/registry/flowcontrol/flowschema */
import type { FlowSchema } from "../../../generated/flowcontrol.v1.ts";
import { defineResource } from "../../../define.ts";

export const flowSchemas = defineResource<FlowSchema>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "FlowSchema",
});
