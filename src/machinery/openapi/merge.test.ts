import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeOpenApiV2 } from "./merge.ts";

const ref = (name: string) => ({ schema: { $ref: `#/definitions/${name}` } });
const base = {
  swagger: "2.0",
  paths: { "/api/v1/pods": { get: ref("Pod") } },
  definitions: { Pod: { type: "object" }, Meta: { type: "object", description: "one" }, Status: { type: "object" } },
};

test("another server's group comes with what it uses, and nothing else", () => {
  const document = {
    paths: {
      "/apis/metrics.k8s.io/v1/pods": { get: ref("PodMetrics") },
      "/apis/metrics.k8s.io/v1beta1/pods": { get: ref("Old") },
      "/apis/metrics.k8s.io/v10/pods": { get: ref("Old") },
      "/healthz": {},
    },
    definitions: {
      PodMetrics: {
        properties: { metadata: { $ref: "#/definitions/Meta" }, status: { $ref: "#/definitions/Status" } },
      },
      Meta: { description: "two", type: "object" },
      Status: { type: "object", properties: { more: { type: "string" } } },
      Old: {},
      Unused: {},
    },
  };
  const merged: any = mergeOpenApiV2(base, [{ document, group: "metrics.k8s.io", version: "v1" }]);
  assert.deepEqual(Object.keys(merged.paths), ["/api/v1/pods", "/apis/metrics.k8s.io/v1/pods"]);
  assert.deepEqual(Object.keys(merged.definitions).sort(), ["Meta", "Pod", "PodMetrics", "Status", "Status_v2"]);
  // The same but for its words is the same; another thing of that name is told apart.
  assert.deepEqual(merged.definitions.PodMetrics.properties, {
    metadata: { $ref: "#/definitions/Meta" },
    status: { $ref: "#/definitions/Status_v2" },
  });
  assert.deepEqual(base.definitions.Status, { type: "object" });
});

test("a path that is there stays, and without other servers a document is itself", () => {
  const document = { paths: { "/apis/g/v1/a": { get: 2 } }, definitions: {} };
  const first: any = mergeOpenApiV2(base, [
    { document: { paths: { "/apis/g/v1/a": { get: 1 } } }, group: "g", version: "v1" },
  ]);
  assert.equal((mergeOpenApiV2(first, [{ document, group: "g", version: "v1" }]) as any).paths["/apis/g/v1/a"].get, 1);
  assert.equal(mergeOpenApiV2(base, []), base);
});

test("parameters that another server's operations share come along, and keep apart from ours", () => {
  const shared = (name: string) => ({ parameters: [{ $ref: `#/parameters/${name}` }] });
  const own = { ...base, parameters: { "limit-a": { name: "limit", type: "integer" } } };
  const document = {
    paths: { "/apis/g/v1/a": { ...shared("limit-a"), get: shared("pretty-a") } },
    parameters: { "limit-a": { name: "limit", type: "string" }, "pretty-a": { name: "pretty" }, "watch-a": {} },
  };
  const merged: any = mergeOpenApiV2(own, [{ document, group: "g", version: "v1" }]);
  assert.deepEqual(Object.keys(merged.parameters), ["limit-a", "limit-a_v2", "pretty-a"]);
  assert.deepEqual(merged.paths["/apis/g/v1/a"], { ...shared("limit-a_v2"), get: shared("pretty-a") });
});
