/** Conditions in CEL decide whether a webhook is asked. The webhook here can't be reached: who asks it, fails. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { machineWorld } from "../../src/cli/world.ts";
import type { RestRequest } from "../../src/client/transport.ts";
import { StatusError } from "../../src/machinery/status.ts";

const harness = await startServer(machineWorld());
after(() => harness[Symbol.asyncDispose]());
const { transport } = harness.client();
const HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const MAPS = "/api/v1/namespaces/default/configmaps";
const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({ method, path, ...(body !== undefined && { body }), ...more }) as Promise<any>;

const configuration = (matchConditions: readonly object[], more: object = {}) => ({
  metadata: { name: "hook" },
  webhooks: [
    {
      name: "hook.example.com",
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      clientConfig: { service: { namespace: "default", name: "nowhere" } },
      rules: [{ operations: ["CREATE", "UPDATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
      matchConditions,
      ...more,
    },
  ],
});
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "passed";
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.code} ${error.message}`;
  }
}

const ASKED =
  '500 Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: Post "https://nowhere.default.svc:443/?timeout=10s": service "nowhere" not found';
const forbids = (why: string) => `403 configmaps "one" is forbidden: ${why}`;
const overBudget =
  "[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, [a,b,c,d,e]))))).size() > 0";

const ROWS: readonly (readonly [name: string, expressions: readonly string[], expected: string, more?: object])[] = [
  ["no condition", [], ASKED],
  ["all are true", ["true", "object.metadata.name == 'one'"], ASKED],
  ["one is false", ["true", "request.operation == 'DELETE'"], "passed"],
  ["who asks may be looked at", ["request.userInfo.username != 'admin'"], "passed"],
  ["who asks may be asked about", ["!authorizer.group('').resource('pods').check('get').allowed()"], "passed"],
  [
    "what is asked may be asked about",
    ["authorizer.requestResource.check('create').allowed() && authorizer.path('/healthz').check('get').allowed()"],
    ASKED,
  ],
  [
    "another may be asked about",
    ["authorizer.serviceAccount('default', 'nobody').group('').resource('pods').check('get').allowed()"],
    "passed",
  ],
  ["there is no old object", ["oldObject != null"], "passed"],
  ["there is no namespace to look at", ["namespaceObject != null"], "passed"],
  [
    "a failure refuses",
    ["object.data.missing == 'x'"],
    forbids("expression 'object.data.missing == 'x'' resulted in error: no such key: data"),
  ],
  [
    "failures are told together",
    ["object.a == 1", "object.b == 1"],
    forbids(
      "[expression 'object.a == 1' resulted in error: no such key: a, expression 'object.b == 1' resulted in error: no such key: b]",
    ),
  ],
  ["a failure skips where failures are ignored", ["object.data.missing == 'x'"], "passed", { failurePolicy: "Ignore" }],
  ["one that is false outweighs failures", ["object.a == 1", "false"], "passed"],
  [
    "more than the budget refuses",
    [overBudget, overBudget, overBudget],
    forbids("validation failed due to running out of cost budget, no further validation rules will be run"),
  ],
];

for (const [name, expressions, expected, more] of ROWS)
  test(`a webhook with conditions: ${name}`, async () => {
    const conditions = expressions.map((expression, i) => ({ name: `c${i}`, expression }));
    await send("POST", HOOKS, configuration(conditions, more));
    await send("GET", HOOKS);
    const found = await outcome(send("POST", MAPS, { metadata: { name: "one" } }, { query: { dryRun: "All" } }));
    await send("DELETE", `${HOOKS}/hook`);
    await send("GET", HOOKS);
    assert.equal(found, expected);
  });

const PATH = "webhooks[0].matchConditions[0]";
const REFUSED: readonly (readonly [condition: object, errors: string])[] = [
  [{ name: "a", expression: "" }, `${PATH}.expression: Required value`],
  [{ name: "", expression: "true" }, `${PATH}.name: Required value`],
  [{ name: "a", expression: "1" }, `${PATH}.expression: Invalid value: "1": must evaluate to bool but got int`],
  [
    { name: "a", expression: "object.a == foo" },
    `${PATH}.expression: Invalid value: "object.a == foo": compilation failed: ERROR: <input>:1:13: undeclared reference to 'foo' (in container '')\n | object.a == foo\n | ............^`,
  ],
  [
    { name: "a", expression: "request.uid == ''" },
    `${PATH}.expression: Invalid value: "request.uid == ''": compilation failed: ERROR: <input>:1:8: undefined field 'uid'\n | request.uid == ''\n | .......^`,
  ],
  [
    { name: "a", expression: "params == null" },
    `${PATH}.expression: Invalid value: "params == null": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params == null\n | ^`,
  ],
];
for (const [condition, expected] of REFUSED)
  test(`a condition is refused: ${JSON.stringify(condition)}`, async () => {
    assert.equal(
      await outcome(send("POST", HOOKS, configuration([condition]))),
      `422 ValidatingWebhookConfiguration.admissionregistration.k8s.io "hook" is invalid: ${expected}`,
    );
  });

test("conditions have names of their own, and there are at most 64", async () => {
  const twice = [1, 2].map(() => ({ name: "a", expression: "true" }));
  assert.match(
    await outcome(send("POST", HOOKS, configuration(twice))),
    /webhooks\[0\]\.matchConditions\[1\]\.name: Duplicate value: "a"$/,
  );
  const many = Array.from({ length: 65 }, (_, i) => ({ name: `c${i}`, expression: "true" }));
  assert.match(
    await outcome(send("POST", HOOKS, configuration(many))),
    /webhooks\[0\]\.matchConditions: Too many: 65: must have at most 64 items$/,
  );
});
