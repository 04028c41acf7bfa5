/** Damaged db files and snapshots on disk: reading them ends with an error message and never in an endless loop. */
import assert from "node:assert/strict";
import { InvariantError } from "../../base/assert.ts";
import { DamagedFile } from "../../etcd/backend/bolt/format.ts";
import { BoltBackend } from "../../etcd/backend/bolt-backend.ts";
import { openBackend } from "../../etcd/mvcc/restore.ts";
import { restoreSnapshot } from "../../etcd/tools/restore.ts";
import { silent } from "../../observe/log.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { SimulatedFs } from "../sim/fs.ts";
import { Simulation } from "../sim/simulation.ts";
import { type Fuzzer, mutated, pick } from "./fuzzer.ts";
import { createHash } from "node:crypto";

const OPTIONS = { batchIntervalMs: 1e9, batchLimit: 1e9, cacheBytes: 1 << 20, pageSize: 512 };
const PATH = "/snap/db";

export const dbFiles: Fuzzer = {
  name: "db-files",
  about: "damaged db files to a member's store",
  async run(random) {
    const clock = new Simulation();
    const fs = new SimulatedFs(() => 0, random.fork("disk"));
    await within(clock, async () => {
      await fs.mkdir("/snap", { recursive: true });
      await write(fs, clock, random);
      await fs.writeFile(PATH, damaged(random, await fs.readFile(PATH)));
      await tells(async () => {
        const failures: unknown[] = [];
        const { backend } = await openBackend(PATH, OPTIONS, { fs, clock, onFailure: (error) => failures.push(error) });
        try {
          await backend.check();
          backend.scan(0, 1000, () => {});
          backend.bucket("meta").put("more", random.bytes(2000));
          await backend.commit();
        } finally {
          await backend.abandon();
        }
        for (const failure of failures) throw failure;
      });
    });
  },
};

export const dbSnapshots: Fuzzer = {
  name: "db-snapshots",
  about: "damaged snapshots, with and without a hash, to a restore",
  async run(random) {
    const clock = new Simulation();
    const fs = new SimulatedFs(() => 0, random.fork("disk"));
    await within(clock, async () => {
      await fs.mkdir("/snap", { recursive: true });
      await write(fs, clock, random);
      const db = Buffer.from(await fs.readFile(PATH));
      const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
      const whole = Buffer.concat([db, hash(db)]);
      const skipHashCheck = random.next() < 0.3;
      // As one who hashes what is damaged already.
      const rehashed = random.next() < 0.3;
      const changed = rehashed ? damaged(random, db) : random.next() < 0.1 ? whole : damaged(random, whole);
      const file = rehashed ? Buffer.concat([changed, hash(changed)]) : changed;
      await fs.writeFile("/saved", file);
      let isRestored = false;
      await tells(async () => {
        const initialCluster = [{ name: "m", peerUrls: ["http://m:2380"] }];
        const given = { snapshot: "/saved", name: "m", dataDir: "/new", walDir: "", peerUrls: ["http://m:2380"] };
        await restoreSnapshot(
          { fs, clock },
          { ...given, initialCluster, initialClusterToken: "t", skipHashCheck, bumpRevision: 0 },
          silent,
        );
        isRestored = true;
      });
      const isHashed = file.length % 512 === 32 && file.subarray(-32).equals(hash(file.subarray(0, -32)));
      assert.ok(!isRestored || skipHashCheck || isHashed, "what is restored has its hash");
    });
  },
};

/** Ends in virtual time. */
export async function within<T>(clock: Simulation, work: () => Promise<T>): Promise<T> {
  let done = false;
  const run = work().finally(() => (done = true));
  run.catch(() => {});
  await clock.until(() => done, 60_000);
  assert.ok(done, "it never ends");
  return run;
}

/** No error, or one that was meant. */
async function tells(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    // What only writing comes upon ends the member in the words of the claim that doesn't hold.
    const isMeant =
      error instanceof DamagedFile ||
      error instanceof InvariantError ||
      (error instanceof Error && error.constructor === Error);
    if (!isMeant) throw error;
    assert.ok(error.message.length > 10, `"${error.message}" says too little`);
  }
}

async function write(fs: SimulatedFs, clock: Simulation, random: Random): Promise<void> {
  const backend = await BoltBackend.open(PATH, OPTIONS, {
    fs,
    clock,
    onFailure: (error) => assert.fail(String(error)),
  });
  let revision = 1;
  for (let commits = 1 + randomInt(random, 3); commits > 0; commits--) {
    for (let count = randomInt(random, 12); count > 0; count--)
      backend.put(
        {
          key: Buffer.from(`k${randomInt(random, 9)}`),
          value: random.bytes(pick(random, [0, 20, 90, 900])),
          create_revision: revision,
          mod_revision: ++revision,
          version: 1,
          lease: 0n,
        },
        0,
      );
    backend.bucket("meta").put("consistent_index", random.bytes(8));
    await backend.commit();
  }
  await backend.close();
}

/** Damage to a db file, at heads of pages and in their elements more often than elsewhere. */
export function damaged(random: Random, bytes: Uint8Array, pageBytes = OPTIONS.pageSize): Buffer {
  if (random.next() < 0.3) return mutated(random, bytes);
  const changed = Buffer.from(bytes);
  for (let changes = 1 + randomInt(random, 3); changes > 0; changes--) {
    const pages = Math.ceil(changed.length / pageBytes);
    const page = pageBytes * randomInt(random, pages);
    const at = Math.min(changed.length - 1, page + randomInt(random, pick(random, [16, 64, 512])));
    changed[at] = random.next() < 0.5 ? randomInt(random, 256) : changed[at]! ^ (1 << randomInt(random, 8));
    if (random.next() < 0.1) changed.copyWithin(page, pageBytes * randomInt(random, pages), changed.length);
  }
  return random.next() < 0.1 ? changed.subarray(0, randomInt(random, changed.length)) : changed;
}
