import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { pods } from "../api/core/v1/pod/resource.ts";
import { nodes } from "../api/core/v1/node/resource.ts";
import { secrets } from "../api/core/v1/secret/resource.ts";
import { nodeWorld } from "../world/node/index.ts";
import { startServer } from "./testing/harness.ts";

const KUBELET = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };

test("a kubelet's rights come with the pod that is bound to its node, and go with it", async () => {
  await using harness = await startServer(nodeWorld(), { disableAdmissionPlugins: ["ServiceAccount"] });
  const admin = harness.client();
  const kubelet = harness.client(KUBELET);
  const at = { namespace: "default", name: "s" };
  await admin.create(nodes, { metadata: { name: "n1" } });
  await admin.create(secrets, { metadata: at });
  const mayRead = () =>
    kubelet.get(secrets, at).then(
      () => true,
      () => false,
    );
  assert.equal(await mayRead(), false);
  const containers = [{ name: "c", image: "i", envFrom: [{ secretRef: { name: "s" } }] }];
  await admin.create(pods, { metadata: { name: "p", namespace: "default" }, spec: { containers } });
  assert.equal(await mayRead(), false);
  const binding = { target: { kind: "Node", name: "n1" } };
  await admin.createSubresource(pods, { namespace: "default", name: "p" }, "binding", binding);
  await until(mayRead);
  await admin.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await until(async () => !(await mayRead()));
});

/** The cache may be a moment behind etcd. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await setTimeout(1))
    assert.ok(Date.now() < end, "it never came");
}
