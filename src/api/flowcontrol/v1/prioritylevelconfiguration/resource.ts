/** Upstream: pkg/apis/flowcontrol/v1, pkg/registry/flowcontrol/prioritylevelconfiguration */
import type { PriorityLevelConfiguration } from "../../../generated/flowcontrol.v1.ts";
import { defineResource } from "../../../define.ts";

export const priorityLevelConfigurations = defineResource<PriorityLevelConfiguration>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "PriorityLevelConfiguration",
});
