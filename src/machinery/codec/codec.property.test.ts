import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import type { Schema } from "../schema/schema.ts";
import { DecodeError } from "./decode.ts";
import { decodeJson } from "./json.ts";
import { countFields } from "./json-text.ts";
import { ProtobufCodec } from "./protobuf.ts";
import { decodeYaml, encodeYaml, parseYaml } from "./yaml.ts";

const pod = schemaOf("io.k8s.api.core.v1.Pod");
const codec = new ProtobufCodec();

/** Values that mostly fit a schema, and sometimes don't. */
function valueFor(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const wrong = { arbitrary: fc.jsonValue({ maxDepth: 1 }), weight: 1 };
  const right = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof({ arbitrary, weight: 30 }, wrong);
  if (schema.properties !== undefined) {
    const names = [...schema.properties.keys()].filter(
      (name) => depth > 0 || schema.properties!.get(name)!.properties === undefined,
    );
    return right(
      fc
        .array(fc.constantFrom(...names, "unknown"), { maxLength: 4 })
        .chain((chosen) =>
          fc.record(
            Object.fromEntries(
              chosen.map((name) => [name, valueFor(schema.properties!.get(name) ?? { type: "any" }, depth - 1)]),
            ),
          ),
        ),
    );
  }
  if (schema.values !== undefined)
    return right(fc.dictionary(fc.string(), valueFor(schema.values, depth - 1), { maxKeys: 2 }));
  switch (schema.type) {
    case "array":
      return right(fc.array(valueFor(schema.items!, depth - 1), { maxLength: 2 }));
    case "integer":
      return right(fc.integer());
    case "boolean":
      return right(fc.boolean());
    case "string":
      if (schema.format === "quantity") return right(fc.constantFrom("1", "1000m", "1.5Gi", "0.1", "2e3"));
      if (schema.format === "date-time")
        return right(fc.constantFrom("2024-01-01T00:00:00Z", "2024-01-31T23:59:59.5+01:00"));
      return right(fc.string());
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

/** What comes of a body: an object, or the client's error. Anything else is a bug. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String((error as Error).stack));
    return undefined;
  }
}

test("whatever comes in, an object comes out that decodes to itself in every encoding", () => {
  let decoded = 0;
  fc.assert(
    fc.property(valueFor(pod, 5), (value) => {
      const result = attempt(() => decodeJson(JSON.stringify(value), pod, { fieldValidation: "Warn" }));
      if (result === undefined) return;
      decoded++;
      const again = decodeJson(JSON.stringify(result.object), pod, { fieldValidation: "Strict" });
      assert.deepEqual(again.object, result.object);
      assert.equal(JSON.stringify(again.object), JSON.stringify(result.object));
      const bytes = codec.encode(result.object, pod);
      assert.deepEqual(codec.encode(codec.decode(bytes, pod).object, pod), bytes);
      assert.deepEqual(decodeYaml(encodeYaml(result.object), pod).object, result.object);
    }),
    { numRuns: 300, seed: 1 },
  );
  assert.ok(decoded > 50, `only ${decoded} of the values fit`);
});

test("text and bytes of no meaning are the client's error, never a crash", () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 64 }), (text, bytes) => {
      attempt(() => decodeJson(text, pod, { fieldValidation: "Strict" }));
      attempt(() => parseYaml(text));
      attempt(() => codec.decode(Buffer.concat([Buffer.from("k8s\0"), bytes]), pod));
      attempt(() => codec.decodeMessage(bytes, pod));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("the fields of a document are counted whatever its strings hold", () => {
  const count = (value: unknown): number =>
    typeof value !== "object" || value === null
      ? 0
      : Object.values(value).reduce(
          (sum: number, inner) => sum + count(inner),
          Array.isArray(value) ? 0 : Object.keys(value).length,
        );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(countFields(JSON.stringify(value, undefined, 1)), count(JSON.parse(JSON.stringify(value))));
    }),
    { numRuns: 300, seed: 1 },
  );
});
