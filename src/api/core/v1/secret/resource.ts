/** Upstream: pkg/apis/core/v1, pkg/registry/core/secret */
import type { Secret } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const secrets = defineResource<Secret>({ group: "", version: "v1", kind: "Secret" });
