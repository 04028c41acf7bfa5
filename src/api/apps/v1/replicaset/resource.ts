/** Upstream: pkg/apis/apps/v1, pkg/registry/apps/replicaset */
import type { ReplicaSet } from "../../../generated/apps.v1.ts";
import { defineResource } from "../../../define.ts";

export const replicaSets = defineResource<ReplicaSet>({ group: "apps", version: "v1", kind: "ReplicaSet" });
