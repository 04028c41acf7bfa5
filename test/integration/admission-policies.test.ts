/** Admission policies in CEL: what they refuse, warn of and change, with parameters, variables and conditions. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { ASKABLE, ask } from "../../src/apiserver/testing/ask.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { machineWorld } from "../../src/cli/world.ts";
import type { RestRequest } from "../../src/client/transport.ts";
import { StatusError } from "../../src/machinery/status.ts";

const harness = await startServer(machineWorld(), ASKABLE);
after(() => harness[Symbol.asyncDispose]());
const { transport } = harness.client();
const GROUP = "/apis/admissionregistration.k8s.io/v1";
const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({ method, path, ...(body !== undefined && { body }), ...more }) as Promise<any>;

const RULES = [
  {
    operations: ["CREATE", "UPDATE"],
    apiGroups: ["", "apps"],
    apiVersions: ["v1"],
    resources: ["configmaps", "deployments"],
  },
];
const settings = (name: string, data: Record<string, string>, namespace = "default") =>
  send("POST", `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name, labels: { app: "x" } }, data });

async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "passed";
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.code} ${error.reason} ${error.message}`;
  }
}

/** Creates a policy and its binding, does something, takes them away. */
async function under(
  kind: "validating" | "mutating",
  spec: object,
  binding: object,
  work: () => Promise<void>,
): Promise<void> {
  const name = "policy.example.com";
  const policies = `${GROUP}/${kind}admissionpolicies`;
  const bindings = `${GROUP}/${kind}admissionpolicybindings`;
  await make(policies, { metadata: { name }, spec: { matchConstraints: { resourceRules: RULES }, ...spec } });
  await make(bindings, {
    metadata: { name: "binding" },
    spec: { policyName: name, ...(kind === "validating" && { validationActions: ["Deny"] }), ...binding },
  });
  try {
    await work();
  } finally {
    await takeAway(`${bindings}/binding`);
    await takeAway(`${policies}/${name}`);
  }
}

/** Admission reads from the watch cache, which may be a moment behind etcd: these return when it knows. */
async function make(
  collection: string,
  object: { readonly metadata: { readonly name: string }; readonly [field: string]: unknown },
): Promise<void> {
  const { metadata } = await send("POST", collection, object);
  const { resourceVersion } = metadata;
  await send("GET", `${collection}/${metadata.name}`, undefined, { query: { resourceVersion } });
}
async function takeAway(path: string): Promise<void> {
  await send("DELETE", path);
  const isThere = () =>
    send("GET", path, undefined, { query: { resourceVersion: "0" } }).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof StatusError && error.code === 404, String(error));
        return false;
      },
    );
  for (const end = Date.now() + 60_000; await isThere(); await setTimeout(1)) assert.ok(Date.now() < end, path);
}

const denies = (text: string, code = "422 Invalid") =>
  `${code} configmaps "one" is forbidden: ValidatingAdmissionPolicy 'policy.example.com' with binding 'binding' denied request: ${text}`;

const ROWS: readonly (readonly [name: string, spec: object, expected: string])[] = [
  ["a validation that holds", { validations: [{ expression: "object.data.size == 'small'" }] }, "passed"],
  [
    "a validation that doesn't",
    { validations: [{ expression: "object.data.size != 'small'" }] },
    denies("failed expression: object.data.size != 'small'"),
  ],
  [
    "a message and a reason",
    { validations: [{ expression: "false", message: "not so", reason: "Forbidden" }] },
    denies("not so", "403 Forbidden"),
  ],
  [
    "a message that is computed",
    { validations: [{ expression: "false", message: "no", messageExpression: "'size is ' + object.data.size" }] },
    denies("size is small"),
  ],
  [
    "a computed message that fails gives way to the plain one",
    { validations: [{ expression: "false", message: "no", messageExpression: "string(object.data.missing)" }] },
    denies("no"),
  ],
  [
    "a validation that fails to evaluate",
    { validations: [{ expression: "object.data.missing == 'x'" }] },
    denies("expression 'object.data.missing == 'x'' resulted in error: no such key: missing"),
  ],
  [
    "a failure that is to be passed over",
    { failurePolicy: "Ignore", validations: [{ expression: "object.data.missing == 'x'" }] },
    "passed",
  ],
  [
    "variables that use each other",
    {
      variables: [
        { name: "size", expression: "object.data.size" },
        { name: "isSmall", expression: "variables.size == 'small'" },
      ],
      validations: [{ expression: "!variables.isSmall", messageExpression: "'it is ' + variables.size" }],
    },
    denies("it is small"),
  ],
  [
    "a condition that doesn't hold",
    {
      matchConditions: [{ name: "others", expression: "object.metadata.name != 'one'" }],
      validations: [{ expression: "false" }],
    },
    "passed",
  ],
  [
    "what the authoriser says",
    {
      validations: [
        { expression: "!authorizer.group('').resource('pods').namespace('default').check('list').allowed()" },
      ],
    },
    denies("failed expression: !authorizer.group('').resource('pods').namespace('default').check('list').allowed()"),
  ],
  [
    "the namespace's labels",
    { validations: [{ expression: "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'" }] },
    "passed",
  ],
];

for (const [name, spec, expected] of ROWS)
  test(`validating: ${name}`, async () => {
    await under("validating", spec, {}, async () => {
      assert.equal(await outcome(settings("one", { size: "small" })), expected);
    });
    await send("DELETE", "/api/v1/namespaces/default/configmaps/one").catch(() => {});
  });

test("a binding that warns lets the request pass and says so", async () => {
  await under(
    "validating",
    { validations: [{ expression: "false", message: "not so" }] },
    { validationActions: ["Warn"] },
    async () => {
      const { status, headers } = await ask(harness, "POST", "/api/v1/namespaces/default/configmaps", {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ metadata: { name: "warned" } }),
      });
      assert.equal(status, 201);
      assert.deepEqual(headers["warning"], [
        `299 - "Validation failed for ValidatingAdmissionPolicy 'policy.example.com' with binding 'binding': not so"`,
      ]);
    },
  );
});

test("parameters come from the object that the binding names, and are missed where it isn't", async () => {
  const spec = {
    paramKind: { apiVersion: "v1", kind: "ConfigMap" },
    matchConditions: [{ name: "others", expression: "object.metadata.name == 'sized'" }],
    validations: [
      { expression: "object.data.size == params.data.allowed", messageExpression: "'allowed: ' + params.data.allowed" },
    ],
  };
  const paramRef = { name: "limits", namespace: "default", parameterNotFoundAction: "Deny" };
  await under("validating", spec, { paramRef }, async () => {
    assert.match(
      await outcome(settings("sized", { size: "small" })),
      /failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction/,
    );
  });
  await make("/api/v1/namespaces/default/configmaps", { metadata: { name: "limits" }, data: { allowed: "large" } });
  await under("validating", spec, { paramRef }, async () => {
    assert.match(await outcome(settings("sized", { size: "small" })), /denied request: allowed: large$/);
    assert.equal(await outcome(settings("sized", { size: "large" })), "passed");
  });
});

test("a mutating policy lays a configuration over the object", async () => {
  const expression = `Object{
    metadata: Object.metadata{labels: {"team": "blue", "was": string(object.metadata.labels.app)}},
    data: {"added": variables.text}
  }`;
  const spec = {
    failurePolicy: "Fail",
    reinvocationPolicy: "Never",
    variables: [{ name: "text", expression: "'by ' + request.userInfo.username" }],
    mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression } }],
  };
  await under("mutating", spec, {}, async () => {
    const { metadata, data } = await settings("mutated", { kept: "yes" });
    assert.deepEqual(metadata.labels, { app: "x", team: "blue", was: "x" });
    assert.deepEqual(data, { added: "by admin", kept: "yes" });
  });
});

test("a mutating policy patches, and doesn't where its test fails", async () => {
  const expression = `[
    JSONPatch{op: "test", path: "/data/kind", value: "blue"},
    JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/kind"), value: object.data.kind}
  ]`;
  const spec = {
    failurePolicy: "Fail",
    reinvocationPolicy: "Never",
    mutations: [{ patchType: "JSONPatch", jsonPatch: { expression } }],
  };
  await under("mutating", spec, {}, async () => {
    assert.equal((await settings("patched", { kind: "blue" })).metadata.labels["example.com/kind"], "blue");
    assert.equal((await settings("unpatched", { kind: "red" })).metadata.labels["example.com/kind"], undefined);
  });
});

test("a mutation that misnames a type or replaces a whole list is refused", async () => {
  const of = (expression: string) => ({
    failurePolicy: "Fail",
    reinvocationPolicy: "Never",
    mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression } }],
  });
  await under("mutating", of("Object{metadata: Object.spec{}}"), {}, async () => {
    assert.equal(
      await outcome(settings("refused", {})),
      `403 Invalid policy 'policy.example.com' with binding 'binding' denied request: type mismatch: unexpected type name "Object.spec", expected "Object.metadata", which matches field name path from root Object type`,
    );
  });
});

test("each mutation that fails is a cause of its own, and the ones after it are tried all the same", async () => {
  const patch = (expression: string) => ({ patchType: "JSONPatch", jsonPatch: { expression } });
  const spec = {
    failurePolicy: "Fail",
    reinvocationPolicy: "Never",
    mutations: [patch("[JSONPatch{op: 'remove', path: '/nope'}]"), patch("[JSONPatch{op: 'foo', path: '/nope'}]")],
  };
  await under("mutating", spec, {}, async () => {
    const refusal = await settings("refused", {}).then(assert.fail, (error: unknown) => error);
    assert.ok(refusal instanceof StatusError);
    assert.deepEqual([refusal.code, refusal.reason, refusal.details.causes?.length], [403, "Invalid", 2]);
  });
});

test("who can't read parameters makes no policy take them and binds none to them", async () => {
  const user = { name: "alice", uid: "u", groups: ["system:authenticated"], extra: {} };
  const rules = [
    { apiGroups: ["admissionregistration.k8s.io"], resources: ["*"], verbs: ["*"] },
    { apiGroups: [""], resources: ["configmaps"], resourceNames: ["mine"], verbs: ["get"] },
  ];
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  await send("POST", `${rbac}/clusterroles`, { metadata: { name: "alice" }, rules });
  await send("POST", `${rbac}/clusterrolebindings`, {
    metadata: { name: "alice" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "alice" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "alice" }],
  });
  const alice = harness.client(user).transport;
  const refused = (path: string, body: object) =>
    outcome(alice.send({ method: "POST", path: `${GROUP}/${path}`, body }) as Promise<unknown>);
  const spec = {
    paramKind: { apiVersion: "v1", kind: "ConfigMap" },
    matchConstraints: { resourceRules: RULES },
    validations: [{ expression: "true" }],
  };
  const shown = "&{alice u [system:authenticated] map[]}";
  assert.equal(
    await refused("validatingadmissionpolicies", { metadata: { name: "a" }, spec }),
    `422 Invalid ValidatingAdmissionPolicy.admissionregistration.k8s.io "a" is invalid: spec.paramKind: Forbidden: user ${shown} must have "get" permission on all objects of the referenced paramKind (kind=ConfigMap, apiVersion=v1)`,
  );
  assert.match(
    await refused("validatingadmissionpolicies", { metadata: { name: "a" }, spec: { ...spec, validations: [] } }),
    /spec.validations: Required value/,
  );
  const { paramKind: _, ...free } = spec;
  assert.equal(await refused("validatingadmissionpolicies", { metadata: { name: "free" }, spec: free }), "passed");
  await send("POST", `${GROUP}/validatingadmissionpolicies`, { metadata: { name: "guarded" }, spec });
  const binding = (name: string, policyName: string, param: string) =>
    refused("validatingadmissionpolicybindings", {
      metadata: { name },
      spec: {
        policyName,
        validationActions: ["Deny"],
        paramRef: { name: param, namespace: "default", parameterNotFoundAction: "Deny" },
      },
    });
  const why =
    'ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io "b" is invalid: spec.paramRef: Forbidden: ';
  assert.equal(await binding("mine", "guarded", "mine"), "passed");
  assert.equal(
    await binding("b", "guarded", "other"),
    `422 Invalid ${why}user ${shown} does not have "get" permission on the object referenced by paramRef`,
  );
  assert.equal(
    await binding("b", "missing", "mine"),
    `422 Invalid ${why}unable to get policy missing to determine minimum required permissions and user ${shown} does not have "get" permission for all groups, versions and resources`,
  );
  for (const path of ["policybindings/mine", "policies/guarded", "policies/free"])
    await send("DELETE", `${GROUP}/validatingadmission${path}`);
});
