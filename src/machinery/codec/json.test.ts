import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import type { Schema } from "../schema/schema.ts";
import { stackHolds } from "./json-text.ts";
import { decodeJson, parseJson } from "./json.ts";
import { parseYaml } from "./yaml.ts";

const deployment = schemaOf("io.k8s.api.apps.v1.Deployment");
const pod = schemaOf("io.k8s.api.core.v1.Pod");
const secret = schemaOf("io.k8s.api.core.v1.Secret");

test("zero structs and strings are written, empty values of optional fields are not", () => {
  const { object } = decodeJson(
    `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"","labels":{}},
      "spec":{"replicas":0,"minReadySeconds":0,"paused":false,"selector":null,
        "template":{"spec":{"containers":[{"image":"","args":[]}]}}}}`,
    deployment,
  );
  assert.deepEqual(object, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a" },
    spec: {
      replicas: 0,
      template: { metadata: {}, spec: { containers: [{ name: "", resources: {} }] } },
      strategy: {},
    },
    status: {},
  });
});

test("scalars get their canonical form and maps their order", () => {
  const { object } = decodeJson(
    `{"metadata":{"creationTimestamp":"2024-01-01T02:00:00+02:00","labels":{"b":"2","a":null}},
      "spec":{"containers":[{"name":"c","resources":{"limits":{"memory":"1024Ki","cpu":2}},"ports":[{"containerPort":80}]}]}}`,
    pod,
  );
  assert.equal(object.metadata.creationTimestamp, "2024-01-01T00:00:00Z");
  assert.equal(JSON.stringify(object.metadata.labels), '{"a":"","b":"2"}');
  assert.equal(JSON.stringify(object.spec.containers[0].resources), '{"limits":{"cpu":"2","memory":"1Mi"}}');
  assert.equal(object.spec.containers[0].ports[0].protocol, "TCP");
});

test("unknown and duplicate fields are told in the order of the document, or refused", () => {
  const text = `{"kind":"Pod","spec":{"foo":{"x":1,"x":2},"containers":[{"name":"a","name":"b","x":1},{"x":2}],"nodeName":"n"},
    "metadata":{"labels":{"a":"1","a":"2"}}, "status":{}, "status":{}}`;
  const expected = [
    'unknown field "spec.foo"',
    'duplicate field "spec.containers[0].name"',
    'unknown field "spec.containers[0].x"',
    'unknown field "spec.containers[1].x"',
    'duplicate field "metadata.labels.a"',
    'duplicate field "status"',
  ];
  assert.deepEqual(decodeJson(text, pod, { fieldValidation: "Warn" }).warnings, expected);
  assert.deepEqual(decodeJson(text, pod).warnings, []);
  assert.throws(() => decodeJson(text, pod, { fieldValidation: "Strict" }), {
    message: `strict decoding error: ${expected.join(", ")}`,
  });
  assert.equal("foo" in decodeJson(text, pod).object.spec, false);
  const quoted = String.raw`{"kind":"P\"o:d","metadata":{"annotations":{"a\\\":":"\\"}}}`;
  assert.deepEqual(decodeJson(quoted, pod, { fieldValidation: "Strict" }).warnings, []);
});

test("a part of a definition's schema that may be of two types is not searched for unknown fields", () => {
  const definition = schemaOf("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
  const odd = '{"type":"string","typo":1}';
  const text = `{"properties":{"a":${odd},"b":{"items":${odd}},"c":{"items":[${odd}]},"d":{"additionalProperties":${odd}}},"typo":1}`;
  assert.deepEqual(decodeJson(text, definition, { fieldValidation: "Warn" }).warnings, [
    'unknown field "properties.a.typo"',
    'unknown field "typo"',
  ]);
});

test("the unknown fields of a custom resource are told as they are written", () => {
  const schema: Schema = { type: "object", properties: new Map() };
  const { warnings } = decodeJson('{"a \\"b\\"":1}', schema, { custom: true, fieldValidation: "Warn" });
  assert.deepEqual(warnings, ['unknown field "a "b""']);
});

test("field names are case-sensitive", () => {
  assert.deepEqual(decodeJson('{"Kind":"Pod"}', pod, { fieldValidation: "Warn" }).warnings, ['unknown field "Kind"']);
});

test("what Go keeps raw is kept, and nothing in it is reported", () => {
  const review = schemaOf("io.k8s.api.admission.v1.AdmissionReview");
  const text = '{"request":{"uid":"u","object":{"a":{"b":1,"b":2}}}}';
  const { object, warnings } = decodeJson(text, review, { fieldValidation: "Warn" });
  assert.deepEqual([object.request.object, warnings], [{ a: { b: 2 } }, []]);
});

test("type errors have Go's words", () => {
  for (const [schema, text, words] of [
    [
      deployment,
      '{"spec":{"replicas":"3"}}',
      "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      deployment,
      '{"spec":{"replicas":3.5}}',
      "json: cannot unmarshal number 3.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      deployment,
      '{"spec":{"replicas":3000000000}}',
      "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      deployment,
      '{"spec":[]}',
      "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
    ],
    [
      pod,
      '{"spec":{"containers":{}}}',
      "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    ],
    [
      pod,
      '{"spec":{"containers":[{"name":1}]}}',
      "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
    ],
    [
      pod,
      '{"spec":{"restartPolicy":true}}',
      "json: cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
    ],
    [
      pod,
      '{"metadata":{"labels":{"a":1}}}',
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [pod, "[]", "json: cannot unmarshal array into Go value of type v1.Pod"],
    [
      pod,
      '{"metadata":{"creationTimestamp":1}}',
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
    ],
    [
      pod,
      '{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}',
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [secret, '{"data":{"a":"%"}}', "illegal base64 data at input byte 0"],
    [secret, '{"data":{"a":"abc"}}', "illegal base64 data at input byte 0"],
  ] as const)
    assert.throws(() => decodeJson(text, schema), { message: words }, text);
});

test("broken documents have Go's words", () => {
  for (const [text, words] of [
    ["", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ["x", "invalid character 'x' looking for beginning of value"],
    ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["{} x", "invalid character 'x' after top-level value"],
    ["[01]", "invalid character '1' after array element"],
    ["nil", "invalid character 'i' in literal null (expecting 'u')"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
  ] as const)
    assert.throws(() => parseJson(text), { message: words }, text);
});

test("keys that objects inherit are data like others", () => {
  const { object } = decodeJson('{"metadata":{"labels":{"__proto__":"x","constructor":"y"}}}', pod);
  assert.equal(JSON.stringify(object.metadata.labels), '{"__proto__":"x","constructor":"y"}');
  assert.equal(({} as any).x, undefined);
});

test("a custom resource keeps wrong types, nulls and what its schema says to keep", () => {
  const schema: Schema = {
    type: "object",
    properties: new Map<string, Schema>([
      ["size", { type: "integer" }],
      ["color", { type: "string", default: "red" }],
      [
        "free",
        {
          type: "object",
          preserveUnknownFields: true,
          properties: new Map<string, Schema>([["n", { type: "object", properties: new Map() }]]),
        },
      ],
    ]),
  };
  const text = '{"size":"big","color":null,"free":{"a":1,"n":{"gone":1}},"gone":1}';
  const { object, warnings } = decodeJson(text, schema, { custom: true, fieldValidation: "Warn" });
  assert.deepEqual(object, { size: "big", color: "red", free: { n: {}, a: 1 } });
  assert.deepEqual(warnings, ['unknown field "free.n.gone"', 'unknown field "gone"']);
});

test("a custom resource's metadata is as strict as any other", () => {
  const schema: Schema = {
    type: "object",
    properties: new Map<string, Schema>([
      ["metadata", schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")],
      ["n", { type: "integer" }],
    ]),
  };
  const { object } = decodeJson('{"metadata":{"name":"a","labels":{},"creationTimestamp":null},"n":"x"}', schema, {
    custom: true,
  });
  assert.deepEqual(object, { metadata: { name: "a" }, n: "x" });
  assert.throws(() => decodeJson('{"metadata":{"labels":{"a":1}}}', schema, { custom: true }), {
    message: "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string",
  });
});

test("a number that no float64 holds is refused where anything may be", () => {
  const open = { type: "object", preserveUnknownFields: true } as const;
  const read = (text: string) => decodeJson(text, open, { custom: true }).object;
  for (const number of ["1e400", "-1e309", `1${"0".repeat(309)}`, "2.5E+999"])
    assert.throws(() => read(`{"a":["1e400",${number}]}`), {
      name: "DecodeError",
      message: `json: cannot unmarshal number ${number} into Go value of type float64`,
    });
  assert.deepEqual(read('{"a":"\\"1e400","b":1e308,"c":1e-999}'), { a: '"1e400', b: 1e308, c: 0 });
});

test("what is nested without end is refused", () => {
  const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  const review = schemaOf("io.k8s.api.admission.v1.AdmissionReview");
  const raw = (depth: number) => `{"request":{"object":${deep(depth)}}}`;
  const message = "invalid character '[' exceeded max depth";
  assert.throws(() => decodeJson(raw(200_000), review), { name: "DecodeError", message });
  assert.throws(() => decodeJson(raw(9_999), review), { name: "DecodeError", message });
  if (stackHolds(9_002)) assert.ok(decodeJson(raw(9_000), review));
  else assert.throws(() => decodeJson(raw(9_000), review), { name: "DecodeError", message: "exceeded max depth" });
  assert.ok(decodeJson(raw(900), review));
  assert.ok(parseJson(`{"a":"${"[".repeat(20_000)}","b":[${"[[]],".repeat(2000)}0]}`), "in a string they are text");
  assert.throws(() => parseJson("[".repeat(200_000)), { name: "DecodeError", message: /exceeded max depth/ });
  assert.throws(() => parseYaml(`a: ${deep(20_000)}`), { name: "DecodeError" });
});
