import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { DecodeError } from "./decode.ts";
import { decodeJson } from "./json.ts";
import { openEnvelope, ProtobufCodec } from "./protobuf.ts";

const codec = new ProtobufCodec();

test("what is absent, zero and set stays apart", () => {
  const schema = schemaOf("io.k8s.api.apps.v1.Deployment");
  const { object } = decodeJson(
    `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"größe"},"spec":{"replicas":0,"minReadySeconds":-1,
      "selector":{"matchLabels":{"b":"","a":"1"}},"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":0}},
      "template":{"spec":{"containers":[{"name":"c","livenessProbe":{"httpGet":{"port":"http"}}}]}}},
      "status":{"observedGeneration":9007199254740991}}`,
    schema,
  );
  assert.deepEqual(codec.decode(codec.encode(object, schema), schema).object, object);
});

test("a list and a status travel like objects", () => {
  const list = schemaOf("io.k8s.api.core.v1.ConfigMapList");
  const { object } = decodeJson(
    '{"apiVersion":"v1","kind":"ConfigMapList","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"a"},"data":{"k":"v"},"binaryData":{"b":"AAE="}},{}]}',
    list,
  );
  assert.deepEqual(codec.decode(codec.encode(object, list), list).object, object);
  const status = schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.Status");
  const failure = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "no",
    reason: "NotFound",
    details: { name: "x" },
    code: 404,
  };
  assert.deepEqual(codec.decode(codec.encode(failure, status), status).object, failure);
});

test("a CRD's schemas go through, circles and choices included", () => {
  const schema = schemaOf("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
  const props = {
    type: "object",
    properties: {
      a: { type: "array", items: { type: "string", default: "x", enum: ["x", 1, null] } },
      b: { additionalProperties: true },
      c: { additionalProperties: { type: "integer", minimum: -1.5 }, "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  const { object } = decodeJson(JSON.stringify(props), schema);
  assert.deepEqual(codec.decodeMessage(codec.encodeMessage(object, schema), schema), props);
});

test("a watch's frame is a length and an event around an envelope", () => {
  const schema = schemaOf("io.k8s.api.core.v1.Namespace");
  const envelope = codec.encode({ apiVersion: "v1", kind: "Namespace", metadata: { name: "a" } }, schema);
  const frame = codec.encodeWatchEvent("ADDED", envelope);
  assert.equal(frame.readUInt32BE(), frame.length - 4);
  assert.equal(frame.subarray(4, 11).toString("latin1"), "\n\x05ADDED");
  assert.deepEqual(frame.subarray(frame.length - envelope.length), envelope);
});

test("bytes that are no protobuf, or end too early, are errors of the client", () => {
  assert.throws(() => openEnvelope(Buffer.from("{}")), DecodeError);
  const schema = schemaOf("io.k8s.api.core.v1.Namespace");
  const bytes = codec.encode({ apiVersion: "v1", kind: "Namespace", metadata: { name: "abcdef" } }, schema);
  for (let cut = 5; cut < bytes.length - 5; cut++)
    try {
      codec.decode(bytes.subarray(0, cut), schema);
    } catch (error) {
      assert.ok(error instanceof DecodeError, `cut at ${cut}: ${error}`);
    }
});
