import assert from "node:assert/strict";
import { test } from "node:test";
import { deployments } from "../client/resources.ts";
import { startCluster } from "./library.ts";

const web = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "nginx" }] } },
  },
};

test("two clusters in one process run their deployments and never meet", async () => {
  await using one = await startCluster({ nodes: 2 });
  await using two = await startCluster();
  await one.client.create(deployments, web);
  for await (const { object } of one.client.watch(deployments, { namespace: "default" })) {
    if (object.status.readyReplicas === 3) break;
  }
  assert.deepEqual((await two.client.list(deployments)).items, []);
  assert.notEqual(one.server, two.server);
});

test("a cluster that is called off before it is ready says so and is gone", async () => {
  const stop = new AbortController();
  stop.abort(new Error("never mind"));
  await assert.rejects(startCluster({ signal: stop.signal }), /never mind/);
});
