/** Upstream: pkg/apis/apps/v1, pkg/registry/apps/daemonset */
import type { DaemonSet } from "../../../generated/apps.v1.ts";
import { defineResource } from "../../../define.ts";

export const daemonSets = defineResource<DaemonSet>({ group: "apps", version: "v1", kind: "DaemonSet" });
