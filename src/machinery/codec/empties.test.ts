import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { dropEmpties, isGivenEmpty, restoreEmpties } from "./empties.ts";
import { decodeJson } from "./json.ts";

const schema = schemaOf("io.k8s.api.core.v1.Pod");
const text = '{"metadata":{"labels":{}},"spec":{"containers":[{"name":"c","args":[]}],"volumes":[]}}';
const decode = (empties: boolean): any => decodeJson(text, schema, { empties }).object;
const plain = (object: unknown): any => JSON.parse(JSON.stringify(object));

test("what a client gives empty is left out, comes back for as long as it is asked for, and goes again", () => {
  const pod = decode(true);
  const without = plain(pod);
  assert.equal(pod.metadata.labels, undefined);
  restoreEmpties(pod);
  assert.deepEqual(plain(pod.metadata.labels), {});
  assert.deepEqual(plain(pod.spec.containers[0].args), []);
  assert.ok(isGivenEmpty(pod.spec.volumes));
  dropEmpties(pod);
  assert.deepEqual(plain(pod), without);
});

test("what has been filled in meanwhile stays, and what has gone stays away", () => {
  const pod = decode(true);
  pod.metadata.labels = { a: "b" };
  pod.spec.containers = [];
  restoreEmpties(pod);
  pod.spec.volumes.push({ name: "v" });
  dropEmpties(pod);
  assert.deepEqual(plain(pod), {
    metadata: { labels: { a: "b" } },
    spec: { containers: [], volumes: [{ name: "v" }] },
    status: {},
  });
});

test("what is read from storage remembers nothing", () => {
  const pod = decode(false);
  const before = plain(pod);
  restoreEmpties(pod);
  assert.deepEqual(plain(pod), before);
});
