/** Upstream: pkg/apis/core/v1, pkg/registry/core/service */
import type { Service } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const services = defineResource<Service>({ group: "", version: "v1", kind: "Service" });
