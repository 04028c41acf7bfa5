/** Upstream: pkg/apis/core/v1, pkg/registry/core/resourcequota */
import type { ResourceQuota } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const resourceQuotas = defineResource<ResourceQuota>({ group: "", version: "v1", kind: "ResourceQuota" });
