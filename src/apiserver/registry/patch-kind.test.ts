/** Patches that make an object say that it is something else, and what a genuine kube-apiserver 1.36.2 answers. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const harness = await startServer(nodeWorld(), ASKABLE);
after(() => harness[Symbol.asyncDispose]());
const MAPS = "/api/v1/namespaces/default/configmaps";
const FOOS = "/apis/x.io/v1/namespaces/default/foos";
{
  const make = async (path: string, body: object) => await ask(harness, "POST", path, { body: JSON.stringify(body) });
  await make(MAPS, { metadata: { name: "a" }, data: { a: "b" } });
  const openAPIV3Schema = { type: "object", properties: { spec: { type: "object" } } };
  await make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "foos.x.io" },
    spec: {
      group: "x.io",
      scope: "Namespaced",
      names: { plural: "foos", kind: "Foo" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  });
  const foo = { apiVersion: "x.io/v1", kind: "Foo", metadata: { name: "a" } };
  while ((await make(FOOS, foo)).status === 404) await new Promise((resolve) => setImmediate(resolve));
}

const patch = async (path: string, type: string, body: unknown) => {
  const headers = { "content-type": `application/${type}+json` };
  const answer = await ask(harness, "PATCH", path, { headers, body: JSON.stringify(body) });
  return { status: answer.status, ...JSON.parse(answer.body.toString()) };
};

/** The end of the message, behind the text of the object. */
const ROWS: readonly (readonly [path: string, patch: object, status: number, end: string])[] = [
  [
    `${MAPS}/a`,
    { kind: "Foo" },
    422,
    ': no kind "Foo" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [
    `${MAPS}/a`,
    { apiVersion: "v2" },
    422,
    ': no kind "ConfigMap" is registered for version "v2" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [
    `${MAPS}/a`,
    { apiVersion: "apps/v1", kind: "Deployment" },
    422,
    ": converting (v1.Deployment) to (core.ConfigMap): unknown conversion",
  ],
  [
    `${MAPS}/a`,
    { kind: 5 },
    422,
    ": couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
  ],
  [
    `${FOOS}/a`,
    { kind: true },
    422,
    ": couldn't get version/kind; json parse error: json: cannot unmarshal bool into Go struct field .kind of type string",
  ],
  ...[{ metadata: null }, { metadata: { name: null } }, { metadata: { name: "" } }].flatMap((body) =>
    [`${MAPS}/a`, `${FOOS}/a`].map(
      (path) =>
        [path, body, 400, "the name of the object (a based on URL) was undeterminable: name must be provided"] as const,
    ),
  ),
  [
    `${MAPS}/a`,
    { apiVersion: null },
    400,
    "the name of the object (a based on URL) was undeterminable: name must be provided",
  ],
  [
    `${MAPS}/a`,
    { metadata: { namespace: "other" } },
    400,
    "the namespace of the provided object does not match the namespace sent on the request",
  ],
  [`${FOOS}/a`, { kind: "Bar" }, 422, 'Bar.x.io "a" is invalid: kind: Invalid value: "Bar": must be Foo'],
  [
    `${FOOS}/a`,
    { apiVersion: null },
    500,
    "Internal error occurred: Object 'apiVersion' is missing in 'object has no apiVersion field'",
  ],
];
for (const [path, body, status, end] of ROWS)
  test(`${JSON.stringify(body)} on ${path} is refused`, async () => {
    const answer = await patch(path, "merge-patch", body);
    assert.equal(answer.status === "Failure" ? answer.code : answer.status, status);
    assert.ok(answer.message.endsWith(end), answer.message);
  });

test("a custom object without a kind is shown in the order of the alphabet", async () => {
  const { message } = await patch(`${FOOS}/a`, "merge-patch", { kind: null });
  assert.match(message, /Object 'Kind' is missing in '\{"apiVersion":"x\.io\/v1","metadata":\{"creationTimestamp":/);
});

test("a strategic patch is put into the kind at hand, whatever it says", async () => {
  const { kind } = await patch(`${MAPS}/a`, "strategic-merge-patch", { kind: "Foo" });
  assert.equal(kind, "ConfigMap");
});

test("what a merge patch touched is shown in the order of the alphabet", async () => {
  const { message } = await patch(`${MAPS}/a`, "merge-patch", { data: { a: { z: 1, b: 2 } } });
  assert.match(message, /\{\\"apiVersion\\":\\"v1\\",\\"data\\":\{\\"a\\":\{\\"b\\":2,\\"z\\":1\}\},\\"kind\\":/);
});

test("a JSON patch that fails has details that are empty", async () => {
  const answer = await patch(`${MAPS}/a`, "json-patch", [{ op: "test", path: "/data/a", value: "c" }]);
  assert.deepEqual(answer.details, {});
});
