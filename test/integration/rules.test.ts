/** Rules in CEL of custom kinds: what definitions may say, and what objects may be. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ask, ASKABLE } from "../../src/apiserver/testing/ask.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { machineWorld } from "../../src/cli/world.ts";
import type { RestRequest } from "../../src/client/transport.ts";
import { StatusError } from "../../src/machinery/status.ts";

const harness = await startServer(machineWorld(), ASKABLE);
after(() => harness[Symbol.asyncDispose]());
const { transport } = harness.client();
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS = "/apis/example.com/v1/namespaces/default/things";
const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({
    method,
    path,
    ...(body !== undefined && { body }),
    ...more,
  }) as Promise<any>;

const MERGE = { patchType: "application/merge-patch+json" } as const;

const definition = (spec: object, more: object = {}) => ({
  metadata: { name: "things.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "things", kind: "Thing" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
        ...more,
      },
    ],
  },
});

/** Field and message of each cause, or nothing where it passed. */
async function causes(promise: Promise<unknown>): Promise<readonly string[]> {
  try {
    await promise;
    return [];
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    assert.equal(error.reason, "Invalid", error.message);
    return (error.details.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
}

const S = "spec.validation.openAPIV3Schema.properties[spec]";
const R = `${S}.x-kubernetes-validations[0]`;
const ruled = (
  rule: string,
  more: object = {},
  schema: object = { type: "object", properties: { a: { type: "integer" }, s: { type: "string" } } },
) => ({
  ...schema,
  "x-kubernetes-validations": [{ rule, ...more }],
});
const shown = (rule: string, more: object = {}) =>
  JSON.stringify({
    Rule: rule,
    Message: "",
    MessageExpression: "",
    Reason: null,
    FieldPath: "",
    OptionalOldSelf: null,
    ...more,
  })
    .replaceAll("<", "\\u003c")
    .replaceAll(">", "\\u003e")
    .replaceAll("&", "\\u0026");
const TOO_DEAR =
  "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";

const DEFINITIONS: readonly (readonly [name: string, spec: object, errors: readonly string[]])[] = [
  ["a rule that is fine", ruled("self.a > 1"), []],
  ["no rule", ruled(" "), [`${R}.rule: Required value: rule is not specified`]],
  [
    "an empty message",
    ruled("self.a > 1", { message: " " }),
    [`${R}.message: Invalid value: " ": must be non-empty if specified`],
  ],
  [
    "a message of two lines",
    ruled("self.a > 1", { message: "a\nb" }),
    [`${R}.message: Invalid value: "a\\nb": must not contain line breaks`],
  ],
  [
    "a rule of two lines",
    ruled("self.a\n > 1"),
    [`${R}.message: Required value: message must be specified if rule contains line breaks`],
  ],
  ["a rule of two lines with a message", ruled("self.a\n > 1", { message: "m" }), []],
  [
    "an empty message expression",
    ruled("self.a > 1", { messageExpression: " " }),
    [`${R}.messageExpression: Required value: messageExpression must be non-empty if specified`],
  ],
  [
    "a reason of one's own",
    ruled("self.a > 1", { reason: "Because" }),
    [
      `${R}.reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
    ],
  ],
  [
    "a path to nowhere",
    ruled("self.a > 1", { fieldPath: ".nope" }),
    [`${R}.fieldPath: Invalid value: ".nope": must be a valid path`],
  ],
  [
    "a path without a dot",
    ruled("self.a > 1", { fieldPath: "a" }),
    [`${R}.fieldPath: Invalid value: "a": must be a valid path`],
  ],
  ["a path in brackets", ruled("self.a > 1", { fieldPath: "['a']" }), []],
  [
    "an unknown field",
    ruled("self.foo > 1"),
    [
      `${R}.rule: Invalid value: ${shown("self.foo > 1")}: compilation failed: ERROR: <input>:1:5: undefined field 'foo'\n | self.foo > 1\n | ....^`,
    ],
  ],
  [
    "no bool",
    ruled("self.a"),
    [`${R}.rule: Invalid value: ${shown("self.a")}: cel expression must evaluate to a bool`],
  ],
  [
    "a message expression that is no text",
    ruled("self.a > 1", { messageExpression: "self.a" }),
    [
      `${R}.messageExpression: Invalid value: ${shown("self.a > 1", { MessageExpression: "self.a" })}: messageExpression must evaluate to a string`,
    ],
  ],
  [
    "a pattern that is none",
    ruled("self.s.matches('(')"),
    [
      `${R}.rule: Invalid value: ${shown("self.s.matches('(')")}: compilation failed: ERROR: <input>:1:16: invalid matches argument\n | self.s.matches('(')\n | ...............^`,
    ],
  ],
  [
    "what doesn't look back and says how",
    ruled("self.a > 1", { optionalOldSelf: true }),
    [`${R}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`],
  ],
  [
    "what looks back optionally",
    ruled("!oldSelf.hasValue() || self.a >= oldSelf.value().a", { optionalOldSelf: true }),
    [],
  ],
  [
    "items of a list have no past",
    { type: "array", maxItems: 5, items: ruled("self.a >= oldSelf.a") },
    [
      `${S}.items.x-kubernetes-validations[0].rule: Invalid value: "self.a >= oldSelf.a": oldSelf cannot be used on the uncorrelatable portion of the schema within ${S}`,
    ],
  ],
  [
    "items of a keyed list have",
    {
      type: "array",
      maxItems: 5,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["s"],
      items: { ...ruled("self.a >= oldSelf.a"), required: ["s"] },
    },
    [],
  ],
  [
    "a loop in a loop over lists without limits",
    ruled("self.all(x, self.all(y, x == y))", {}, { type: "array", items: { type: "integer" } }),
    [
      `${R}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x ${TOO_DEAR}`,
      `${R}.rule: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema`,
      `spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${TOO_DEAR}`,
    ],
  ],
  [
    "a message that is dear to make",
    ruled(
      "true",
      { messageExpression: "self.map(x, x + self[0]).join()" },
      { type: "array", items: { type: "string" } },
    ),
    [
      `${R}.messageExpression: Forbidden: estimated messageExpression cost exceeds budget by factor of more than 100x ${TOO_DEAR}`,
      `${R}.messageExpression: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema`,
      `spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${TOO_DEAR}`,
    ],
  ],
  [
    "a default that breaks a rule",
    { ...ruled("self > 3", {}, { type: "integer" }), default: 1 },
    [`${S}.default: Invalid value: 1: failed rule: self > 3`],
  ],
  [
    "types without a name are compared",
    ruled("self.a == self.s"),
    [
      `${R}.rule: Invalid value: ${shown("self.a == self.s")}: compilation failed: ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(int, string)'\n | self.a == self.s\n | .......^`,
    ],
  ],
];

for (const [name, spec, errors] of DEFINITIONS)
  test(`a definition with ${name} ${errors.length === 0 ? "is taken" : "is refused"}`, async () => {
    assert.deepEqual(await causes(send("POST", CRDS, definition(spec), { query: { dryRun: "All" } })), errors);
  });

let count = 0;
/** A kind for the time of a test. */
async function kind(spec: object, more: object = {}) {
  await send("POST", CRDS, definition(spec, more));
  await send("GET", CRDS);
  return {
    /** Creates an object, and then updates it to each of the others. */
    async steps(...specs: readonly unknown[]): Promise<readonly (readonly string[])[]> {
      const name = `thing${count++}`;
      const results: (readonly string[])[] = [];
      for (const [i, one] of specs.entries()) {
        const body = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name }, spec: one };
        results.push(
          await causes(i === 0 ? send("POST", THINGS, body) : send("PATCH", `${THINGS}/${name}`, { spec: one }, MERGE)),
        );
      }
      return results;
    },
    async [Symbol.asyncDispose]() {
      await send("DELETE", `${CRDS}/things.example.com`);
      for (;;) {
        const { items } = await send("GET", CRDS);
        if (items.length === 0) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

const text = { type: "string" };
const int = { type: "integer" };
const OBJECTS: readonly (readonly [
  name: string,
  schema: object,
  specs: readonly unknown[],
  results: readonly (readonly string[])[],
])[] = [
  [
    "a rule on a number shows it",
    ruled("self >= 3", {}, int),
    [5, 1],
    [[], ["spec: Invalid value: 1: failed rule: self >= 3"]],
  ],
  [
    "a rule on an object doesn't show it",
    ruled("self.a > 1"),
    [{ a: 1 }],
    [["spec: Invalid value: failed rule: self.a > 1"]],
  ],
  ["messages are told", ruled("self.a > 1", { message: " more! " }), [{ a: 1 }], [["spec: Invalid value: more!"]]],
  [
    "messages may be made",
    ruled("self.a > 1", { message: "more!", messageExpression: "self.a < 2 ? 'not one' : 'not so many'" }),
    [{ a: 1 }],
    [["spec: Invalid value: not one"]],
  ],
  [
    "a message that can't be made gives way",
    ruled("self.a > 1", { message: "more!", messageExpression: "self.s" }),
    [{ a: 1 }],
    [["spec: Invalid value: more!"]],
  ],
  [
    "reasons decide the error",
    ruled("self.a > 1", { reason: "FieldValueForbidden" }),
    [{ a: 1 }],
    [["spec: Forbidden: failed rule: self.a > 1"]],
  ],
  [
    "a field may be required",
    ruled("has(self.s)", { reason: "FieldValueRequired", fieldPath: ".s" }),
    [{ a: 1 }],
    [["spec.s: Required value: failed rule: has(self.s)"]],
  ],
  [
    "a value may be a duplicate",
    ruled("self.a > 1", { reason: "FieldValueDuplicate", fieldPath: ".a" }),
    [{ a: 1 }],
    [["spec.a: Duplicate value"]],
  ],
  [
    "what fails is told",
    ruled("self.s == 'x'"),
    [{ a: 1 }],
    [["spec: Invalid value: \"object\": no such key: s evaluating rule: self.s == 'x'"]],
  ],
  [
    "dividing by nothing is told",
    ruled("1 / self > 0", {}, int),
    [0],
    [['spec: Invalid value: "integer": division by zero evaluating rule: 1 / self > 0']],
  ],
  [
    "an int or a string is either",
    ruled("type(self) == int ? self > 1 : self.endsWith('%')", {}, { "x-kubernetes-int-or-string": true }),
    [5, "5%", 1, "5"],
    [
      [],
      [],
      ["spec: Invalid value: 1: failed rule: type(self) == int ? self > 1 : self.endsWith('%')"],
      ["spec: Invalid value: \"5\": failed rule: type(self) == int ? self > 1 : self.endsWith('%')"],
    ],
  ],
  [
    "an overload that isn't there",
    ruled("self + 1 > 2", {}, { "x-kubernetes-int-or-string": true }),
    ["a"],
    [
      [
        "spec: Invalid value: \"\": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: self + 1 > 2",
      ],
    ],
  ],
  [
    "null isn't looked at",
    ruled("self.a > 1", {}, { type: "object", nullable: true, properties: { a: int } }),
    [null],
    [[]],
  ],
  [
    "names that expressions can't write are escaped",
    ruled(
      "self.x__dash__y == 1 && self.__namespace__ == 'n' && self.redact__underscores__d == 2",
      {},
      { type: "object", properties: { "x-y": int, namespace: text, redact__d: int } },
    ),
    [{ "x-y": 1, namespace: "n", redact__d: 2 }],
    [[]],
  ],
  [
    "maps have their keys as they are",
    ruled(
      "self.all(k, self[k] > 0) && self['a-b'] == 1",
      {},
      { type: "object", maxProperties: 5, additionalProperties: int },
    ),
    [{ "a-b": 1 }],
    [[]],
  ],
  [
    "entries of a map are named",
    { type: "object", maxProperties: 5, additionalProperties: ruled("self > 0", {}, int) },
    [{ "a-b": 0 }],
    [["spec[a-b]: Invalid value: 0: failed rule: self > 0"]],
  ],
  [
    "items of a list are counted",
    { type: "array", maxItems: 5, items: ruled("self > 0", {}, int) },
    [[1, 0]],
    [["spec[1]: Invalid value: 0: failed rule: self > 0"]],
  ],
  [
    "times are times",
    ruled(
      "self.t > timestamp('2024-01-01T00:00:00Z') && self.d < duration('2h') && size(self.b) == 3 && self.n / 2.0 == 1.5",
      {},
      {
        type: "object",
        properties: {
          t: { ...text, format: "date-time" },
          d: { ...text, format: "duration" },
          b: { ...text, format: "byte" },
          n: { type: "number" },
        },
      },
    ),
    [{ t: "2024-05-06T07:08:09Z", d: "1h", b: "YWJj", n: 3 }],
    [[]],
  ],
  [
    "sets have no order, and grow by what is new",
    ruled(
      "self.a == self.b && self.a + self.b == self.a && size(self.a + ['z']) == 3",
      {},
      {
        type: "object",
        properties: {
          a: { type: "array", maxItems: 9, "x-kubernetes-list-type": "set", items: text },
          b: { type: "array", maxItems: 9, "x-kubernetes-list-type": "set", items: text },
        },
      },
    ),
    [{ a: ["x", "y"], b: ["y", "x"] }],
    [[]],
  ],
  [
    "keyed lists have no order, and are merged by keys",
    ruled(
      "self == oldSelf && (oldSelf + self).map(e, e.k) == oldSelf.map(e, e.k)",
      { message: "changed" },
      {
        type: "array",
        maxItems: 9,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        items: { type: "object", required: ["k"], properties: { k: { ...text, maxLength: 9 }, v: int } },
      },
    ),
    [
      [
        { k: "x", v: 1 },
        { k: "y", v: 2 },
      ],
      [
        { k: "y", v: 2 },
        { k: "x", v: 1 },
      ],
      [
        { k: "y", v: 2 },
        { k: "x", v: 9 },
      ],
    ],
    [[], [], ["spec: Invalid value: changed"]],
  ],
  [
    "a rule that looks back waits for an old value",
    ruled("self >= oldSelf", {}, int),
    [5, 6, 4],
    [[], [], ["spec: Invalid value: 4: failed rule: self >= oldSelf"]],
  ],
  [
    "a rule that may look back runs without",
    ruled("oldSelf.hasValue() ? self >= oldSelf.value() : self > 3", { optionalOldSelf: true }, int),
    [1],
    [["spec: Invalid value: 1: failed rule: oldSelf.hasValue() ? self >= oldSelf.value() : self > 3"]],
  ],
  [
    "immutability",
    ruled("self == oldSelf", { message: "immutable" }),
    [{ a: 1 }, { a: 2 }],
    [[], ["spec: Invalid value: immutable"]],
  ],
  [
    "items of keyed lists look back by their keys",
    {
      type: "array",
      maxItems: 5,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["s"],
      items: { ...ruled("self.a >= oldSelf.a"), required: ["s"] },
    },
    [
      [
        { s: "x", a: 5 },
        { s: "y", a: 1 },
      ],
      [
        { s: "z", a: 0 },
        { s: "y", a: 2 },
        { s: "x", a: 4 },
      ],
    ],
    [[], ["spec[2]: Invalid value: failed rule: self.a >= oldSelf.a"]],
  ],
  [
    "rules wait for values to be in order",
    ruled("self.a > 1", {}, { type: "object", required: ["s"], properties: { a: int, s: text } }),
    [{ a: 1 }],
    [
      [
        "spec.s: Required value",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
      ],
    ],
  ],
  [
    "what embeds an object sees its identity",
    ruled(
      "self.kind == 'Pod' && self.metadata.name == 'p'",
      {},
      { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
    ),
    [{ apiVersion: "v1", kind: "Pod", metadata: { name: "p" } }],
    [[]],
  ],
  [
    "one evaluation may cost a million",
    ruled("self.all(a, self.all(b, self.all(c, a + b + c >= 0)))", {}, { type: "array", maxItems: 100, items: int }),
    [Array.from({ length: 100 }, (_, i) => i)],
    [
      [
        "spec: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self.all(a, self.all(b, self.all(c, a + b + c >= 0)))",
      ],
    ],
  ],
];

for (const [name, schema, specs, results] of OBJECTS)
  test(`an object: ${name}`, async () => {
    await using things = await kind(schema);
    const found = await things.steps(...specs);
    assert.deepEqual(found, results);
  });

test("what hasn't changed may go on breaking a rule, and is warned of", async () => {
  const withoutRules = { type: "object", properties: { a: int, b: int, list: { type: "array", items: text } } };
  await using things = await kind(withoutRules);
  const name = "old";
  const body = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name }, spec: { a: 1, b: 1, list: ["x"] } };
  await send("POST", THINGS, body);
  const rule = (one: string) => ({ "x-kubernetes-validations": [{ rule: one }] });
  const spec = {
    type: "object",
    properties: {
      a: { ...int, ...rule("self > 5") },
      b: { ...int, minimum: 3 },
      list: { type: "array", maxItems: 9, items: { ...text, ...rule("self.startsWith('y')") } },
    },
  };
  const current = await send("GET", `${CRDS}/things.example.com`);
  await send("PUT", `${CRDS}/things.example.com`, {
    ...current,
    spec: { ...current.spec, versions: definition(spec).spec.versions },
  });
  await send("GET", CRDS);
  const patch = (change: object) => causes(send("PATCH", `${THINGS}/${name}`, change, MERGE));
  // Neither the rules nor the minimum held, and nothing of them is touched.
  const { status, headers } = await ask(harness, "PATCH", `${THINGS}/${name}`, {
    headers: { "content-type": MERGE.patchType },
    body: JSON.stringify({ metadata: { labels: { x: "y" } } }),
  });
  assert.equal(status, 200);
  assert.deepEqual(headers["warning"], [
    '299 - "spec.a: Invalid value: 1: failed rule: self > 5"',
    '299 - "spec.list[0]: Invalid value: \\"x\\": failed rule: self.startsWith(\'y\')"',
  ]);
  assert.deepEqual(await patch({ spec: { a: 2 } }), ["spec.a: Invalid value: 2: failed rule: self > 5"]);
  assert.deepEqual(await patch({ spec: { b: 2 } }), [
    "spec.b: Invalid value: 2: spec.b in body should be greater than or equal to 3",
  ]);
  // Items without keys stand or fall with their list.
  assert.deepEqual(await patch({ spec: { list: ["x", "y"] } }), [
    "spec.list[0]: Invalid value: \"x\": failed rule: self.startsWith('y')",
  ]);
  void things;
});

test("what a stored schema costs has been put up with", async () => {
  const rule = "self.all(x, self.all(y, x == y))";
  const schema = (maxItems: number) => ruled(rule, {}, { type: "array", maxItems, items: int });
  await using things = await kind(schema(10));
  const current = await send("GET", `${CRDS}/things.example.com`);
  const put = (spec: object) =>
    causes(
      send(
        "PUT",
        `${CRDS}/things.example.com`,
        { ...current, spec: { ...current.spec, versions: definition(spec).spec.versions } },
        { query: { dryRun: "All" } },
      ),
    );
  assert.deepEqual(await put(schema(10)), []);
  assert.match(
    (await put(schema(5000)))[0]!,
    /rule: Forbidden: estimated rule cost exceeds budget by factor of 1\d\.\dx/,
  );
  void things;
});

test("the status has its rules, and its own endpoint keeps them", async () => {
  const schema = { type: "object", properties: { a: int } };
  const status = ruled("self.n >= 0", {}, { type: "object", properties: { n: int } });
  const definitionWithStatus = definition(schema, {
    subresources: { status: {} },
    schema: { openAPIV3Schema: { type: "object", properties: { spec: schema, status } } },
  });
  await send("POST", CRDS, definitionWithStatus);
  await send("GET", CRDS);
  const body = {
    apiVersion: "example.com/v1",
    kind: "Thing",
    metadata: { name: "s" },
    spec: { a: 1 },
    status: { n: -1 },
  };
  // A status that is sent along is dropped, and so are its faults.
  assert.deepEqual(await causes(send("POST", THINGS, body)), []);
  const patch = (n: number) => causes(send("PATCH", `${THINGS}/s/status`, { status: { n } }, MERGE));
  assert.deepEqual(await patch(-1), ["status: Invalid value: failed rule: self.n >= 0"]);
  assert.deepEqual(await patch(1), []);
  await send("DELETE", `${CRDS}/things.example.com`);
});
