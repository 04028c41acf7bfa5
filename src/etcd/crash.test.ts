/** Power cuts at any moment, with snapshots and compactions under way: nothing acknowledged is lost, and nothing is there that was never asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import type { MvccpbKeyValue } from "../protocols/etcd/generated.ts";
import { simulatedWorld, type SimulatedWorld } from "../testing/sim/world.ts";
import { randomInt } from "../world/world.ts";
import { createEtcd } from "./server.ts";

const WRITERS = 4;
const b = (text: string) => Buffer.from(text);

/** Each writer owns a key and counts up in it, so that its value tells which writes took place. */
interface Ledger {
  readonly sent: number[];
  readonly acknowledged: number[];
  revision: number;
  /** What the history was, by revision, as far as it was read. */
  readonly history: Map<number, string>;
}

async function lifeOf(world: SimulatedWorld, ledger: Ledger, lifeMs: number): Promise<void> {
  const etcd = createEtcd(
    { dataDir: "/data", snapshotCount: 20, walSegmentBytes: 6000, compactionBatchLimit: 5 },
    { ...world, log: silent, metrics: new Metrics() },
  );
  const abort = new AbortController();
  let isReady = false;
  const ended = etcd.run(abort.signal, () => (isReady = true));
  let over = false;
  const life = (async () => {
    while (!isReady) await new Promise<void>((resolve) => world.clock.after(1, resolve));
    const client = etcd.client();
    await check(client, ledger);
    for (let writer = 0; writer < WRITERS; writer++) void write(client, writer, ledger, world, abort.signal);
    await new Promise<void>((resolve) => world.clock.after(lifeMs, resolve));
    world.fs.powerCut();
    world.fs.failWrites = new Error("the machine is off");
    abort.abort();
    await ended;
    world.fs.failWrites = undefined;
  })().finally(() => (over = true));
  life.catch(() => {});
  await world.clock.until(() => over, 600_000);
  await life;
}

async function write(
  client: EtcdClient,
  writer: number,
  ledger: Ledger,
  world: SimulatedWorld,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const count = ++ledger.sent[writer]!;
    try {
      const { header } = await client.kv.Put({ key: b(`k${writer}`), value: b(String(count).padEnd(100)) });
      if (signal.aborted) return;
      ledger.acknowledged[writer] = count;
      ledger.revision = Math.max(ledger.revision, header!.revision);
      if (randomInt(world.random, 40) === 0)
        await client.kv.Compact({ revision: header!.revision - 3 }).catch(() => {});
    } catch {
      return;
    }
    await new Promise<void>((resolve) => world.clock.after(world.random.next() * 3, resolve));
  }
}

async function check({ kv }: EtcdClient, ledger: Ledger): Promise<void> {
  const { header, kvs } = await kv.Range({ key: b("k"), range_end: b("l") });
  assert.ok(
    header!.revision >= ledger.revision,
    `revision ${header!.revision} after ${ledger.revision} was acknowledged`,
  );
  for (let writer = 0; writer < WRITERS; writer++) {
    const kept: MvccpbKeyValue | undefined = kvs.find(({ key }) => key[1] === 48 + writer);
    const count = kept === undefined ? 0 : Number(Buffer.from(kept.value).toString());
    assert.ok(
      count >= ledger.acknowledged[writer]!,
      `writer ${writer}: ${ledger.acknowledged[writer]} was acknowledged, ${count} is there`,
    );
    assert.ok(
      count <= ledger.sent[writer]!,
      `writer ${writer}: ${count} is there, only ${ledger.sent[writer]} were sent`,
    );
    if (kept !== undefined) {
      // What was true at a revision stays true.
      const known = ledger.history.get(kept.mod_revision);
      const now = `${writer}:${count}:${kept.version}`;
      assert.equal(known ?? now, now);
      ledger.history.set(kept.mod_revision, now);
    }
    // A write that was not acknowledged may be gone for good: its number is used again.
    ledger.sent[writer] = count;
    ledger.acknowledged[writer] = count;
  }
}

test("a power cut at any moment loses no acknowledged write", async () => {
  for (let seed = 0; seed < 4; seed++) {
    const world = simulatedWorld(seed);
    const ledger: Ledger = {
      sent: Array<number>(WRITERS).fill(0),
      acknowledged: Array<number>(WRITERS).fill(0),
      revision: 0,
      history: new Map(),
    };
    for (let life = 0; life < 8; life++) await lifeOf(world, ledger, 1 + world.random.next() * 300);
    assert.ok(ledger.revision > 500, `only ${ledger.revision} revisions were written`);
    const snapshots = await world.fs.list("/data/member/snap");
    assert.ok(
      snapshots.some((name) => name.endsWith(".snap")),
      "no snapshot was ever written",
    );
    assert.ok((await world.fs.list("/data/member/wal")).length < 40, "the log was never let go of");
  }
});
