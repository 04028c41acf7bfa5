/** Upstream: pkg/apis/resource/v1alpha3, pkg/registry/resource/devicetaintrule */
import type { DeviceTaintRule } from "../../../generated/resource.v1alpha3.ts";
import { defineResource } from "../../../define.ts";

export const deviceTaintRules = defineResource<DeviceTaintRule>({
  group: "resource.k8s.io",
  version: "v1alpha3",
  kind: "DeviceTaintRule",
});
