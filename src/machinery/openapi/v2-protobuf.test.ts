import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { Reader } from "../codec/protobuf-wire.ts";
import { openApiV2 } from "./document.ts";
import { encodeOpenApiV2 } from "./v2-protobuf.ts";
import { encodeOpenApiV3 } from "./v3-protobuf.ts";

/** The named entries of a map message, with their bytes. */
function entries(bytes: Uint8Array, number: number): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const reader = new Reader(bytes, 0);
  reader.message(bytes.length, (n) => {
    if (n !== number) return false;
    const parts = reader.parts();
    found.set(Buffer.from(parts.get(1) as Uint8Array).toString(), parts.get(2) as Uint8Array);
    return true;
  });
  return found;
}

/** The last value of each field of a message. */
function fields(bytes: Uint8Array): ReadonlyMap<number, number | Uint8Array> {
  const all = new Map<number, number | Uint8Array>();
  const reader = new Reader(bytes, 0);
  reader.message(bytes.length, (n, wire) => {
    if (wire === 2) all.set(n, reader.bytes());
    else if (wire === 0) all.set(n, reader.varint());
    else return false;
    return true;
  });
  return all;
}

test("the protobuf of v2 holds what the JSON holds", () => {
  const source = { schemas: allSchemas(), kinds: kindsOf, version: "v1.36.2" };
  const document = openApiV2(
    builtinResources.filter(({ group }) => group === "apps"),
    source,
  ) as any;
  const message = fields(encodeOpenApiV2(document));
  assert.equal(Buffer.from(message.get(1) as Uint8Array).toString(), "2.0");
  assert.deepEqual([...entries(message.get(8) as Uint8Array, 2).keys()], Object.keys(document.paths));
  const definitions = entries(message.get(9) as Uint8Array, 1);
  assert.deepEqual([...definitions.keys()], Object.keys(document.definitions));

  const deployment = fields(definitions.get("io.k8s.api.apps.v1.Deployment")!);
  const properties = entries(deployment.get(25) as Uint8Array, 1);
  const spec = fields(properties.get("spec")!);
  assert.equal(Buffer.from(spec.get(1) as Uint8Array).toString(), "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
  const kinds = entries(definitions.get("io.k8s.api.apps.v1.Deployment")!, 31).get("x-kubernetes-group-version-kind")!;
  assert.equal(
    Buffer.from(fields(kinds).get(2) as Uint8Array).toString(),
    "- group: apps\n  version: v1\n  kind: Deployment\n",
  );
});

test("a parameter that many share is referred to by its name", () => {
  const parameters = { "limit-1": { name: "limit", in: "query", type: "integer", uniqueItems: true } };
  const get = { responses: {}, parameters: [{ $ref: "#/parameters/limit-1" }] };
  const message = fields(encodeOpenApiV2({ swagger: "2.0", paths: { "/x": { get } }, parameters }));
  assert.deepEqual([...entries(message.get(10) as Uint8Array, 1).keys()], ["limit-1"]);
  const path = entries(message.get(8) as Uint8Array, 2).get("/x")!;
  assert.ok(Buffer.from(path).includes("#/parameters/limit-1"));
});

test("the protobuf of v3 holds what upstream's reader of its JSON makes of it", () => {
  const document = {
    openapi: "3.0.0",
    info: { title: "T", version: "1" },
    paths: {
      "/a/": {
        get: { tags: ["x"], responses: { "200": { description: "OK" } }, "x-kubernetes-action": "list" },
        parameters: [{ name: "n", in: "path", required: true, schema: { type: "string", uniqueItems: true } }],
      },
    },
    components: {
      schemas: {
        A: {
          type: "object",
          properties: {
            b: { $ref: "#/components/schemas/B" },
            c: { default: "yes", enum: ["yes", "12:30:45", "", null] },
            d: { default: {}, allOf: [{ $ref: "#/x" }] },
            e: { additionalProperties: { type: "boolean", default: false } },
            f: { items: { minimum: -1.5 }, "x-list": [{ rule: "a: b", keys: ["k"] }] },
          },
        },
      },
      securitySchemes: { BearerToken: { type: "apiKey", in: "header", name: "authorization" } },
    },
  };
  assert.equal(encodeOpenApiV3(document).toString("base64"), GNOSTIC);
});

/** Of the document above, by github.com/google/gnostic-models v0.7.0: ParseDocument, proto.Marshal. */
const GNOSTIC =
  "CgUzLjAuMBIGCgFUMgExIl4KXAoDL2EvElUiNAoBeEIPEg0KAzIwMBIGCgQKAk9Lah4KE3gta3ViZXJuZXRlcy1hY3Rpb24SBxIFbGlzdApqHQobCgFuEgRwYXRoIAFSDgoMoAEBygEGc3RyaW5nKqcCCvABCu0BCgFBEucBCuQBygEGb2JqZWN0+gHXAQofCgFiEhoSGAoWIy9jb21wb25lbnRzL3NjaGVtYXMvQgo4CgFjEjMKMcIBBhIEeWVzCsIBCxIJMTI6MzA6NDUKwgEFEgMiIgrCAQcSBW51bGwKigIFGgN5ZXMKFAoBZBIPCg3SAQcSBQoDIy94igIACh0KAWUSGAoWggITChEKD8oBB2Jvb2xlYW6KAgIQAApFCgFmEkAKPvIBDQoLCglpAAAAAAAA+L+iAisKBngtbGlzdBIhEh8tIHJ1bGU6ICdhOiBiJwogIGtleXM6CiAgICAtIGsKOjIKMAoLQmVhcmVyVG9rZW4SIQofCgZhcGlLZXkaDWF1dGhvcml6YXRpb24iBmhlYWRlcg==";
