import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred, type Deferred } from "../../base/deferred.ts";
import type { WatchResponse } from "../../protocols/etcd/generated.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { Store } from "./store.ts";
import { Watchable, type WatchStream } from "./watchable.ts";

/** A store and its watchers, with a reader that can be made slow. */
class Bench {
  readonly clock = new Simulation();
  readonly store = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
  readonly watchable: Watchable;
  readonly responses: WatchResponse[] = [];
  #slow: Deferred<void> | undefined;
  readonly stream: WatchStream;

  constructor(jitter: () => number = () => 0) {
    this.watchable = new Watchable({
      store: this.store,
      clock: this.clock,
      header: (revision) => ({ cluster_id: 1n, member_id: 1n, revision, raft_term: 1 }),
      progressIntervalMs: 1000,
      jitter,
      fragmentBytes: 500,
      verify: true,
    });
    const drained = () => this.#slow?.promise ?? Promise.resolve();
    this.stream = this.watchable.open({
      send: (response) => {
        this.responses.push(response);
        return this.#slow === undefined;
      },
      get drained() {
        return drained();
      },
    });
  }

  becomeSlow(): void {
    this.#slow = deferred();
  }
  recover(): Promise<void> {
    this.#slow?.resolve();
    this.#slow = undefined;
    return this.settle();
  }
  settle(): Promise<void> {
    return this.clock.advance(1);
  }
  write(...keys: string[]): void {
    this.store.begin();
    for (const key of keys) this.store.put(Buffer.from(key), Buffer.alloc(100, key), 0n);
    const changes = this.store.end();
    this.watchable.notify(changes);
  }
  /** Revisions of all events so far. */
  get revisions(): number[] {
    return this.responses.flatMap(({ events }) => events.map(({ kv }) => kv!.mod_revision));
  }
}

test("a slow reader is sent no more than it refused, and later everything it missed, in order and once", async () => {
  const bench = new Bench();
  bench.stream.create({ key: Buffer.from("a"), range_end: Buffer.from("z") });
  bench.write("a");
  bench.becomeSlow();
  for (let i = 0; i < 5000; i++) bench.write("a", "b");
  await bench.settle();
  assert.deepEqual([...new Set(bench.revisions)], [2, 3]);
  await bench.recover();
  bench.write("c");
  assert.deepEqual(bench.revisions, [2, ...Array.from({ length: 5000 }, (_, i) => [i + 3, i + 3]).flat(), 5003]);
});

test("the events of one revision stay together, even where a pass over history ends", async () => {
  const bench = new Bench();
  for (let i = 0; i < 300; i++) bench.write(...Array.from({ length: 7 }, (_, k) => `k${k}`));
  bench.stream.create({ key: Buffer.from("k"), range_end: Buffer.from("l"), start_revision: 1 });
  await bench.settle();
  assert.equal(bench.revisions.length, 2100);
  for (const { events } of bench.responses)
    for (const revision of new Set(events.map(({ kv }) => kv!.mod_revision)))
      assert.equal(events.filter(({ kv }) => kv!.mod_revision === revision).length, 7);
});

test("fragments stay below the limit, and all but the last say that more follows", () => {
  const bench = new Bench();
  bench.stream.create({ key: Buffer.from("k"), range_end: Buffer.from("l"), fragment: true });
  bench.write("k1", "k2", "k3", "k4", "k5", "k6", "k7");
  assert.deepEqual(
    bench.responses.slice(1).map(({ events, fragment }) => [events.length, fragment]),
    [
      [3, true],
      [3, true],
      [1, false],
    ],
  );
});

test("progress is told only when all of a stream's watchers have begun and caught up", async () => {
  const bench = new Bench();
  bench.write("a");
  bench.stream.create({ key: Buffer.from("a") });
  bench.stream.create({ key: Buffer.from("a"), start_revision: 1 });
  bench.stream.requestProgress();
  assert.equal(bench.responses.length, 2); // The two `created`: the second watcher is behind.
  await bench.settle();
  bench.stream.requestProgress();
  assert.deepEqual([bench.responses.at(-1)!.watch_id, bench.responses.at(-1)!.header!.revision], [-1n, 2]);
  // Progress short of where it begins would say nothing: the next revision is not reached, either.
  bench.stream.create({ key: Buffer.from("a"), start_revision: 3 });
  const before = bench.responses.length;
  bench.stream.requestProgress();
  assert.equal(bench.responses.length, before);
  bench.write("b");
  bench.stream.requestProgress();
  assert.equal(bench.responses.length, before + 1);
});

test("a watcher that asked for it hears of progress after an interval without events", async () => {
  const bench = new Bench();
  bench.stream.create({ key: Buffer.from("a"), progress_notify: true });
  await bench.clock.advance(1500);
  bench.write("a");
  assert.equal(bench.responses.length, 2);
  await bench.clock.advance(1000);
  assert.equal(bench.responses.length, 2);
  await bench.clock.advance(1000);
  assert.deepEqual(
    bench.responses.slice(2).map(({ watch_id, header, events }) => [watch_id, header!.revision, events.length]),
    [[0n, 2, 0]],
  );
  bench.stream.close();
});

test("streams that were opened together hear of progress one after another", async () => {
  const bench = new Bench(() => jitters.shift() ?? 0);
  const jitters = [0.9, 0.1];
  const heard: string[] = [];
  const streams = ["late", "early"].map((name) => {
    const send = ({ created }: WatchResponse) => created || heard.push(name) > 0;
    const stream = bench.watchable.open({ send, drained: Promise.resolve() });
    stream.create({ key: Buffer.from("a"), progress_notify: true });
    return stream;
  });
  // The first interval ends with nothing told: it began with their creation.
  await bench.clock.advance(1095);
  await bench.clock.advance(960);
  assert.deepEqual(heard, ["early"]);
  await bench.clock.advance(100);
  assert.deepEqual(heard, ["early", "late"]);
  for (const stream of streams) stream.close();
});

test("a watcher in the future hears nothing before its revision", () => {
  const bench = new Bench();
  bench.stream.create({ key: Buffer.from("a"), start_revision: 4 });
  for (let i = 0; i < 4; i++) bench.write("a");
  assert.deepEqual(bench.revisions, [4, 5]);
});

test("watchers of the same change share one event", () => {
  const bench = new Bench();
  for (let i = 0; i < 3; i++) bench.stream.create({ key: Buffer.from("a"), range_end: Buffer.from("b") });
  bench.write("a1");
  const [first, second, third] = bench.responses.slice(3).map(({ events }) => events);
  assert.ok(first === second && second === third);
});

test("a reader that turns slow in the middle of history is sent no more of it, and the rest once it has caught up", async () => {
  const bench = new Bench();
  for (let i = 0; i < 5; i++) bench.write("k");
  for (let i = 0; i < 50; i++) bench.stream.create({ key: Buffer.from("k"), start_revision: 2 });
  const created = bench.responses.length;
  bench.becomeSlow();
  await bench.settle();
  assert.ok(bench.responses.length - created <= 1, `${bench.responses.length - created} batches for a slow reader`);
  await bench.recover();
  await bench.settle();
  await bench.settle();
  const seen = new Map<bigint, number[]>();
  for (const { watch_id, events } of bench.responses)
    for (const { kv } of events) seen.set(watch_id, [...(seen.get(watch_id) ?? []), kv!.mod_revision]);
  assert.equal(seen.size, 50);
  for (const revisions of seen.values()) assert.deepEqual(revisions, [2, 3, 4, 5, 6]);
});

test("what was before an event is what was before its transaction", async () => {
  for (const isPast of [false, true]) {
    const bench = new Bench();
    const [a, end] = [Buffer.from("a"), Buffer.from("z")];
    const create = () => bench.stream.create({ key: a, range_end: end, prev_kv: true, start_revision: 3 });
    bench.write("a");
    if (!isPast) create();
    bench.store.begin();
    bench.store.put(a, Buffer.from("short-lived"), 0n);
    bench.store.put(Buffer.from("b"), Buffer.from("new"), 0n);
    bench.store.deleteRange(a, end);
    bench.store.put(a, Buffer.from("again"), 0n);
    bench.watchable.notify(bench.store.end());
    if (isPast) create();
    await bench.settle();
    const told = bench.responses.flatMap(({ events }) => events);
    assert.deepEqual(
      told.map(({ type, kv, prev_kv }) => [type, String(kv!.key), prev_kv?.mod_revision]),
      [
        ["PUT", "a", 2],
        ["PUT", "b", undefined],
        ["DELETE", "a", 2],
        ["DELETE", "b", undefined],
        ["PUT", "a", undefined],
      ],
    );
  }
});

test("the id of a watcher that a compaction cancelled is taken until its client cancels it, too", async () => {
  const bench = new Bench();
  for (let i = 0; i < 5; i++) bench.write("a");
  bench.store.compact(5);
  const key = Buffer.from("a");
  bench.stream.create({ key, start_revision: 2, watch_id: 1n });
  await bench.settle();
  bench.stream.create({ key, watch_id: 1n });
  bench.stream.create({ key });
  bench.stream.create({ key });
  bench.stream.cancel(1n);
  bench.stream.create({ key, watch_id: 1n });
  assert.deepEqual(
    bench.responses.map(({ watch_id, created, canceled, compact_revision }) => [
      Number(watch_id),
      created ? (canceled ? "refused" : "created") : "cancelled",
      compact_revision,
    ]),
    [
      [1, "created", 0],
      [1, "cancelled", 5],
      [-1, "refused", 0],
      [0, "created", 0],
      [2, "created", 0],
      [1, "cancelled", 0],
      [1, "created", 0],
    ],
  );
});

test("a watcher that was sent all there is loses nothing to a compaction, when the store jumps to a newer state", async () => {
  const bench = new Bench();
  bench.stream.create({ key: Buffer.from("a") });
  for (let i = 0; i < 3; i++) bench.write("b");
  const { revision } = bench.store;
  bench.store.compact(revision);
  bench.watchable.restored(revision);
  await bench.settle();
  bench.write("a");
  await bench.settle();
  assert.deepEqual(
    bench.responses.map(({ created, canceled, events }) => [created, canceled, events.length]),
    [
      [true, false, 0],
      [false, false, 1],
    ],
  );
});
