import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "../../client/transport.ts";
import { checkPolicy } from "./check.ts";
import { kindsOf } from "./kinds.ts";

/** A server that serves one custom kind. */
const document = {
  components: {
    schemas: {
      "com.example.Widget": {
        type: "object",
        properties: { spec: { $ref: "#/components/schemas/com.example.Spec" } },
        "x-kubernetes-group-version-kind": [{ group: "example.com", version: "v1", kind: "Widget" }],
      },
      "com.example.Spec": {
        type: "object",
        properties: {
          size: { type: "integer" },
          port: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
          inner: { allOf: [{ $ref: "#/components/schemas/com.example.Spec" }] },
        },
      },
    },
  },
};
const transport = {
  send: async ({ path }: { path: string }) => {
    if (path !== "/apis/example.com/v1") throw new Error("not found");
    return { resources: [{ name: "widgets", kind: "Widget" }] };
  },
  raw: async () => ({
    status: 200,
    body: (async function* () {
      yield Buffer.from(JSON.stringify(document));
    })(),
  }),
} as unknown as Transport;
const kinds = kindsOf(transport, new AbortController().signal);

const deployments = { apiGroups: ["apps"], apiVersions: ["v1"], operations: ["*"], resources: ["deployments"] };
const check = (rules: object[], validations: object[], more: object = {}) =>
  checkPolicy(
    { metadata: { name: "p" }, spec: { matchConstraints: { resourceRules: rules }, validations, ...more } } as any,
    kinds,
  );

test("what fits the kinds that a policy is about is nothing to tell", async () => {
  const expressions = [
    "object.spec.replicas > 1",
    "object.spec.template.spec.containers.all(c, c.image.startsWith('x') && has(c.resources.limits))",
    "object.metadata.labels['a'] == 'b' || oldObject.kind == 'Deployment'",
    "object.spec.strategy.rollingUpdate.maxSurge == 1 || object.spec.strategy.rollingUpdate.maxSurge == '5%'",
    "request.userInfo.username == 'a' && authorizer.group('').resource('pods').check('get').allowed()",
    "variables.n > 1",
  ];
  const variables = [{ name: "n", expression: "object.spec.replicas" }];
  assert.deepEqual(
    await check(
      [deployments],
      expressions.map((expression) => ({ expression, messageExpression: "'no ' + object.metadata.name" })),
      { variables },
    ),
    [],
  );
});

test("a field that there isn't and types that don't go together are told with the place, kind by kind", async () => {
  const statefulSets = { ...deployments, resources: ["statefulsets", "statefulsets/scale", "*"] };
  assert.deepEqual(
    await check(
      [deployments, statefulSets],
      [
        { expression: "object.spec.strategy.type == 'x'", messageExpression: "object.spec.zz" },
        { expression: "object.spec.replicas > 'a'" },
      ],
    ),
    [
      {
        fieldRef: "spec.validations[0].expression",
        warning:
          "apps/v1, Kind=StatefulSet: ERROR: <input>:1:12: undefined field 'strategy'\n | object.spec.strategy.type == 'x'\n | ...........^\n",
      },
      {
        fieldRef: "spec.validations[0].messageExpression",
        warning:
          "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'zz'\n | object.spec.zz\n | ...........^\n\napps/v1, Kind=StatefulSet: ERROR: <input>:1:12: undefined field 'zz'\n | object.spec.zz\n | ...........^\n",
      },
      {
        fieldRef: "spec.validations[1].expression",
        warning:
          "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | object.spec.replicas > 'a'\n | .....................^\n\napps/v1, Kind=StatefulSet: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | object.spec.replicas > 'a'\n | .....................^\n",
      },
    ],
  );
});

test("custom kinds are asked of their server; wildcards and what isn't served name no kind", async () => {
  const widgets = { apiGroups: ["example.com"], apiVersions: ["v1"], operations: ["*"], resources: ["widgets"] };
  const wrong = [{ expression: "object.spec.zz == 1" }];
  const [warning] = await check([widgets], wrong);
  assert.match(warning!.warning, /^example.com\/v1, Kind=Widget: ERROR: <input>:1:12: undefined field 'zz'/);
  assert.deepEqual(await check([widgets], [{ expression: "object.spec.size > 1 && object.spec.port == 'a'" }]), []);
  for (const rule of [
    { ...deployments, apiGroups: ["*"] },
    { ...deployments, apiVersions: ["*"] },
    { ...deployments, resources: ["*", "deployments/scale"] },
    { ...widgets, apiGroups: ["other.com"] },
  ])
    assert.deepEqual(await check([rule], wrong), []);
  const params = { paramKind: { apiVersion: "example.com/v1", kind: "Widget" } };
  const [misread] = await check([deployments], [{ expression: "params.spec.zz == 1" }], params);
  assert.match(misread!.warning, /undefined field 'zz'/);
});
