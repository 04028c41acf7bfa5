import assert from "node:assert/strict";
import { test } from "node:test";
import type { RestRequest } from "../../client/transport.ts";
import { StatusError } from "../../machinery/status.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { startServer } from "../testing/harness.ts";

test("the scale of a custom object that doesn't say how many there should be", async () => {
  await using harness = await startServer(nodeWorld());
  const { transport } = harness.client();
  const send = (method: RestRequest["method"], path: string, body?: unknown, patchType?: string) =>
    transport.send({
      method,
      path,
      ...(body !== undefined && { body }),
      ...(patchType !== undefined && { patchType }),
    } as RestRequest) as Promise<any>;
  const free = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "farms.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "farms", kind: "Farm" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec: free, status: free } } },
          subresources: {
            scale: {
              specReplicasPath: ".spec.herd.size",
              statusReplicasPath: ".status.cows",
              labelSelectorPath: ".status.selector",
            },
          },
        },
      ],
    },
  });
  const farms = "/apis/example.com/v1/namespaces/default/farms";
  const merge = "application/merge-patch+json";
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => "done",
      (error: unknown) => (error instanceof StatusError ? `${error.code} ${error.message}` : String(error)),
    );
  const farm = { apiVersion: "example.com/v1", kind: "Farm", metadata: { name: "a" } };
  await send("POST", farms, { ...farm, spec: {}, status: { cows: 3, selector: "cow=yes" } });
  assert.equal(
    await refusal(send("GET", `${farms}/a/scale`)),
    '500 Internal error occurred: the spec replicas field ".spec.herd.size" does not exist',
  );
  assert.equal(
    await refusal(send("PATCH", `${farms}/a/scale`, { metadata: { labels: { a: "b" } } }, merge)),
    '400 the spec replicas field ".spec.herd.size" cannot be empty',
  );
  const scaled = await send("PATCH", `${farms}/a/scale`, { spec: { replicas: 5 } }, merge);
  assert.deepEqual(scaled.spec, { replicas: 5 });
  assert.deepEqual(scaled.status, { replicas: 3, selector: "cow=yes" });
  assert.deepEqual((await send("GET", `${farms}/a`)).spec, { herd: { size: 5 } });
  assert.deepEqual((await send("GET", `${farms}/a/scale`)).spec, { replicas: 5 });
  await send("POST", farms, { ...farm, metadata: { name: "b" }, spec: { herd: { size: 0 } } });
  assert.deepEqual((await send("GET", `${farms}/b/scale`)).status, { replicas: 0 });
});
