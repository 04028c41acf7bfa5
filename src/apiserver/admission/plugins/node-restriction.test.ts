/** What a kubelet's rights allow and this plugin refuses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { leases } from "../../../api/coordination/v1/lease/resource.ts";
import { nodes } from "../../../api/core/v1/node/resource.ts";
import { pods } from "../../../api/core/v1/pod/resource.ts";
import { serviceAccounts } from "../../../api/core/v1/serviceaccount/resource.ts";
import { StatusError } from "../../../machinery/status.ts";
import { nodeWorld } from "../../../world/node/index.ts";
import { startServer } from "../../testing/harness.ts";

const KUBELET = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
const SYSTEM = "kube-system";

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => "nothing was refused",
    (reason: unknown) => reason,
  );
  return error instanceof StatusError ? error.message.replace(/^.*? is forbidden: /, "") : String(error);
}

test("a kubelet touches nothing but its own node, its lease and the pods on it", async () => {
  await using harness = await startServer(nodeWorld(), { enableAdmissionPlugins: ["NodeRestriction"] });
  const admin = harness.client();
  const kubelet = harness.client(KUBELET);
  const own = await kubelet.create(nodes, { metadata: { name: "n1", labels: { "kubernetes.io/hostname": "n1" } } });
  await admin.create(nodes, { metadata: { name: "n2" } });
  await admin.create(serviceAccounts, { metadata: { name: "default", namespace: SYSTEM } });
  const owner = { apiVersion: "v1", kind: "Node", name: "n1", uid: own.metadata.uid, controller: true };
  const mirror = (nodeName: string, metadata: object = {}, spec: object = {}) => ({
    metadata: {
      name: "mirror",
      namespace: SYSTEM,
      annotations: { "kubernetes.io/config.mirror": "x" },
      ownerReferences: [owner],
      ...metadata,
    },
    spec: { nodeName, containers: [{ name: "c", image: "i" }], ...spec },
  });
  const elsewhere = await admin.create(pods, {
    metadata: { name: "elsewhere", namespace: SYSTEM },
    spec: { nodeName: "n2", containers: [{ name: "c", image: "i" }] },
  });
  const merge = "application/merge-patch+json";
  const label = (name: string, labels: object) => kubelet.patch(nodes, { name }, merge, { metadata: { labels } });
  const table: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => label("n2", { a: "b" }), 'node "n1" is not allowed to modify node "n2"'],
    [
      () => label("n1", { "node-restriction.kubernetes.io/tier": "top" }),
      "is not allowed to modify labels: node-restriction.kubernetes.io/tier",
    ],
    [
      () => kubelet.patch(nodes, { name: "n1" }, merge, { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } }),
      'node "n1" is not allowed to modify taints',
    ],
    [
      () => kubelet.create(pods, mirror("n1", { annotations: {} })),
      'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
    ],
    [() => kubelet.create(pods, mirror("n2")), 'node "n1" can only create pods with spec.nodeName set to itself'],
    [
      () => kubelet.create(pods, mirror("n1", { ownerReferences: [] })),
      'node "n1" can only create pods with an owner reference set to itself',
    ],
    [
      () => kubelet.create(pods, mirror("n1", { ownerReferences: [{ ...owner, uid: "other" }] })),
      `node n1 UID mismatch: expected other got ${own.metadata.uid}`,
    ],
    [
      () => kubelet.create(pods, mirror("n1", {}, { volumes: [{ name: "v", configMap: { name: "s" } }] })),
      'node "n1" can not create pods that reference configmaps',
    ],
    [
      () => kubelet.delete(pods, { namespace: SYSTEM, name: "elsewhere" }),
      'node "n1" can only delete pods with spec.nodeName set to itself',
    ],
    [
      () => kubelet.updateStatus(pods, { ...elsewhere, status: { ...elsewhere.status, message: "mine" } }),
      'node "n1" can only update pod status for pods with spec.nodeName set to itself',
    ],
  ];
  for (const [attempt, words] of table) assert.equal(await refusal(attempt()), words);

  await label("n1", { mine: "1", "kubelet.kubernetes.io/mine": "1" });
  const made = await kubelet.create(pods, mirror("n1"));
  await kubelet.updateStatus(pods, { ...made, status: { ...made.status, phase: "Running" } });
  await kubelet.create(leases, { metadata: { name: "n1", namespace: "kube-node-lease" }, spec: {} });
  await kubelet.delete(pods, { namespace: SYSTEM, name: "mirror" }, { gracePeriodSeconds: 0 });
});
