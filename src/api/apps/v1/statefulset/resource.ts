/** Upstream: pkg/apis/apps/v1, pkg/registry/apps/statefulset */
import type { StatefulSet } from "../../../generated/apps.v1.ts";
import { defineResource } from "../../../define.ts";

export const statefulSets = defineResource<StatefulSet>({ group: "apps", version: "v1", kind: "StatefulSet" });
