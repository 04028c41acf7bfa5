/** Upstream: pkg/apis/core/v1, pkg/registry/core/limitrange */
import type { LimitRange } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const limitRanges = defineResource<LimitRange>({ group: "", version: "v1", kind: "LimitRange" });
