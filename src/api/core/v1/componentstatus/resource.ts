/** Upstream: pkg/apis/core/v1, pkg/registry/core/componentstatus */
import type { ComponentStatus } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const componentStatuses = defineResource<ComponentStatus>({ group: "", version: "v1", kind: "ComponentStatus" });
