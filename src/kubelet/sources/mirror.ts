/** The objects that stand for static pods in the API. Upstream: pkg/kubelet/pod/mirror_client.go */
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { pods } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import { CONFIG_HASH, CONFIG_MIRROR } from "../keys.ts";

function mirrorOf(pod: Pod, node: Node) {
  const { name, namespace, labels, annotations } = pod.metadata;
  return {
    metadata: {
      name,
      namespace,
      ...(labels && { labels }),
      annotations: { ...annotations, [CONFIG_MIRROR]: annotations?.[CONFIG_HASH] ?? "" },
      ownerReferences: [
        { apiVersion: "v1", kind: "Node", name: node.metadata.name, uid: node.metadata.uid, controller: true },
      ],
    },
    spec: pod.spec,
  };
}

export const isMirrorOf = (mirror: Pod, pod: Pod): boolean =>
  mirror.metadata.annotations?.[CONFIG_MIRROR] === pod.metadata.annotations?.[CONFIG_HASH];

export async function createMirror(client: Client, pod: Pod, node: Node): Promise<void> {
  try {
    await client.create(pods, mirrorOf(pod, node));
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}

export async function deleteMirror(client: Client, mirror: Pod): Promise<void> {
  const { name, namespace = "", uid } = mirror.metadata;
  try {
    await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!hasReason(error, "NotFound", "Conflict")) throw error;
  }
}
