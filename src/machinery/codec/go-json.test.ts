/** What the genuine server answers, byte for byte. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { escaped, goJson } from "./go-json.ts";

const pod = schemaOf("io.k8s.api.core.v1.Pod");

const ROWS: readonly (readonly [string, string, object, string])[] = [
  [
    "fields come in the order of their declaration, what a kind is first",
    "io.k8s.api.core.v1.ConfigMap",
    {
      data: { b: "1", a: "2" },
      metadata: { labels: { b: "", a: "" }, name: "x" },
      apiVersion: "v1",
      kind: "ConfigMap",
    },
    '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","labels":{"a":"","b":""}},"data":{"a":"2","b":"1"}}',
  ],
  [
    "a reference is no object of its own",
    "io.k8s.api.autoscaling.v2.CrossVersionObjectReference",
    { apiVersion: "apps/v1", name: "d", kind: "Deployment" },
    '{"kind":"Deployment","name":"d","apiVersion":"apps/v1"}',
  ],
  [
    "a time that is not there is null",
    "io.k8s.api.core.v1.PodCondition",
    { type: "Ready", status: "True" },
    '{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":null}',
  ],
  ["but not that of a creation", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", {}, "{}"],
  [
    "a list without omitempty is null when it is empty",
    "io.k8s.api.rbac.v1.Role",
    { metadata: {}, rules: [] },
    '{"metadata":{},"rules":null}',
  ],
  [
    "a list of objects never is",
    "io.k8s.api.core.v1.PodList",
    { metadata: {}, items: [] },
    '{"metadata":{},"items":[]}',
  ],
  [
    "a pointer without omitempty is null",
    "io.k8s.api.apps.v1.DeploymentSpec",
    { template: { metadata: {}, spec: { containers: [{ name: "c" }] } }, strategy: {} },
    '{"selector":null,"template":{"metadata":{},"spec":{"containers":[{"name":"c"}]}},"strategy":{}}',
  ],
];

for (const [words, schema, object, json] of ROWS)
  test(words, () => assert.equal(goJson(object, schemaOf(schema)), json));

test("what HTML would take for its own is escaped", () => {
  const object = { metadata: { annotations: { a: "<b>&\u2028\u2029" } } };
  assert.equal(goJson(object, pod), '{"metadata":{"annotations":{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029"}}}');
  assert.equal(escaped("plain"), "plain");
  assert.deepEqual(JSON.parse(goJson(object, pod)), object);
});

test("a custom resource has its keys in the order of the alphabet, all the way down, and no nulls but its own", () => {
  const object = {
    kind: "W",
    apiVersion: "e/v1",
    spec: { b: [{ d: 1, c: null }], a: [] },
    metadata: { name: "n", labels: {} },
  };
  assert.equal(
    goJson(object, { type: "object", properties: new Map() }),
    '{"apiVersion":"e/v1","kind":"W","metadata":{"labels":{},"name":"n"},"spec":{"a":[],"b":[{"c":null,"d":1}]}}',
  );
});

test("__proto__ is a key like any other", () => {
  const object = JSON.parse('{"metadata":{"labels":{"b":"","__proto__":"x"}}}');
  assert.equal(goJson(object, pod), '{"metadata":{"labels":{"__proto__":"x","b":""}}}');
});
