/** Logs on disk: whatever happened to the files, what is read is what was written, or the member refuses to start and says where. */
import assert from "node:assert/strict";
import { readEntry, readFields } from "../../etcd/wal/record.ts";
import { WalDamage } from "../../etcd/wal/reader.ts";
import { Wal, type WalOptions } from "../../etcd/wal/wal.ts";
import { silent } from "../../observe/log.ts";
import type { Entry } from "../../raft/types.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { SimulatedFs } from "../sim/fs.ts";
import { type Fuzzer, pick } from "./fuzzer.ts";

const FOLDER = "/wal";
const START = { index: 0, term: 0 };

interface Written {
  readonly entries: readonly Entry[];
  /** Where the records of each file end. */
  readonly files: readonly { readonly path: string; readonly end: number; readonly firstIndex: number }[];
}

export const walFiles: Fuzzer = {
  name: "wal-files",
  about: "damaged logs to the member that wrote them",
  async run(random) {
    const fs = new SimulatedFs(() => 0, random.fork("disk"));
    const options: WalOptions = { fs, folder: FOLDER, log: silent, monotonic: () => 0, segmentBytes: 6000 };
    const written = await write(options, random);
    const mayLose = await damage(fs, written, random);
    let entries: readonly Entry[];
    try {
      const { wal, content } = await Wal.open(options, START);
      ({ entries } = content);
      // It goes on, and what is added is there the next time.
      const index = (entries.at(-1)?.index ?? 0) + 1;
      const more: Entry = { index, term: 9, type: 0, data: Buffer.from("more") };
      await wal.append([more], undefined);
      await wal.close();
      const again = (await Wal.open(options, START)).content.entries;
      assert.deepEqual(again.map(shown), [...entries, more].map(shown), "what was added after a repair is there");
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.ok(error instanceof WalDamage, `${String(error)}\n${(error as Error).stack}`);
      assert.match(error.message, /\/wal/, "the message names the file");
      return;
    }
    const kept = written.entries.slice(0, entries.length).map(shown);
    assert.deepEqual(entries.map(shown), kept, "what is read is what was written");
    assert.ok(
      entries.length >= mayLose,
      `${entries.length} of ${written.entries.length} entries are left, and ${mayLose} should be`,
    );
  },
};

const shown = ({ index, term, data }: Entry) => `${term}/${index} ${Buffer.from(data).toString("hex")}`;

async function write(options: WalOptions, random: Random): Promise<Written> {
  const wal = await Wal.create(options, Buffer.from([8, 1, 16, 2]));
  const entries: Entry[] = [];
  for (let writes = 1 + randomInt(random, 12); writes > 0; writes--) {
    const batch: Entry[] = [];
    for (let count = 1 + randomInt(random, 4); count > 0; count--)
      batch.push({
        index: entries.length + batch.length + 1,
        term: 1 + Math.floor(entries.length / 10),
        type: 0,
        data: Buffer.from(random.bytes(pick(random, [0, 5, 30, 200, 1500]))),
      });
    await wal.append(batch, { term: batch.at(-1)!.term, vote: 1n, commit: entries.length });
    entries.push(...batch);
  }
  await wal.close();
  const { fs } = options;
  const files = [];
  for (const name of (await fs.list(FOLDER)).filter((name) => name.endsWith(".wal")).sort()) {
    const path = `${FOLDER}/${name}`;
    const bytes = await fs.readFile(path);
    files.push({ path, end: endOf(bytes), firstIndex: parseInt(name.slice(17, 33), 16) });
  }
  return { entries, files };
}

function endOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = 0;
  while (at + 8 <= bytes.length && view.getUint32(at, true) !== 0)
    at += 8 + view.getUint32(at, true) + (bytes[at + 7]! & 7);
  return at;
}

/** The entries whose records end before `offset`. */
function entriesBefore(bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let last = 0;
  for (let at = 0; ;) {
    const length = view.getUint32(at, true);
    const next = at + 8 + length + (bytes[at + 7]! & 7);
    if (length === 0 || next > offset) return last;
    const fields = readFields(bytes.subarray(at + 8, at + 8 + length));
    if (Number(fields.get(1)) === 2) last = readEntry(fields.get(3) as Uint8Array).index;
    at = next;
  }
}

/** How many entries have to be there still, if it starts. */
async function damage(fs: SimulatedFs, { entries, files }: Written, random: Random): Promise<number> {
  const file = random.next() < 0.6 ? files.at(-1)! : pick(random, files);
  const isLast = file === files.at(-1);
  const bytes = Buffer.from(await fs.readFile(file.path));
  const at = Math.min(bytes.length, randomInt(random, file.end + 8));
  const save = (changed: Uint8Array) => fs.writeFile(file.path, changed);
  // What a crash may leave, which nobody can tell from it.
  const asCrash = () => (isLast ? Math.max(entriesBefore(bytes, at), file.firstIndex - 1) : entries.length);
  switch (randomInt(random, 7)) {
    case 0:
    case 1: {
      const changed = Buffer.from(bytes);
      let least = bytes.length;
      const flips = 1 + randomInt(random, 3);
      for (let i = 0; i < flips; i++) {
        const where = randomInt(random, file.end);
        changed[where]! ^= 1 << randomInt(random, 8);
        least = Math.min(least, where);
      }
      await save(changed);
      // One is always told from a crash; several may be the length of a record and what would tell it otherwise.
      return flips === 1 || !isLast ? entries.length : Math.max(entriesBefore(bytes, least), file.firstIndex - 1);
    }
    case 2: {
      const changed = Buffer.from(bytes);
      changed.set(random.bytes(Math.min(1 + randomInt(random, 700), changed.length - at)), at);
      await save(changed);
      return isLast ? asCrash() : entries.length;
    }
    case 3: {
      const must = asCrash();
      await save(bytes.subarray(0, at));
      return must;
    }
    case 4: {
      const must = asCrash();
      const changed = Buffer.from(bytes);
      changed.fill(0, at, Math.min(changed.length, at + 1 + randomInt(random, 2000)));
      await save(changed);
      return must;
    }
    case 5: {
      // A part of it stands elsewhere, too.
      const size = 1 + randomInt(random, 600);
      const from = randomInt(random, file.end);
      await save(Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + size), bytes.subarray(at)]));
      return asCrash();
    }
    default: {
      if (isLast && files.length > 1) {
        await fs.remove(file.path);
        return file.firstIndex - 1; // As if it had never been begun.
      }
      await fs.remove(file.path);
      return files.length === 1 ? 0 : entries.length;
    }
  }
}
