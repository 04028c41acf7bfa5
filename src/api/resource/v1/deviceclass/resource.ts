/** Upstream: pkg/registry/resource/deviceclass */
import { defineResource } from "../../../define.ts";
import type { DeviceClass } from "../../../generated/resource.v1.ts";
import { plainColumns } from "../../device.ts";
import { validateDeviceClass } from "../../validation.ts";

export const deviceClasses = defineResource<DeviceClass>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "DeviceClass",
  anyPrefix: true,
  behaviour: {
    validate: (deviceClass) => validateDeviceClass(deviceClass),
    validateUpdate: (deviceClass, old) => validateDeviceClass(deviceClass, old),
  },
  columns: plainColumns,
});
