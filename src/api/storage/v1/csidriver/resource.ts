/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/csidriver */
import type { CSIDriver } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";

export const csiDrivers = defineResource<CSIDriver>({ group: "storage.k8s.io", version: "v1", kind: "CSIDriver" });
