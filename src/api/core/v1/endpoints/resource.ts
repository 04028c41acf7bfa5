/** Upstream: pkg/apis/core/v1, pkg/registry/core/endpoints */
import type { Endpoints } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const endpoints = defineResource<Endpoints>({ group: "", version: "v1", kind: "Endpoints" });
