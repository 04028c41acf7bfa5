import assert from "node:assert/strict";
import test from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const MAP = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { x: "1" } };
const YAML = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n";

/** Type, patch, what is told. A kube-apiserver said the same. */
const ROWS: readonly (readonly [string, string, readonly string[]])[] = [
  ["merge-patch+json", '{"data":{"x":"2","x":"3"}}', ['duplicate field "data.x"']],
  ["merge-patch+json", '{"data":{"x":"2","x":"3"},"foo":1}', ['duplicate field "data.x"', 'unknown field "foo"']],
  ["strategic-merge-patch+json", '{"data":{"x":"2","x":"3"}}', ['duplicate field "data.x"']],
  [
    "json-patch+json",
    '[{"op":"add","path":"/data/y","value":"1","foo":1,"value":"2"}]',
    ['json patch unknown field "[0].foo"', 'json patch duplicate field "[0].value"'],
  ],
  [
    "json-patch+json",
    '[{"op":"add","path":"/data/y","value":"1","path":"/data/z"},{"op":"add","path":"/bla","value":{"a":1,"a":2}}]',
    ['json patch duplicate field "[0].path"', 'json patch duplicate field "[1].value.a"', 'unknown field "bla"'],
  ],
  ["apply-patch+yaml", `${YAML}  k: a\n  k: b\n`, ['line 7: key "k" already set in map']],
];

test("what a patch says twice, and what is no part of one, is refused or warned of as field validation asks", async () => {
  await using harness = await startServer(nodeWorld(), ASKABLE);
  const said = async (type: string, fieldValidation: string, body: string) => {
    const force = type.startsWith("apply") ? "&force=true&fieldManager=m" : "";
    const answer = await ask(harness, "PATCH", `${MAPS}/a?fieldValidation=${fieldValidation}${force}`, {
      headers: { "content-type": `application/${type}` },
      body,
    });
    const { warning = [] } = answer.headers;
    return { status: answer.status, warnings: [warning].flat(), message: JSON.parse(answer.body.toString()).message };
  };
  await ask(harness, "POST", MAPS, { headers: { "content-type": "application/json" }, body: JSON.stringify(MAP) });
  for (const [type, body, faults] of ROWS) {
    const strict = await said(type, "Strict", body);
    if (type === "apply-patch+yaml") {
      const lines = faults.map((fault) => `  ${fault}`).join("\n");
      const why = `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n${lines}`;
      assert.deepEqual([strict.status, strict.message], [400, why]);
    } else {
      assert.equal(strict.status, 422, body);
      assert.ok(strict.message.endsWith(`: strict decoding error: ${faults.join(", ")}`), strict.message);
    }
    const warned = await said(type, "Warn", body);
    assert.equal(warned.status, 200, body);
    assert.deepEqual(
      warned.warnings,
      faults.map((fault) => `299 - ${JSON.stringify(fault)}`),
    );
    const ignored = await said(type, "Ignore", body);
    assert.deepEqual([ignored.status, ignored.warnings], [200, []], body);
  }
});
