/** Upstream: pkg/apis/resource/v1beta2, pkg/registry/resource/devicetaintrule */
import type { DeviceTaintRule } from "../../../generated/resource.v1beta2.ts";
import { defineResource } from "../../../define.ts";

export const deviceTaintRules = defineResource<DeviceTaintRule>({
  group: "resource.k8s.io",
  version: "v1beta2",
  kind: "DeviceTaintRule",
});
