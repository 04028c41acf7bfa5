/** Upstream: pkg/apis/apps/v1, pkg/registry/apps/deployment */
import type { Deployment } from "../../../generated/apps.v1.ts";
import { defineResource } from "../../../define.ts";

export const deployments = defineResource<Deployment>({ group: "apps", version: "v1", kind: "Deployment" });
