/** `.snap` files on disk: what is read of them is what was written, or the one before it counts, or there are words about it. */
import assert from "node:assert/strict";
import { writeSnapFile, snapName, type SnapMeta } from "../../etcd/snap/snap-file.ts";
import { dumpLogs } from "../../etcd/tools/dump-logs.ts";
import { WalDamage } from "../../etcd/wal/reader.ts";
import { Wal, type WalOptions } from "../../etcd/wal/wal.ts";
import { silent } from "../../observe/log.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { EMPTY_CONF_STATE } from "../../raft/storage.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { DecodeError } from "../../wire/rpc/reader.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { SimulatedFs } from "../sim/fs.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";

const SNAP = "/data/member/snap";
const WAL = "/data/member/wal";

export const snapFiles: Fuzzer = {
  name: "snap-files",
  about: "damaged .snap files to the tool that reads them",
  async run(random) {
    const fs = new SimulatedFs(() => 0, random.fork("disk"));
    const codec = etcdCodec();
    const written = await write(fs, codec, random);
    const victim = `${SNAP}/${snapName(pick(random, written))}`;
    const bytes = await fs.readFile(victim);
    const changed = random.next() < 0.2 ? [...chunked(random, Buffer.from(bytes))][0]! : mutated(random, bytes);
    await fs.writeFile(victim, changed);
    const startSnap = random.next() < 0.3 ? snapName(pick(random, written)) : "";
    let text = "";
    try {
      const options = { dataDir: "/data", walDir: "", startIndex: undefined, startSnap, entryType: "Normal" };
      for await (const piece of dumpLogs(fs, codec, options)) text += piece;
    } catch (error) {
      const isMeant =
        error instanceof WalDamage ||
        error instanceof DecodeError ||
        (error instanceof Error && error.constructor === Error);
      if (!isMeant) throw error;
      assert.ok(error.message.length > 10, error.message);
      assert.ok(startSnap !== "" || error instanceof WalDamage, `nothing else was asked for: ${error.message}`);
      return;
    }
    const [, term, index, voters] = /^Snapshot:\nterm=(\d+) index=(\d+) nodes=\[(.*)\] /.exec(text) ?? [];
    if (term === undefined) return assert.match(text, /^Snapshot:\nempty\n/);
    const found = written.find((one) => one.term === Number(term) && one.index === Number(index));
    assert.ok(found, `a snapshot of term ${term} at ${index} was never taken`);
    assert.equal(voters, found.confState.voters.map((id) => id.toString(16)).join(" "), "with those who belonged then");
    assert.ok(startSnap === "" || startSnap === snapName(found), "the one that was asked for");
  },
};

async function write(fs: SimulatedFs, codec: Codec, random: Random): Promise<readonly SnapMeta[]> {
  const options: WalOptions = { fs, folder: WAL, log: silent, monotonic: () => 0, segmentBytes: 6000 };
  const wal = await Wal.create(options, Buffer.from([8, 1, 16, 2]));
  await fs.mkdir(SNAP, { recursive: true });
  const taken: SnapMeta[] = [];
  let index = 0;
  for (let count = 1 + randomInt(random, 3); count > 0; count--) {
    const term = 1 + taken.length;
    const more = 1 + randomInt(random, 4);
    const entries = Array.from({ length: more }, (_, i) => ({
      term,
      index: index + i + 1,
      type: 0 as const,
      data: NOTHING,
    }));
    index += more;
    await wal.append(entries, { term, vote: 1n, commit: index });
    const confState = { ...EMPTY_CONF_STATE, voters: [1n, 2n + BigInt(randomInt(random, 9)), 2n ** 63n + 1n] };
    const meta = { index, term, confState };
    await writeSnapFile(fs, SNAP, meta, random.bytes(randomInt(random, 60)), codec);
    await wal.saveSnapshot({ index, term }, confState);
    taken.push(meta);
  }
  await wal.close();
  return taken;
}

const NOTHING = new Uint8Array(0);
