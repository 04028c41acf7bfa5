/** Upstream: pkg/apis/apps/v1, pkg/registry/apps/controllerrevision */
import type { ControllerRevision } from "../../../generated/apps.v1.ts";
import { defineResource } from "../../../define.ts";

export const controllerRevisions = defineResource<ControllerRevision>({
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
});
