/** Upstream: pkg/apis/core/v1, pkg/registry/core/namespace */
import type { Namespace } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const namespaces = defineResource<Namespace>({ group: "", version: "v1", kind: "Namespace" });
