/** kubernetes-client 9, which makes its methods of the server's own OpenAPI document. */
import assert from "node:assert/strict";
import client from "kubernetes-client";
import Request from "kubernetes-client/backends/request/index.js";
import { deployment, eventually, step } from "./steps.mjs";

const namespace = "npm-kubernetes-client";

await step("kubernetes-client: methods made of /openapi/v2, objects, patches, logs, a watch", async () => {
  const kubeconfig = new client.KubeConfig();
  kubeconfig.loadFromDefault();
  const api = new client.Client1_13({ backend: new Request({ kubeconfig }) });
  const server = new client.Client({ backend: new Request({ kubeconfig }) });
  await server.loadSpec();
  assert.equal((await server.version.get()).body.minor, "36");
  await server.api.v1.namespaces.post({ body: { metadata: { name: namespace } } });
  const inside = server.apis.apps.v1.namespaces(namespace);
  const made = await inside.deployments.post({ body: deployment("web", 1) });
  assert.equal(made.statusCode, 201);
  await assert.rejects(inside.deployments.post({ body: deployment("web", 1) }), (error) => error.statusCode === 409);
  await eventually(async () => (await inside.deployments("web").get()).body.status.availableReplicas === 1);
  await inside.deployments("web").patch({ body: { spec: { replicas: 2 } } });
  await inside.deployments("web").patch({
    body: { metadata: { labels: { a: "b" } } },
    headers: { "content-type": "application/merge-patch+json" },
  });
  const found = await inside.deployments.get({ qs: { labelSelector: "a=b" } });
  assert.deepEqual(
    found.body.items.map(({ spec }) => spec.replicas),
    [2],
  );
  // Both, because either may come first and the log of one that is still starting is an error.
  await eventually(async () => (await inside.deployments("web").get()).body.status.availableReplicas === 2);
  const pods = await api.api.v1.namespaces(namespace).pods.get({ qs: { labelSelector: "app=web", limit: 1 } });
  const { name } = pods.body.items[0].metadata;
  await eventually(async () => (await api.api.v1.namespaces(namespace).pods(name).log.get()).body === "up\n");
  const events = await server.api.v1.watch.namespaces(namespace).configmaps.getObjectStream({
    qs: { fieldSelector: "metadata.name=c" },
  });
  const heard = new Promise((resolve) => events.once("data", resolve));
  await server.api.v1.namespaces(namespace).configmaps.post({ body: { metadata: { name: "c" } } });
  const { type, object } = await heard;
  assert.deepEqual([type, object.metadata.name], ["ADDED", "c"]);
  await server.api.v1.namespaces(namespace).delete();
});
process.exit(0);
