/** Objects of as many levels as upstream takes, by every way of writing and reading; what is deeper is the client's mistake. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { decodeCbor, encodeCbor } from "../machinery/codec/cbor.ts";
import { stackHolds } from "../machinery/codec/json-text.ts";
import { parseYaml } from "../machinery/codec/yaml.ts";
import { builtinResources } from "../api/index.ts";
import { APPLY, JSON_PATCH, MERGE, YAML } from "../testing/filled-server.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  featureGates: new Map([["CBORServingAndStorage", true]]),
});
after(() => harness[Symbol.asyncDispose]());

const CBOR = "application/cbor";
const THINGS = "/apis/deep.example.com/v1/things";
const send = (method: string, url: string, body?: string | Uint8Array, type = "application/json", accept = type) =>
  ask(harness, method, url, { headers: { "content-type": type, accept }, ...(body !== undefined && { body }) });

const nested = (levels: number) => '{"a":'.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);
const thing = (name: string, levels: number) =>
  `{"apiVersion":"deep.example.com/v1","kind":"Thing","metadata":{"name":"${name}"},"spec":${nested(levels - 1)}}`;
const yaml = (text: string) => text.replaceAll('":', '": ');
function levelsOf(object: any): number {
  let levels = 1;
  for (let at = object.spec; at !== undefined; at = at.a) levels++;
  return levels;
}

const defined = await send(
  "POST",
  "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
  JSON.stringify({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "things.deep.example.com" },
    spec: {
      group: "deep.example.com",
      scope: "Cluster",
      names: { plural: "things", kind: "Thing" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        },
      ],
    },
  }),
);
assert.equal(defined.status, 201);
while ((await send("GET", THINGS)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 10));

for (const levels of [999, 1_001, 9_990])
  test(
    `an object of ${levels} levels is created, patched, applied and read in every encoding`,
    { skip: !stackHolds(levels) && "the stack of this process is too small: tools/node.sh gives it more" },
    async () => {
      const at = (name: string) => `${THINGS}/${name}-${levels}`;
      const text = (name: string) => thing(`${name}-${levels}`, levels);
      const codes: [string, number][] = [];
      const done = async (what: string, answer: Promise<{ status: number }>) =>
        codes.push([what, (await answer).status]);
      await done("json", send("POST", THINGS, text("json")));
      await done("yaml", send("POST", THINGS, yaml(text("yaml")), YAML));
      await done("cbor", send("POST", THINGS, encodeCbor(JSON.parse(text("cbor"))), CBOR));
      await done("plain", send("POST", THINGS, thing(`plain-${levels}`, 3)));
      await done("merge", send("PATCH", at("plain"), `{"spec":${nested(levels - 1)}}`, MERGE, "application/json"));
      const operations = `[{"op":"add","path":"/other","value":${nested(levels - 2)}}]`;
      await done("json patch", send("PATCH", at("plain"), operations, JSON_PATCH, "application/json"));
      const apply = `${at("applied")}?fieldManager=m`;
      await done("apply", send("PATCH", apply, yaml(text("applied")), APPLY, "application/json"));
      assert.deepEqual(codes, [
        ["json", 201],
        ["yaml", 201],
        ["cbor", 201],
        ["plain", 201],
        ["merge", 200],
        ["json patch", 200],
        ["apply", 201],
      ]);
      for (const name of ["json", "yaml", "cbor", "plain", "applied"])
        assert.equal(levelsOf(JSON.parse((await send("GET", at(name))).body.toString())), levels, name);
      assert.equal(levelsOf(parseYaml((await send("GET", at("json"), undefined, YAML)).body)), levels);
      const open = { type: "object", preserveUnknownFields: true } as const;
      const read = (await send("GET", at("json"), undefined, CBOR)).body;
      assert.equal(levelsOf(decodeCbor(read, open, { custom: true }).object), levels);
    },
  );

test("what has more than 10,000 levels is refused", async () => {
  const text = thing("deeper", 10_001);
  const tooDeep = "invalid character '{' exceeded max depth";
  for (const [method, url, body, type, message] of [
    ["POST", THINGS, text, "application/json", `json parse error: ${tooDeep}`],
    ["POST", THINGS, yaml(text), YAML, "exceeded max depth"],
    ["PATCH", `${THINGS}/plain-999`, `{"spec":${nested(10_000)}}`, MERGE, `error decoding patch: ${tooDeep}`],
    ["PATCH", `${THINGS}/deeper?fieldManager=m`, text, APPLY, "yaml: exceeded max depth of 10000"],
  ] as const) {
    const answer = await send(method, url, body, type, "application/json");
    const status = JSON.parse(answer.body.toString());
    assert.ok(status.message.includes(message), status.message);
    assert.equal(answer.status, 400, message);
  }
});
