/** Upstream: pkg/apis/core/v1, pkg/registry/core/node */
import type { Node } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const nodes = defineResource<Node>({ group: "", version: "v1", kind: "Node" });
