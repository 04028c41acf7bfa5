/** Upstream: pkg/apis/core/v1, pkg/registry/core/replicationcontroller */
import type { ReplicationController } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const replicationControllers = defineResource<ReplicationController>({
  group: "",
  version: "v1",
  kind: "ReplicationController",
});
