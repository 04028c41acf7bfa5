import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { simulatedWorld, type SimulatedWorld } from "../../testing/sim/world.ts";
import { nodeFs } from "../../world/node/fs.ts";
import { decodeConfChange, encodeConfChange } from "../../raft/conf-change.ts";
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

/** What is behind `committed` may still give way to another leader's entries. */
async function walWith(
  world: SimulatedWorld,
  entries: readonly Entry[],
  segmentBytes?: number,
  committed = Infinity,
): Promise<Wal> {
  const wal = await Wal.create(optionsOf(world, segmentBytes), Buffer.from("metadata"));
  for (const one of entries) await wal.append([one], { term: 2, vote: 7n, commit: Math.min(one.index - 1, committed) });
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
  const wal = await walWith(world, [entry(1), entry(2), entry(3)], undefined, 1);
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

test("an entry of an earlier term takes the place of a later one that nobody had committed, and may come back", async () => {
  const world = simulatedWorld(1);
  const wal = await walWith(world, [entry(1)]);
  const of = (index: number, term: number): Entry => ({
    index,
    term,
    type: 0,
    data: Buffer.from(`${index} of ${term}`),
  });
  // Figure 8 of raft's paper: what leaders of terms 3 and 4 wrote gives way to what one of term 5 has kept of term 2, and that to term 4's again.
  const written = [[of(2, 3)], [of(2, 4), of(3, 4)], [of(2, 2), of(3, 5)], [of(2, 4), of(3, 4), of(4, 6)]];
  for (const [i, entries] of written.entries()) await wal.append(entries, { term: 3 + i, vote: 7n, commit: 1 });
  await wal.close();
  const { content } = await Wal.open(optionsOf(world), { index: 0, term: 0 });
  assert.deepEqual(
    content.entries.map(({ index, term }) => [index, term]),
    [
      [1, 2],
      [2, 4],
      [3, 4],
      [4, 6],
    ],
  );
});

test("a write that a power cut tore is dropped, what came before stands, and the log can be written again", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = simulatedWorld(seed);
    await walWith(world, [entry(1), entry(2)], 100_000);
    const before = readWal([{ name: FIRST, bytes: await world.fs.readFile(FIRST) }], 0);
    const frames = new FrameWriter(before.crc);
    frames.start(8192);
    frames.entry(entry(3, 3000));
    // Sectors of a write reach the disk in any order: all but one are there.
    const torn = frames.take().slice();
    const sector = Math.ceil(before.endOffset / 512) * 512 + 512 * (seed % 4) - before.endOffset;
    torn.fill(0, sector, sector + 512);
    await change(world, FIRST, before.endOffset, torn);
    const { wal, content } = await Wal.open(optionsOf(world, 100_000), 0);
    assert.deepEqual(
      content.entries.map(({ index }) => index),
      [1, 2],
    );
    assert.equal(content.torn, true);
    await wal.append([entry(3, 10)], undefined);
    const again = await Wal.open(optionsOf(world, 100_000), 0);
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

test("a log whose file ends inside its last record loses that record alone", async () => {
  const world = simulatedWorld(5);
  await walWith(world, [entry(1), entry(2), entry(3, 700)]);
  const whole = await world.fs.readFile(FIRST);
  const { endOffset } = readWal([{ name: FIRST, bytes: whole }], 0);
  // The last of all is the state, of 24 bytes.
  for (const missing of [16, 40, 100, 500]) {
    const { entries, torn } = readWal([{ name: FIRST, bytes: whole.subarray(0, endOffset - missing) }], 0);
    assert.deepEqual([entries.length, torn], [missing < 24 ? 3 : 2, true], `${missing} bytes are missing`);
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

test("a segment has its 64 MB from its first moment, and again after it was opened", async () => {
  const world = simulatedWorld(7);
  const wal = await walWith(world, [entry(1)]);
  assert.equal((await world.fs.stat(FIRST))?.sizeBytes, 64_000_000);
  await wal.close();
  const again = await Wal.open(optionsOf(world), 0);
  assert.equal((await world.fs.stat(FIRST))?.sizeBytes, 64_000_000);
  await again.wal.close();
});

test("on a real disk a new log takes no more room than its records and the zeros ahead of them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "t8s-wal-"));
  try {
    const { clock, random } = simulatedWorld(8);
    const options = { fs: nodeFs(random), folder: `${folder}/wal`, log: silent, monotonic: () => clock.monotonic() };
    const wal = await Wal.create(options, Buffer.from("metadata"));
    await wal.append([entry(1)], { term: 1, vote: 1n, commit: 0 });
    await wal.close();
    const { size, blocks } = await stat(`${folder}${FIRST}`);
    assert.equal(size, 64_000_000);
    assert.ok(blocks * 512 <= 2 * 1024 * 1024, `${blocks * 512} bytes on disk`);
    const { content } = await Wal.open(options, 0);
    assert.deepEqual(
      content.entries.map(({ index }) => index),
      [1],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a cut ends the file with its last record, and names the next after the entry that comes", async () => {
  const world = simulatedWorld(9);
  const wal = await walWith(world, [], 4000);
  for (let index = 1; index <= 10; index++)
    await wal.append([entry(index, 1000)], { term: 2, vote: 7n, commit: index });
  const names = await world.fs.list("/wal");
  assert.deepEqual(
    names.filter((name) => name.endsWith(".wal")).map((name) => name.slice(-20, -4)),
    ["0000000000000000", "0000000000000005", "0000000000000009"],
  );
  const closed = await world.fs.readFile(FIRST);
  const content = readWal([{ name: FIRST, bytes: closed }], 0);
  assert.equal(content.endOffset, closed.length);
  assert.equal(content.entries.at(-1)?.index, 4);
  // The next file says whose log it is and what the state was, before its first entry.
  const second = readWal(
    [
      {
        name: "second",
        bytes: await world.fs.readFile(`/wal/${names.find((name) => name.startsWith("0000000000000001"))}`),
      },
    ],
    4,
  );
  assert.deepEqual(second.metadata, new Uint8Array(Buffer.from("metadata")));
  assert.deepEqual(second.state, { term: 2, vote: 7n, commit: 8 });
  await wal.close();
  assert.deepEqual(
    (await world.fs.list("/wal")).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("a power cut at any moment, cuts of segments among them, loses nothing that was acknowledged", async () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 30; seed++) {
    const world = simulatedWorld(seed);
    const wal = await walWith(world, [], 3000);
    let acknowledged = 0;
    const writing = (async () => {
      for (let index = 1; index <= 60; index++) {
        await wal.append([entry(index, 300)], { term: 2, vote: 7n, commit: acknowledged });
        acknowledged = index;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })().catch(() => {});
    for (let i = 0; i < seed * 2; i++) await new Promise((resolve) => setImmediate(resolve)); // The moment: so many turns after the beginning.
    world.fs.failWrites = new Error("dead");
    world.fs.powerCut();
    seen.add(acknowledged);
    await writing;
    world.fs.failWrites = undefined;
    const { wal: again, content } = await Wal.open(optionsOf(world, 3000), 0);
    assert.ok((content.entries.at(-1)?.index ?? 0) >= acknowledged, `seed ${seed}: ${acknowledged} acknowledged`);
    await again.append([entry((content.entries.at(-1)?.index ?? 0) + 1)], undefined);
  }
  assert.ok(seen.size > 10, "the power was cut at few different moments");
});

test("a conflicting suffix is replaced across segments, and the next segment is named after what was written last", async () => {
  const world = simulatedWorld(10);
  const wal = await walWith(
    world,
    [1, 2, 3, 4, 5, 6, 7, 8].map((index) => entry(index, 900)),
    4000,
    2,
  );
  // A new leader's log is shorter: all from 3 on gives way.
  for (let index = 3; index <= 6; index++) await wal.append([{ ...entry(index, 900), term: 9 }], undefined);
  const { wal: again, content } = await Wal.open(optionsOf(world, 4000), 0);
  const terms = (entries: readonly Entry[]) => entries.map(({ index, term }) => `${index}/${term}`).join(" ");
  assert.equal(terms(content.entries), "1/2 2/2 3/9 4/9 5/9 6/9");
  assert.equal(content.lastIndex, 6);
  for (let index = 7; index <= 10; index++) await again.append([{ ...entry(index, 900), term: 9 }], undefined);
  const last = await Wal.open(optionsOf(world, 4000), 0);
  assert.equal(terms(last.content.entries), "1/2 2/2 3/9 4/9 5/9 6/9 7/9 8/9 9/9 10/9");
});

test("a log is opened behind a snapshot only if it knows of it, in the same term", async () => {
  const world = simulatedWorld(11);
  const wal = await walWith(world, [entry(1), entry(2), entry(3)]);
  const confState = { voters: [7n], learners: [8n], votersOutgoing: [], learnersNext: [], autoLeave: false };
  await wal.saveSnapshot({ index: 2, term: 2 }, confState);
  assert.deepEqual(
    (await Wal.read(optionsOf(world), { index: 2, term: 2 })).entries.map(({ index }) => index),
    [3],
  );
  await assert.rejects(Wal.open(optionsOf(world), { index: 3, term: 2 }), /snapshot not found: index 3/);
  await assert.rejects(Wal.open(optionsOf(world), { index: 2, term: 1 }), /snapshot mismatch: index 2/);
});

test("changes of members come back as entries of their type", async () => {
  const world = simulatedWorld(12);
  const data = encodeConfChange(
    {
      id: 5n,
      transition: "ConfChangeTransitionAuto",
      changes: [{ type: "ConfChangeAddNode", nodeId: 9n }],
      context: Buffer.from("{}"),
    },
    1,
  );
  await walWith(world, [
    { term: 1, index: 1, type: 1, data },
    { term: 1, index: 2, type: 2, data: Buffer.alloc(0) },
  ]);
  const { entries } = await Wal.read(optionsOf(world), 0);
  assert.deepEqual(
    entries.map(({ type }) => type),
    [1, 2],
  );
  assert.deepEqual(decodeConfChange(1, entries[0]!.data).changes, [{ type: "ConfChangeAddNode", nodeId: 9n }]);
});

test("what a cut left unfinished is cleared away", async () => {
  const world = simulatedWorld(13);
  await (await walWith(world, [entry(1)])).close();
  await world.fs.writeFile("/wal/1.tmp", "half a segment");
  await Wal.open(optionsOf(world), 0);
  assert.deepEqual(await world.fs.list("/wal"), [FIRST.slice(5)]);
});

test("a log goes on behind a snapshot that is ahead of it, over segments and starts", async () => {
  const world = simulatedWorld(8);
  const confState = { voters: [7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const options = optionsOf(world, 8000);
  let wal = await walWith(
    world,
    Array.from({ length: 5 }, (_, i) => entry(i + 1)),
    8000,
  );
  const mark = { index: 50, term: 2 };
  await wal.saveSnapshot(mark, confState);
  await wal.close();
  wal = (await Wal.open(options, mark)).wal;
  // Segments are closed although no entry has come.
  for (let term = 2; term < 500; term++) await wal.append([], { term, vote: 7n, commit: 50 });
  assert.ok((await world.fs.list("/wal")).length > 2);
  for (let index = 51; index <= 150; index++)
    await wal.append([entry(index, 400)], { term: 500, vote: 7n, commit: index - 1 });
  await wal.close();
  const { content } = await Wal.open(options, mark);
  assert.deepEqual(
    content.entries.map(({ index }) => index),
    Array.from({ length: 100 }, (_, i) => 51 + i),
  );
});

test("a snapshot of more than was committed is not started from, as one that was received and not taken up", async () => {
  const world = simulatedWorld(10);
  const confState = { voters: [7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const options = optionsOf(world);
  const wal = await walWith(world, [entry(1), entry(2), entry(3)]);
  const one = { index: 1, term: 2 };
  const nine = { index: 9, term: 3 };
  await wal.saveSnapshot(one, confState);
  await wal.saveSnapshot(nine, confState);
  assert.deepEqual(await Wal.snapshots(options), [{ index: 0, term: 0 }, one]);
  const { mark, content } = await Wal.openBehind(options, await Wal.snapshots(options));
  assert.deepEqual([mark, content.entries.map(({ index }) => index)], [one, [2, 3]]);
  await wal.saveSnapshot(nine, confState, { term: 3, vote: 0n, commit: 9 });
  assert.deepEqual(await Wal.snapshots(options), [{ index: 0, term: 0 }, one, nine, nine]);
});

test("a snapshot whose mark was torn was never made: the log is opened behind the one before", async () => {
  const world = simulatedWorld(9);
  const confState = { voters: [7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const options = optionsOf(world, 100_000);
  let wal = await walWith(world, [entry(1), entry(2)], 100_000);
  await wal.append([], { term: 2, vote: 7n, commit: 2 });
  await wal.saveSnapshot({ index: 1, term: 2 }, confState);
  // Up to where the next mark lies over the edge of a sector: its index on this side, the members on the other.
  let end = 0;
  for (let index = 3; end % 512 !== 488; index++) {
    await wal.append([entry(index, index % 40)], undefined);
    end = readWal([{ name: FIRST, bytes: await world.fs.readFile(FIRST) }], 0).endOffset;
  }
  await wal.saveSnapshot({ index: 2, term: 2 }, confState);
  const edge = Math.ceil(end / 512) * 512;
  await change(world, FIRST, edge, new Uint8Array(512));
  const marks = await Wal.snapshots(options);
  assert.equal(marks.at(-1)!.index, 2);
  const opened = await Wal.openBehind(options, marks);
  assert.equal(opened.mark.index, 1);
  assert.equal(opened.content.entries[0]!.index, 2);
  ({ wal } = opened);
  await wal.saveSnapshot({ index: 2, term: 2 }, confState);
  assert.equal((await Wal.openBehind(options, await Wal.snapshots(options))).mark.index, 2);
});
