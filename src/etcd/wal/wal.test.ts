import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { simulatedWorld, type SimulatedWorld } from "../../testing/sim/world.ts";
import { crc32c } from "./crc32c.ts";
import { readWal, WalDamage } from "./reader.ts";
import type { Entry } from "../../raft/types.ts";
import { FrameWriter } from "./record.ts";
import { Wal, type WalOptions } from "./wal.ts";

const FIRST = "/wal/0000000000000000-0000000000000000.wal";
const entry = (index: number, length = 20): Entry => ({ term: 2, index, type: 0, data: Buffer.alloc(length, index) });
const optionsOf = ({ fs, clock }: SimulatedWorld, segmentBytes?: number): WalOptions => ({
  fs,
  folder: "/wal",
  log: silent,
  monotonic: () => clock.monotonic(),
  ...(segmentBytes !== undefined && { segmentBytes }),
});

async function walWith(world: SimulatedWorld, entries: readonly Entry[], segmentBytes?: number): Promise<Wal> {
  const wal = await Wal.create(optionsOf(world, segmentBytes), Buffer.from("metadata"));
  for (const one of entries) await wal.append([one], { term: 2, vote: 7n, commit: one.index - 1 });
  return wal;
}

async function change(world: SimulatedWorld, path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await world.fs.open(path, { write: true });
  await file.write(at, [bytes]);
  await file.sync();
}

test("crc32c knows the standard's check value, in any number of pieces", () => {
  const bytes = Buffer.from("123456789");
  assert.equal(crc32c(bytes), 0xe3069283);
  for (let cut = 0; cut <= 9; cut++)
    assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), 0xe3069283);
});

test("a new log begins with the bytes that etcd begins with", () => {
  const frames = new FrameWriter(0);
  frames.start(64);
  frames.crcRecord();
  assert.deepEqual([...frames.take()], [4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 0x10, 0, 0, 0, 0, 0]);
});

test("entries come back as they went in, through segments", async () => {
  const world = simulatedWorld(1);
  const entries = Array.from({ length: 300 }, (_, i) => entry(i + 1, (i * 37) % 500));
  await walWith(world, entries, 8000);
  assert.ok((await world.fs.list("/wal")).length > 5);
  world.fs.powerCut();
  const { content } = await Wal.open(optionsOf(world), 0);
  assert.deepEqual(
    content.entries.map(({ index, data }) => [index, data.length]),
    entries.map(({ index, data }) => [index, data.length]),
  );
  assert.deepEqual(content.state, { term: 2, vote: 7n, commit: 299 });
});

test("a log goes on after it was opened again", async () => {
  const world = simulatedWorld(2);
  await walWith(world, [entry(1), entry(2)]);
  const { wal } = await Wal.open(optionsOf(world), 0);
  await wal.append([entry(3)], undefined);
  const { content } = await Wal.open(optionsOf(world), 1);
  assert.deepEqual(
    content.entries.map(({ index }) => index),
    [2, 3],
  );
});

test("a later entry of the same index replaces the earlier and all behind it", async () => {
  const world = simulatedWorld(3);
  const wal = await walWith(world, [entry(1), entry(2), entry(3)]);
  await wal.append([{ ...entry(2), term: 5 }], undefined);
  const { content } = await Wal.open(optionsOf(world), 0);
  assert.deepEqual(
    content.entries.map(({ index, term }) => [index, term]),
    [
      [1, 2],
      [2, 5],
    ],
  );
});

test("a write that a power cut tore is dropped, what came before stands, and the log can be written again", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = simulatedWorld(seed);
    await walWith(world, [entry(1), entry(2)]);
    const before = readWal([{ name: FIRST, bytes: await world.fs.readFile(FIRST) }], 0);
    const frames = new FrameWriter(before.crc);
    frames.start(8192);
    frames.entry(entry(3, 3000));
    // Sectors of a write reach the disk in any order: all but one are there.
    const torn = frames.take().slice();
    const sector = Math.ceil(before.endOffset / 512) * 512 + 512 * (seed % 4) - before.endOffset;
    torn.fill(0, sector, sector + 512);
    await change(world, FIRST, before.endOffset, torn);
    const { wal, content } = await Wal.open(optionsOf(world), 0);
    assert.deepEqual(
      content.entries.map(({ index }) => index),
      [1, 2],
    );
    assert.equal(content.torn, true);
    await wal.append([entry(3, 10)], undefined);
    const again = await Wal.open(optionsOf(world), 0);
    assert.deepEqual(
      again.content.entries.map(({ index, data }) => [index, data.length]),
      [
        [1, 20],
        [2, 20],
        [3, 10],
      ],
    );
  }
});

test("damage that no crash explains fails with file and offset", async () => {
  const world = simulatedWorld(4);
  await walWith(world, [entry(1, 600), entry(2, 600), entry(3, 600)]);
  await change(world, FIRST, 300, Buffer.from("x"));
  await assert.rejects(Wal.open(optionsOf(world), 0), (error: Error) => {
    assert.ok(error instanceof WalDamage);
    assert.match(error.message, /crc mismatch in \/wal\/0{16}-0{16}\.wal at offset \d+/);
    return true;
  });
});

test("a missing segment in the middle is told", async () => {
  const world = simulatedWorld(5);
  await walWith(
    world,
    Array.from({ length: 100 }, (_, i) => entry(i + 1, 400)),
    8000,
  );
  const names = await world.fs.list("/wal");
  await world.fs.remove(`/wal/${names[2]}`);
  await assert.rejects(Wal.open(optionsOf(world), 0), /a file is missing/);
});

test("segments before a released index go, and the rest can be opened behind it", async () => {
  const world = simulatedWorld(6);
  const wal = await walWith(
    world,
    Array.from({ length: 100 }, (_, i) => entry(i + 1, 400)),
    8000,
  );
  const before = (await world.fs.list("/wal")).length;
  await wal.saveSnapshot(
    { index: 60, term: 2 },
    { voters: [7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  );
  await wal.release(60);
  assert.ok((await world.fs.list("/wal")).length < before - 2);
  assert.deepEqual(await Wal.snapshots(optionsOf(world)), [{ index: 60, term: 2 }]);
  const { content } = await Wal.open(optionsOf(world), 60);
  assert.deepEqual(
    content.entries.map(({ index }) => index),
    Array.from({ length: 40 }, (_, i) => 61 + i),
  );
});
