import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { Reader } from "../codec/protobuf-wire.ts";
import { openApiV2 } from "./document.ts";
import { encodeOpenApiV2 } from "./v2-protobuf.ts";

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
  assert.deepEqual(JSON.parse(Buffer.from(fields(kinds).get(2) as Uint8Array).toString()), [
    { group: "apps", version: "v1", kind: "Deployment" },
  ]);
});
