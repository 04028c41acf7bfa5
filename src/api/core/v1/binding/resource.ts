/** Upstream: pkg/apis/core/v1, pkg/registry/core/binding */
import type { Binding } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const bindings = defineResource<Binding>({ group: "", version: "v1", kind: "Binding" });
