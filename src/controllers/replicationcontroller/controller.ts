/** ReplicationControllers, which behave like ReplicaSets. Upstream: pkg/controller/replication */
import type { ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { ReplicationController } from "../../api/generated/core.v1.ts";
import { replicationControllers } from "../../client/resources.ts";
import { replicaController } from "../replicaset/controller.ts";

export const replicationControllerController = replicaController<ReplicationController>({
  name: "replicationcontroller-controller",
  aliases: ["replicationcontroller"],
  workersFlag: "concurrent_rc_syncs",
  resource: replicationControllers,
  view: ({ metadata, spec = {}, status }) =>
    ({ metadata, spec: { ...spec, selector: { matchLabels: spec.selector ?? {} } }, status }) as unknown as ReplicaSet,
  withStatus(object, status) {
    const { terminatingReplicas: _, ...known } = status;
    return { ...object, status: known as ReplicationController["status"] };
  },
});
