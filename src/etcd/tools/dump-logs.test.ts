import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { silent } from "../../observe/log.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { InternalRaftRequest, Metadata } from "../../protocols/etcd/generated.ts";
import { encodeConfChange } from "../../raft/conf-change.ts";
import type { ConfChangeType, Entry } from "../../raft/types.ts";
import { goldenFile } from "../../testing/golden.ts";
import { simulatedWorld, type SimulatedWorld } from "../../testing/sim/world.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { writeSnapFile } from "../snap/snap-file.ts";
import { varintBytes } from "../wal/record.ts";
import { Wal } from "../wal/wal.ts";
import { dumpLogs, type DumpOptions } from "./dump-logs.ts";
import { dumpRaw } from "./dump-raw.ts";

const codec = etcdCodec();
const CONF_STATE = { voters: [0xabcn, 3n], learners: [4n], votersOutgoing: [], learnersNext: [], autoLeave: false };
const bytes = (text: string) => new TextEncoder().encode(text);
const internal = (request: Init<InternalRaftRequest>) => codec.encode(InternalRaftRequest, request);

function conf(type: ConfChangeType, nodeId: bigint): Uint8Array {
  const changes = [{ type, nodeId }];
  return encodeConfChange({ id: 77n, transition: "ConfChangeTransitionAuto", changes, context: bytes("{}") }, 1);
}

/** A request of the v2 API's days; its fields by number. */
function request(fields: Readonly<Record<number, string | bigint>>): Uint8Array {
  const out: number[] = [];
  for (const [number, value] of Object.entries(fields)) {
    if (typeof value === "bigint") out.push(Number(number) << 3, ...varintBytes(value));
    else out.push((Number(number) << 3) | 2, ...varintBytes(value.length), ...bytes(value));
  }
  return Uint8Array.from(out);
}

const DATA: readonly (readonly [type: Entry["type"], data: Uint8Array])[] = [
  [1, conf("ConfChangeAddNode", 0xabcn)],
  [1, conf("ConfChangeAddLearnerNode", 4n)],
  [1, conf("ConfChangeUpdateNode", 4n)],
  [1, conf("ConfChangeRemoveNode", 0xffff_ffff_ffff_ffffn)],
  [1, Uint8Array.of(0x12)],
  [0, new Uint8Array(0)],
  [0, request({ 1: 5n, 2: "PUT", 3: "/0/members/abc/attributes", 4: '{"name":"one"}' })],
  [0, request({ 1: 6n, 2: "SYNC", 3: "/", 15: 1_500_000_000_123_456_000n })],
  [0, request({ 1: 7n, 2: "QGET", 3: `/${"long".repeat(40)}` })],
  [0, request({ 1: 8n, 2: "DELETE", 3: "/gone" })],
  [0, request({ 1: 9n, 3: "x" })],
  [0, Uint8Array.of(0xff)],
  [
    0,
    internal({
      header: { ID: 10n, username: "root", auth_revision: 3 },
      range: { key: bytes("a"), limit: 5, sort_order: "DESCEND", keys_only: true },
    }),
  ],
  [
    0,
    internal({
      header: { ID: 11n },
      put: { key: bytes('/registry/"x"\\\n'), value: Uint8Array.of(0, 127, 195, 164), lease: 12n, prev_kv: true },
    }),
  ],
  [0, internal({ ID: 12n, delete_range: { key: bytes("0"), range_end: bytes("9") } })],
  [
    0,
    internal({
      ID: 13n,
      txn: {
        compare: [{ target: "MOD", key: bytes("k"), mod_revision: 0 }],
        success: [{ request_put: { key: bytes("k"), value: bytes("v") } }],
        failure: [{ request_range: { key: bytes("k") } }, { request_txn: {} }],
      },
    }),
  ],
  [0, internal({ ID: 14n, compaction: { revision: 9, physical: true } })],
  [0, internal({ ID: 15n, lease_grant: { TTL: 60, ID: 99n } })],
  [0, internal({ ID: 16n, lease_revoke: { ID: 99n } })],
  [0, internal({ ID: 17n, lease_checkpoint: { checkpoints: [{ ID: 99n, remaining_TTL: 30 }] } })],
  [0, internal({ ID: 18n, alarm: { action: "ACTIVATE", memberID: 4n, alarm: "NOSPACE" } })],
  [0, internal({ ID: 19n, auth_enable: {} })],
  [0, internal({ ID: 20n, auth_user_change_password: { name: "root", password: "secret" } })],
  [
    0,
    internal({ ID: 21n, auth_role_grant_permission: { name: "r", perm: { permType: "READWRITE", key: bytes("x") } } }),
  ],
];

let world: SimulatedWorld;

beforeEach(async () => {
  world = simulatedWorld(1);
  await world.fs.mkdir("/data/member/snap", { recursive: true });
  const options = { fs: world.fs, folder: "/data/member/wal", log: silent, monotonic: () => world.clock.monotonic() };
  const wal = await Wal.create(options, codec.encode(Metadata, { NodeID: 0xabcn, ClusterID: 0xdefn }));
  const entries = DATA.map(([type, data], i): Entry => ({ type, data, index: i + 1, term: i < 12 ? 1 : 22 }));
  await wal.append(entries, { term: 22, vote: 3n, commit: 20 });
  await wal.saveSnapshot({ index: 12, term: 1 }, CONF_STATE);
  await wal.close();
});

async function dump(options: Partial<DumpOptions> = {}): Promise<string> {
  const given = {
    dataDir: "/data",
    walDir: "",
    startIndex: undefined,
    startSnap: "",
    entryType: "Normal,ConfigChange",
  };
  let text = "";
  for await (const piece of dumpLogs(world.fs, codec, { ...given, ...options })) text += piece;
  return text;
}

const indexes = (text: string) => [...text.matchAll(/^ *\d+\t *(\d+)\t/gm)].map(([, index]) => Number(index));

test("a log without a snapshot is shown from its beginning, every kind of entry in its own way", async () => {
  goldenFile("src/etcd/tools/testdata/dump-logs.txt", await dump());
});

test("a log is shown from its newest snapshot on; one that a crash cut off doesn't count", async () => {
  await writeSnapFile(world.fs, "/data/member/snap", { index: 12, term: 1, confState: CONF_STATE }, bytes("v2"), codec);
  await world.fs.writeFile("/data/member/snap/0000000000000016-0000000000000018.snap", "torn");
  goldenFile("src/etcd/tools/testdata/dump-logs-from-snapshot.txt", await dump());
  const named = await dump({ startSnap: "0000000000000001-000000000000000c.snap" });
  assert.equal(named, await dump());
  await assert.rejects(dump({ startSnap: "0000000000000016-0000000000000018.snap" }));
});

test("a log is shown behind an index, with no need for a snapshot", async () => {
  const text = await dump({ startIndex: 22 });
  assert.match(text, /^Start dumping log entries from index 22\.\nWAL metadata:\n/);
  assert.deepEqual(indexes(text), [23, 24]);
});

test("entries are shown by their types", async () => {
  const expected: readonly (readonly [types: string, shown: readonly number[]])[] = [
    ["ConfigChange", [1, 2, 3, 4, 5]],
    ["Request", [7, 8, 9, 10, 11]],
    ["IRRRange", [13]],
    ["IRRPut", [14]],
    ["IRRDeleteRange", [15]],
    ["IRRTxn", [16]],
    ["IRRCompaction", [17]],
    ["IRRLeaseGrant", [18]],
    ["IRRLeaseRevoke", [19]],
    ["IRRLeaseCheckpoint", [20]],
    ["IRRPut,IRRTxn,ConfigChange", [1, 2, 3, 4, 5, 14, 16]],
    ["InternalRaftRequest", [6, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]],
    ["Nonsense", []],
  ];
  for (const [entryType, shown] of expected) {
    const text = await dump({ entryType });
    assert.deepEqual(indexes(text), shown, entryType);
    assert.ok(text.endsWith(`\nEntry types (${entryType}) count is : ${shown.length}\n`), entryType);
  }
});

test("a log in a folder of its own is found there", async () => {
  await world.fs.rename("/data/member/wal", "/elsewhere");
  assert.equal(indexes(await dump({ walDir: "/elsewhere" })).length, DATA.length);
  await assert.rejects(dump(), /ENOENT/);
});

test("every record is shown as it is, and a checksum that doesn't hold is told once", async () => {
  const raw = async (startIndex?: number) => {
    const warnings: string[] = [];
    let text = "";
    const options = { walDir: "/data/member/wal", startIndex, warn: (line: string) => void warnings.push(line) };
    for await (const piece of dumpRaw(world.fs, codec, options)) text += piece;
    return { text, warnings };
  };
  const whole = await raw();
  goldenFile("src/etcd/tools/testdata/dump-raw.txt", whole.text);
  assert.deepEqual(whole.warnings, []);
  const behind = await raw(20);
  assert.deepEqual(
    [...behind.text.matchAll(/Index:(\d+)/g)].map(([, index]) => Number(index)),
    [20, 21, 22, 23, 24],
  );
  const [name] = await world.fs.list("/data/member/wal");
  const path = `/data/member/wal/${name}`;
  const bytes = Buffer.from(await world.fs.readFile(path));
  bytes[bytes.indexOf("registry")]! ^= 1;
  await world.fs.writeFile(path, bytes);
  const damaged = await raw();
  assert.equal(damaged.warnings.length, 1);
  assert.match(damaged.warnings[0]!, /crc mismatch in .*wal at offset \d+/);
  assert.equal(damaged.text.split("\n").length, whole.text.split("\n").length);
});

test("what a decoder says of an entry stands behind it", async () => {
  const said = ["OK|fine", "no bar", "WRONG|a|b"];
  const text = await dump({
    entryType: "IRRPut,IRRTxn,IRRCompaction",
    decoder: async (hex) => `${said.shift()}${hex.length > 0 ? "" : "!"}`,
  });
  assert.match(text, /\ttype\tdata\tdecoder_status\tdecoded_data\n/);
  assert.match(text, /put:.*\tOK\tfine\n/);
  assert.match(text, /txn:.*\tdecoder output format is not right, print output anyway\tno bar\n/);
  assert.match(text, /compaction:.*\tWRONG\(\*WARNING: data might contain deliminator used by etcd-dump-logs\)\tab\n/);
});

test("a dump changes nothing, not even a torn tail", async () => {
  const [name] = await world.fs.list("/data/member/wal");
  const path = `/data/member/wal/${name}`;
  const before = await world.fs.readFile(path);
  const end = before.findLastIndex((byte) => byte !== 0) + 9;
  const file = await world.fs.open(path, { write: true });
  await file.write(end - (end % 8), [Uint8Array.of(0, 2, 0, 0, 0, 0, 0, 0, 8, 2)]);
  const torn = await world.fs.readFile(path);
  assert.equal(indexes(await dump()).length, DATA.length);
  assert.deepEqual(await world.fs.readFile(path), torn);
});
