/** Upstream: pkg/apis/resource/v1beta1, pkg/registry/resource/deviceclass */
import type { DeviceClass } from "../../../generated/resource.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const deviceClasses = defineResource<DeviceClass>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "DeviceClass",
});
