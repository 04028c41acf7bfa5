/** Upstream: pkg/apis/core/v1, pkg/registry/core/pod */
import type { Pod } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const pods = defineResource<Pod>({ group: "", version: "v1", kind: "Pod" });
