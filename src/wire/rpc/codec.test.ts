import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { messages as criMessages, enums as criEnums, Mount } from "../../protocols/cri/generated.ts";
import {
  enums,
  messages,
  MvccpbKeyValue,
  RaftpbConfState,
  RangeResponse,
  TxnRequest,
} from "../../protocols/etcd/generated.ts";
import { createCodec, encoded, type Registry } from "./codec.ts";
import type { MessageField, MessageType } from "./service.ts";

/** Every kind of field there is. */
const Everything: MessageType<any> = {
  name: "t.Everything",
  fields: [
    { name: "a_string", number: 1, type: "string" },
    { name: "a_bytes", number: 2, type: "bytes" },
    { name: "a_bool", number: 3, type: "bool" },
    { name: "an_int32", number: 4, type: "int32" },
    { name: "a_uint32", number: 5, type: "uint32" },
    { name: "a_sint32", number: 6, type: "sint32" },
    { name: "an_int64", number: 7, type: "int64" },
    { name: "a_uint64", number: 8, type: "uint64" },
    { name: "a_sint64", number: 9, type: "sint64" },
    { name: "a_fixed32", number: 10, type: "fixed32" },
    { name: "a_fixed64", number: 11, type: "fixed64" },
    { name: "a_float", number: 12, type: "float" },
    { name: "a_double", number: 13, type: "double" },
    { name: "an_enum", number: 14, type: "t.Color" },
    { name: "nested", number: 15, type: "t.Everything" },
    { name: "strings", number: 16, type: "string", repeated: true },
    { name: "numbers", number: 17, type: "int64", repeated: true },
    { name: "colors", number: 18, type: "t.Color", repeated: true },
    { name: "children", number: 19, type: "t.Everything", repeated: true },
    { name: "labels", number: 20, type: "string", map: { key: "string", value: "string" } },
    { name: "by_number", number: 21, type: "t.Everything", map: { key: "int32", value: "t.Everything" } },
    { name: "one_number", number: 22, type: "int64", oneof: "one" },
    { name: "one_text", number: 23, type: "string", oneof: "one" },
    { name: "perhaps", number: 2000, type: "int32", optional: true },
  ],
};
const registry: Registry = {
  messages: { "t.Everything": Everything },
  enums: { "t.Color": { NONE: 0, RED: 1, BLUE: 7 } },
};

function protobufjsOf({ messages, enums }: Registry): protobuf.Root {
  const root = new protobuf.Root();
  for (const [name, values] of Object.entries(enums)) {
    const parts = name.split(".");
    root.define(parts.slice(0, -1).join("_")).add(new protobuf.Enum(parts.at(-1)!, { ...values }));
  }
  const typeName = (type: string) =>
    enums[type] ? `${type.split(".").slice(0, -1).join("_")}.${type.split(".").at(-1)}` : type.replaceAll(".", "__");
  for (const [name, { fields }] of Object.entries(messages)) {
    const type = new protobuf.Type(name.replaceAll(".", "__"));
    for (const field of fields as readonly MessageField[]) {
      if (field.map)
        type.add(new protobuf.MapField(field.name, field.number, field.map.key, typeName(field.map.value)));
      else
        type.add(
          new protobuf.Field(
            field.name,
            field.number,
            typeName(field.type),
            field.repeated ? "repeated" : "optional",
            undefined,
            { packed: true },
          ),
        );
    }
    for (const oneof of new Set(fields.map((field: MessageField) => field.oneof)))
      if (oneof)
        type.add(
          new protobuf.OneOf(
            oneof as string,
            fields.filter((field: MessageField) => field.oneof === oneof).map((field: MessageField) => field.name),
          ),
        );
    root.add(type);
  }
  return root;
}

const scalars = {
  a_string: fc.string({ unit: "binary" }),
  a_bytes: fc.uint8Array({ maxLength: 200 }),
  a_bool: fc.boolean(),
  an_int32: fc.integer(),
  a_uint32: fc.integer({ min: 0, max: 0xffffffff }),
  a_sint32: fc.integer(),
  an_int64: fc.maxSafeInteger(),
  a_uint64: fc.maxSafeNat(),
  a_sint64: fc.maxSafeInteger(),
  a_fixed32: fc.integer({ min: 0, max: 0xffffffff }),
  a_fixed64: fc.maxSafeNat(),
  a_float: fc.float(),
  a_double: fc.double(),
  an_enum: fc.constantFrom("NONE", "RED", "BLUE"),
  strings: fc.array(fc.string({ maxLength: 100 })),
  numbers: fc.array(fc.maxSafeInteger()),
  colors: fc.array(fc.constantFrom("NONE", "RED", "BLUE")),
  labels: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
  perhaps: fc.option(fc.integer(), { nil: undefined }),
};
const leaf = fc.record(scalars, { requiredKeys: [] });
const anything = fc
  .tuple(
    leaf,
    fc.option(leaf, { nil: undefined }),
    fc.array(leaf, { maxLength: 3 }),
    fc.dictionary(fc.integer().map(String), leaf, { maxKeys: 3, noNullPrototype: true }),
    fc.oneof(fc.record({ one_number: fc.maxSafeInteger() }), fc.record({ one_text: fc.string() }), fc.constant({})),
  )
  .map(([base, nested, children, by_number, one]) => ({ ...base, nested, children, by_number, ...one }));

test("a message comes back whole from its bytes", () => {
  const codec = createCodec(registry);
  fc.assert(
    fc.property(anything, (message) => {
      const bytes = codec.encode(Everything, message);
      assert.deepEqual(codec.decode(Everything, bytes), codec.fill(Everything, message));
    }),
  );
});

test("protobufjs reads what we write, and we read what it writes", () => {
  const codec = createCodec(registry);
  const other = protobufjsOf(registry).lookupType("t__Everything");
  fc.assert(
    fc.property(anything, (message) => {
      const ours = codec.encode(Everything, message);
      const theirs = other.encode(other.fromObject(message)).finish();
      assert.deepEqual(codec.decode(Everything, new Uint8Array(theirs)), codec.fill(Everything, message));
      assert.deepEqual(
        codec.decode(Everything, new Uint8Array(other.encode(other.decode(ours)).finish())),
        codec.fill(Everything, message),
      );
    }),
  );
});

test("bytes of chance are a message or a DecodeError", () => {
  const codec = createCodec({ messages, enums });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        codec.decode(TxnRequest, bytes);
      } catch (error) {
        assert.equal((error as Error).name, "DecodeError");
      }
    }),
    { numRuns: 2000 },
  );
});

test("messages nested without end are refused", () => {
  const codec = createCodec(registry);
  let bytes = new Uint8Array(0);
  for (let i = 0; i < 200; i++) bytes = new Uint8Array([0x7a, ...varint(bytes.length), ...bytes]);
  assert.throws(() => codec.decode(Everything, bytes), /nested too deep/);
});
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

test("zero values are left out, except in a oneof or an optional field", () => {
  const codec = createCodec(registry);
  assert.deepEqual([...codec.encode(Everything, { a_string: "", an_int32: 0, an_enum: "NONE", strings: [] })], []);
  assert.deepEqual([...codec.encode(Everything, { one_number: 0 })], [0xb0, 0x01, 0x00]);
  assert.deepEqual([...codec.encode(Everything, { perhaps: 0 })], [0x80, 0x7d, 0x00]);
});

test("an enum value that the table lacks stays a number both ways", () => {
  const codec = createCodec(registry);
  const bytes = codec.encode(Everything, { an_enum: 99 });
  assert.equal((codec.decode(Everything, bytes) as { an_enum: unknown }).an_enum, 99);
});

test("numbers of a proto2 package are not packed", () => {
  const codec = createCodec({ messages, enums, proto2: ["raftpb"] });
  assert.deepEqual(
    [...codec.encode(RaftpbConfState, { voters: [1n, 2n], auto_leave: false })].slice(0, 4),
    [8, 1, 8, 2],
  );
});

test("identifiers keep all 64 bits", () => {
  const codec = createCodec({ messages, enums });
  const header = { cluster_id: 0xcdf818194e3a8c32n, member_id: 2n ** 64n - 1n, revision: 5, raft_term: 2 };
  const { header: decoded } = codec.decode(RangeResponse, codec.encode(RangeResponse, { header }));
  assert.deepEqual(decoded, header);
});

test("bytes known already stand for their message", () => {
  const codec = createCodec({ messages, enums });
  const kv = { key: new Uint8Array([1, 2]), value: new Uint8Array(300).fill(7), mod_revision: 9 };
  const plain = codec.encode(RangeResponse, { kvs: [kv, kv], count: 2 });
  const spliced = encoded<MvccpbKeyValue>(codec.encode(MvccpbKeyValue, kv));
  assert.deepEqual(codec.encode(RangeResponse, { kvs: [spliced, spliced], count: 2 }), plain);
  assert.deepEqual(codec.fill(RangeResponse, { kvs: [spliced] }), codec.fill(RangeResponse, { kvs: [kv] }));
});

test("what was encoded for sending stays as it is while more is encoded", () => {
  const codec = createCodec({ messages: criMessages, enums: criEnums });
  const made = Array.from(
    { length: 5000 },
    (_, i) => [i, codec.encodeTransient(Mount, { host_path: "x".repeat(i % 70) + i }, 5)] as const,
  );
  for (const [i, bytes] of made) assert.equal(codec.decode(Mount, bytes.subarray(5)).host_path, "x".repeat(i % 70) + i);
});

test("what is released last gives its memory to the next message, and anything else stays as it is", () => {
  const codec = createCodec({ messages: criMessages, enums: criEnums });
  const encode = (host_path: string) => codec.encodeTransient(Mount, { host_path }, 5);
  const first = encode("first");
  const second = encode("second");
  codec.release(first);
  const third = encode("third");
  codec.release(third);
  const fourth = encode("other");
  assert.equal(fourth.byteOffset, third.byteOffset);
  for (const [path, bytes] of [
    ["first", first],
    ["second", second],
    ["other", fourth],
  ] as const)
    assert.equal(codec.decode(Mount, bytes.subarray(5)).host_path, path);
});
