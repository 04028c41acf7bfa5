/** How fast is the protobuf codec on etcd's hot messages? Against protobufjs, which writes its code with `new Function`. */
import protobuf from "protobufjs";
import {
  enums,
  messages,
  PutRequest,
  RangeResponse,
  TxnRequest,
  WatchResponse,
} from "../src/protocols/etcd/generated.ts";
import { createCodec, encoded } from "../src/wire/rpc/codec.ts";
import type { MessageField, MessageType } from "../src/wire/rpc/service.ts";

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const header = { cluster_id: 0xcdf818194e3a8c32n, member_id: 0x8e9e05c52164694dn, revision: 123_456_789, raft_term: 3 };
const kv = {
  key: bytes(40, 65),
  value: bytes(1024, 66),
  create_revision: 1_234_567,
  mod_revision: 12_345_678,
  version: 5,
  lease: 0n,
};
const samples: readonly (readonly [string, MessageType<any>, any])[] = [
  ["PutRequest 1 KiB", PutRequest, { key: kv.key, value: kv.value }],
  ["RangeResponse 500 kv", RangeResponse, { header, count: 500, kvs: Array.from({ length: 500 }, () => kv) }],
  ["WatchResponse 1 event", WatchResponse, { header, watch_id: 7n, events: [{ type: "PUT", kv }] }],
  [
    "TxnRequest of an API server",
    TxnRequest,
    {
      compare: [{ key: kv.key, target: "MOD", result: "EQUAL", mod_revision: 12_345 }],
      success: [{ request_put: { key: kv.key, value: kv.value } }],
      failure: [{ request_range: { key: kv.key } }],
    },
  ],
];

const root = new protobuf.Root();
const flat = (name: string) => name.replaceAll(".", "_");
for (const [name, values] of Object.entries(enums)) root.add(new protobuf.Enum(flat(name), { ...values }));
for (const [name, { fields }] of Object.entries(messages)) {
  const type = new protobuf.Type(flat(name));
  for (const field of fields as readonly MessageField[])
    type.add(
      new protobuf.Field(
        field.name,
        field.number,
        messages[field.type] || enums[field.type] ? flat(field.type) : field.type,
        field.repeated ? "repeated" : "optional",
      ),
    );
  root.add(type);
}

function microseconds(work: () => void): number {
  const end = performance.now() + 150;
  while (performance.now() < end) work();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    let count = 0;
    while (performance.now() < start + 100) {
      for (let i = 0; i < 10; i++) work();
      count += 10;
    }
    best = Math.min(best, ((performance.now() - start) * 1000) / count);
  }
  return best;
}

const codec = createCodec({ messages, enums });
const rows: Record<string, Record<string, string>> = {};
for (const [name, type, message] of samples) {
  const theirs = root.lookupType(flat(type.name));
  const plain = JSON.parse(
    JSON.stringify(message, (_, value) =>
      typeof value === "bigint"
        ? String(value)
        : value instanceof Uint8Array
          ? Buffer.from(value).toString("base64")
          : value,
    ),
  );
  const theirMessage = theirs.fromObject(plain);
  const wire = codec.encode(type, message);
  if (Buffer.compare(wire, theirs.encode(theirMessage).finish()) !== 0 && name.startsWith("Put"))
    throw new Error(`${name}: the bytes differ`);
  const [encode, theirEncode] = [
    microseconds(() => codec.encodeTransient(type, message)),
    microseconds(() => theirs.encode(theirMessage).finish()),
  ];
  const buffer = Buffer.from(wire);
  const [decode, theirDecode] = [
    microseconds(() => codec.decode(type, wire)),
    microseconds(() => theirs.decode(buffer)),
  ];
  rows[name] = {
    "encode µs": encode.toFixed(2),
    "protobufjs ": theirEncode.toFixed(2),
    "ratio ": `${(theirEncode / encode).toFixed(2)}x`,
    "decode µs": decode.toFixed(2),
    protobufjs: theirDecode.toFixed(2),
    ratio: `${(theirDecode / decode).toFixed(2)}x`,
  };
}
const KeyValue = messages["mvccpb.KeyValue"] as MessageType<any>;
const spliced = {
  header,
  count: 500,
  kvs: Array.from({ length: 500 }, () => encoded<any>(codec.encode(KeyValue, kv))),
};
rows["RangeResponse 500 kv, known bytes"] = {
  "encode µs": microseconds(() => codec.encodeTransient(RangeResponse, spliced)).toFixed(2),
};
console.table(rows);
