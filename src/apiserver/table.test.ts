import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  describe: (type, field) => `${type.split(".").at(-1)} ${field}`,
});
after(() => harness[Symbol.asyncDispose]());

async function json(method: string, url: string, body?: object, accept = "application/json"): Promise<any> {
  const answer = await ask(harness, method, url, {
    headers: { accept, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  assert.ok(answer.status < 300, answer.body.toString());
  return JSON.parse(answer.body.toString());
}
const tableAt = (url: string) => json("GET", url, undefined, "application/json;as=Table;g=meta.k8s.io;v=v1");

test("a column says what it is about: in words of its own, or in those of the field that it shows", async () => {
  const { columnDefinitions } = await tableAt("/api/v1/pods");
  assert.deepEqual(
    columnDefinitions.slice(0, 6).map(({ description }: any) => description),
    [
      "ObjectMeta name",
      "The aggregate readiness state of this pod for accepting traffic.",
      "The aggregate status of the containers in this pod.",
      "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
      "ObjectMeta creationTimestamp",
      "PodStatus podIP",
    ],
  );
});

test("a row of an IP address has its age, which no column tells of", async () => {
  const parentRef = { resource: "services", namespace: "default", name: "s" };
  await json("POST", "/apis/networking.k8s.io/v1/ipaddresses", {
    metadata: { name: "192.168.7.7" },
    spec: { parentRef },
  });
  const { columnDefinitions, rows } = await tableAt("/apis/networking.k8s.io/v1/ipaddresses/192.168.7.7");
  assert.deepEqual(
    columnDefinitions.map(({ name }: any) => name),
    ["Name", "ParentRef"],
  );
  assert.deepEqual(rows[0].cells.slice(0, 2), ["192.168.7.7", "services/default/s"]);
  assert.match(rows[0].cells[2], /^\d+s$/);
});

test("readings of every source of an autoscaler travel in the older version, whatever type they say they are of", async () => {
  const path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
  const made = await json("POST", path, {
    metadata: { name: "a" },
    spec: { maxReplicas: 2, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" } },
  });
  const reading = {
    type: "Odd",
    pods: { metric: { name: "m" }, current: { averageValue: "3" } },
    resource: { name: "cpu", current: { averageUtilization: 3 } },
  };
  await json("PUT", `${path}/a/status`, {
    ...made,
    status: { currentReplicas: 1, desiredReplicas: 1, currentMetrics: [reading] },
  });
  const older = await json("GET", `${path.replace("v2", "v1")}/a`);
  assert.equal(
    older.metadata.annotations["autoscaling.alpha.kubernetes.io/current-metrics"],
    '[{"type":"Odd","pods":{"metricName":"m","currentAverageValue":"3"},"resource":{"name":"cpu","currentAverageUtilization":3,"currentAverageValue":"0"}}]',
  );
  assert.equal((await tableAt(`${path.replace("v2", "v1")}/a`)).rows[0].cells[1], "Deployment/d");
});
