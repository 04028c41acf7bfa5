import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { decodeCbor, encodeCbor, encodeCborEvent, isCbor, parseCbor } from "./cbor.ts";
import { DecodeError } from "./decode.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const written = (value: unknown, schema?: any) => encodeCbor(value, schema).subarray(3).toString("hex");

const WRITTEN: readonly (readonly [unknown, string])[] = [
  [0, "00"],
  [23, "17"],
  [24, "1818"],
  [1000, "1903e8"],
  [1000000, "1a000f4240"],
  [1000000000000, "1b000000e8d4a51000"],
  [-1, "20"],
  [-1000, "3903e7"],
  [1.5, "f93e00"],
  [5.960464477539063e-8, "f90001"],
  [100000.5, "fa47c35040"],
  [1.1, "fb3ff199999999999a"],
  [-4.1, "fbc010666666666666"],
  [true, "f5"],
  [false, "f4"],
  [null, "f6"],
  ["IETF", "4449455446"],
  ["ü", "42c3bc"],
  [[1, [2, 3]], "8201820203"],
  [{}, "a0"],
  [{ bb: 1, c: 2, a: undefined, aa: 3 }, "a34163024261610342626201"],
];

test("values are written as upstream writes them: short, sorted, strings as byte strings", () => {
  for (const [value, bytes] of WRITTEN) assert.equal(written(value), bytes, JSON.stringify(value));
  assert.equal(encodeCbor({}).toString("hex"), "d9d9f7a0");
  assert.equal(written(1, { type: "number" }), "f93c00", "a field of floats stays one");
  assert.equal(written("AQI=", { type: "string", format: "byte" }), "d6420102", "bytes that are text in JSON");
});

const READ: readonly (readonly [string, unknown])[] = [
  ["d9d9f7a0", {}],
  ["1903e8", 1000],
  ["3903e7", -1000],
  ["f97bff", 65504],
  ["f90001", 5.960464477539063e-8],
  ["fa47c35000", 100000],
  ["fb3ff199999999999a", 1.1],
  ["6449455446", "IETF"],
  ["4449455446", "IETF"],
  ["d64401020304", "AQIDBA=="],
  ["d54401020304", "AQIDBA"],
  ["d74401020304", "01020304"],
  ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"],
  ["c11a514b67b0", "2013-03-21T20:04:00Z"],
  ["5f42616243636465ff", "abcde"],
  ["7f657374726561646d696e67ff", "streaming"],
  ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
  ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
  ["a1495f5f70726f746f5f5f01", JSON.parse('{"__proto__":1}')],
];

test("what says the same as JSON could is read, tags and lengths to come among it", () => {
  for (const [bytes, value] of READ) assert.deepEqual(parseCbor(hex(bytes)), value, bytes);
});

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ["", /^EOF$/],
  ["18", /^unexpected EOF$/],
  ["8201", /^unexpected EOF$/],
  ["0000", /^cbor: 1 bytes of extraneous data starting at index 1$/],
  ["a2616101616102", /^cbor: found duplicate map key "a" at map element index 1$/],
  ["a2616101416102", /^cbor: found duplicate map key "a" at map element index 1$/],
  ["a10101", /map key is of type positive integer/],
  ["62c328", /^cbor: invalid UTF-8 string$/],
  ["f97e00", /floating-point NaN$/],
  ["f97c00", /floating-point infinity$/],
  ["f7", /simple value 23 is not recognized$/],
  ["f8ff", /simple value 255 is not recognized$/],
  ["c249010000000000000000", /bignum$/],
  ["1bffffffffffffffff", /overflows Go's int64/],
  ["ff", /unexpected "break" code/],
  ["1c", /invalid additional information 28 for type positive integer/],
  ["5f6161ff", /wrong element type UTF-8 text string for indefinite-length byte string/],
  ["81".repeat(10_001) + "01", /exceeded max/],
];

test("what JSON could not say is refused, and so is what is broken", () => {
  for (const [bytes, words] of REFUSED)
    assert.throws(
      () => parseCbor(hex(bytes)),
      (error: Error) => error instanceof DecodeError && words.test(error.message),
      bytes.slice(0, 40),
    );
});

test("an event is one item with the object's item in it", () => {
  const event = encodeCborEvent("ADDED", encodeCbor({ kind: "Pod" }));
  assert.ok(isCbor(event));
  assert.deepEqual(parseCbor(event), { type: "ADDED", object: { kind: "Pod" } });
});

test("unknown fields are told by their place, or refused", () => {
  const pod = schemaOf("io.k8s.api.core.v1.Pod");
  const bytes = encodeCbor({ metadata: { name: "a" }, spec: { containers: null, nodeNameX: "b" } });
  const words = "cbor: found unknown field at map element index 0";
  assert.deepEqual(decodeCbor(bytes, pod, { fieldValidation: "Warn" }).warnings, [words]);
  assert.throws(() => decodeCbor(bytes, pod, { fieldValidation: "Strict" }), {
    message: `strict decoding error: ${words}`,
  });
  assert.deepEqual(decodeCbor(bytes, pod).warnings, []);
});

test("any JSON value comes back as it was", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain = JSON.parse(JSON.stringify(value));
      assert.equal(JSON.stringify(sorted(parseCbor(encodeCbor(plain)))), JSON.stringify(sorted(plain)));
    }),
  );
});

test("any bytes are read, or refused as the client's error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        parseCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String((error as Error).stack));
      }
    }),
    { numRuns: 2000 },
  );
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}
