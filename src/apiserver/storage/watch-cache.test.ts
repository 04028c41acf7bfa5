import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "../../base/deferred.ts";
import { silent } from "../../observe/log.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { lateWatches } from "../testing/late-watches.ts";
import { FakeEtcd } from "../testing/fake-etcd.ts";
import { Store } from "./store.ts";
import { nodeTopic } from "./cache-watcher.ts";
import { WatchCache } from "./watch-cache.ts";

const { clock } = nodeWorld();
const PREFIX = "/registry/things/";

function setUp() {
  const etcd = new FakeEtcd();
  etcd.revision = 5;
  const store = new Store({
    resource: { group: "", plural: "configmaps" },
    etcd,
    clock,
    decode: (value) => JSON.parse(Buffer.from(value).toString()),
  });
  const cache = new WatchCache({ etcd, store, clock, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  return {
    etcd,
    store,
    cache,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

const thing = (name: string, value: number): any => ({ apiVersion: "v1", kind: "Thing", metadata: { name }, value });

/** A small generator of numbers, the same for the same seed. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % limit;
  };
}

/** A clock that stands still, and the timers that were set by it. */
function standstill() {
  const timers: { ms: number; fn: () => void }[] = [];
  const slow = {
    ...clock,
    now: () => 0,
    monotonic: () => 0,
    soon: clock.soon.bind(clock),
    after: (ms: number, fn: () => void) => {
      timers.push({ ms, fn });
      return { [Symbol.dispose]() {} };
    },
  };
  return { slow, timers };
}

test("under concurrent writes a fresh cache is what etcd has, and a watcher's events add up to it", async () => {
  await using parts = setUp();
  const { store, cache } = parts;
  await cache.whenReady;
  const watcher = cache.watch({ prefix: PREFIX, revision: 0, sendInitialEvents: false, bookmarks: false });
  const twin = new Map<string, number>();
  const following = (async () => {
    for await (const item of watcher) {
      if (item.type === "BOOKMARK") continue;
      if (item.type === "DELETED") twin.delete(item.entry.key);
      else twin.set(item.entry.key, item.entry.revision);
    }
  })();
  const next = numbers(7);
  const writer = async () => {
    for (let i = 0; i < 60; i++) {
      const key = `${PREFIX}${"abcdefgh"[next(8)]}`;
      await store.update(key, next(2) === 0 ? cache.get(key) : undefined, (current) => {
        if (current !== undefined && next(4) === 0) return "delete";
        return { put: thing(key, next(1000)) };
      });
      if (i % 10 === 0) {
        const direct = await store.list(PREFIX);
        await cache.waitUntil(direct.revision);
        if (cache.revision === direct.revision)
          assert.deepEqual(
            cache.list({ prefix: PREFIX }).map(({ key, revision }) => [key, revision]),
            direct.entries.map(({ key, revision }) => [key, revision]),
          );
      }
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
  const last = await store.list(PREFIX);
  await cache.waitUntil(last.revision);
  watcher.close();
  await following;
  assert.deepEqual(
    [...twin].sort(([a], [b]) => (a < b ? -1 : 1)),
    last.entries.map(({ key, revision }) => [key, revision]),
  );
});

test("the cache tells the state at any revision since its start as etcd does, and nothing that etcd has forgotten", async () => {
  await using parts = setUp();
  const { store, cache } = parts;
  await cache.whenReady;
  const begin = cache.revision;
  const next = numbers(11);
  for (let i = 0; i < 120; i++) {
    const key = `${PREFIX}${"ab"[next(2)]}/${"abcdefgh"[next(8)]}`;
    await store.update(key, undefined, (current) =>
      current !== undefined && next(3) === 0 ? "delete" : { put: thing(key, i) },
    );
    if (i % 4 > 0) continue;
    // Some are asked for again and again while more happens, as a list's pages are.
    const asked = [begin, begin + next(i + 1), begin + 9].filter((revision) => revision <= begin + i);
    await cache.waitUntil(begin + i);
    for (const revision of asked)
      for (const [prefix, start] of [
        [PREFIX, PREFIX],
        [`${PREFIX}a/`, `${PREFIX}a/c\0`],
      ] as const) {
        assert.ok(cache.reachesBack(revision));
        assert.deepEqual(
          cache.listAt(revision, prefix, start).map(({ key, revision }) => [key, revision]),
          (await store.list(prefix, { start, revision })).entries.map(({ key, revision }) => [key, revision]),
          `${prefix} at ${revision}`,
        );
      }
  }
  assert.equal(cache.reachesBack(begin - 1), false);
  cache.compact(begin + 5);
  assert.deepEqual([cache.reachesBack(begin + 4), cache.reachesBack(begin + 5)], [false, true]);
});

test("a watch from before the window is refused with the oldest revision it could begin at", async () => {
  await using parts = setUp();
  const { store, cache } = parts;
  await cache.whenReady;
  const begin = cache.revision;
  await store.create(`${PREFIX}a`, thing("a", 1));
  const from = (revision: number) =>
    cache.watch({ prefix: PREFIX, revision, sendInitialEvents: false, bookmarks: false });
  from(begin).close();
  assert.throws(
    () => from(begin - 1),
    (error: Error) => error.message === `too old resource version: ${begin - 1} (${begin})`,
  );
});

test("a read of a revision that etcd doesn't have fails after three seconds of asking", async () => {
  const etcd = new FakeEtcd();
  const { slow, timers } = standstill();
  const resource = { group: "", plural: "configmaps" };
  const store = new Store({ resource, etcd, clock: slow, decode: () => assert.fail() });
  const cache = new WatchCache({ etcd, store, clock: slow, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  await cache.whenReady;
  const waiting = cache.waitUntil(99);
  timers.find(({ ms }) => ms === 3000)!.fn();
  await assert.rejects(waiting, /^StatusError: Timeout: Too large resource version: 99, current: 1$/);
  stop.abort();
  await done;
});

test("a writer waits until the cache has heard of the write, and no longer than three seconds for one that hears nothing", async () => {
  const fake = new FakeEtcd();
  const { slow, timers } = standstill();
  let gate = deferred();
  const etcd = lateWatches(fake, () => gate.promise);
  const store: Store = new Store({
    resource: { group: "", plural: "things" },
    etcd,
    clock: slow,
    decode: (value) => JSON.parse(Buffer.from(value).toString()),
    written: (revision) => cache.heardOf(revision),
  });
  const cache = new WatchCache({ etcd, store, clock: slow, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  await cache.whenReady;
  const waits = () => timers.filter(({ ms }) => ms === 3000);
  const writing = store.create(`${PREFIX}a`, thing("a", 1));
  while (waits().length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(cache.get(`${PREFIX}a`), undefined);
  waits()[0]!.fn();
  assert.equal((await writing).stored.metadata.name, "a");
  // It isn't known to follow: nobody else waits for it.
  await store.create(`${PREFIX}b`, thing("b", 1));
  assert.equal(waits().length, 1);
  gate.resolve();
  while (cache.get(`${PREFIX}b`) === undefined) await new Promise((resolve) => setImmediate(resolve));
  gate = deferred();
  let gone = false;
  const entry = cache.get(`${PREFIX}b`);
  const deleting = store.update(`${PREFIX}b`, entry, () => "delete").then(() => (gone = true));
  while (waits().length === 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(gone, false);
  gate.resolve();
  await deleting;
  assert.equal(cache.get(`${PREFIX}b`), undefined);
  stop.abort();
  await done;
});

test("an update that lost the race is made again from what won", async () => {
  await using parts = setUp();
  const { store, cache } = parts;
  await cache.whenReady;
  const key = `${PREFIX}a`;
  const first = await store.create(key, thing("a", 1));
  await store.update(key, first, () => ({ put: thing("a", 2) }));
  const seen: number[] = [];
  const result = await store.update(key, first, (current) => {
    const { value } = current!.stored as unknown as { value: number };
    seen.push(value);
    return { put: thing("a", value + 10) };
  });
  assert.deepEqual(seen, [1, 2]);
  assert.equal((result!.entry.stored as unknown as { value: number }).value, 12);
});

test("a watcher of one node hears of the pods that come to it and leave it, and of no others", async () => {
  await using parts = setUp();
  const { store, cache } = parts;
  await cache.whenReady;
  const pod = (name: string, nodeName: string): any => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { nodeName },
  });
  const watcher = cache.watch({
    prefix: PREFIX,
    matches: ({ stored }) => (stored as any).spec.nodeName === "n1",
    revision: cache.revision,
    sendInitialEvents: false,
    bookmarks: false,
    topic: nodeTopic("n1"),
  });
  await store.create(`${PREFIX}a`, pod("a", "n1"));
  await store.create(`${PREFIX}b`, pod("b", "n2"));
  const { entry } = (await store.update(`${PREFIX}a`, undefined, () => ({ put: pod("a", "n2") })))!;
  await cache.waitUntil(entry.revision);
  watcher.close();
  const events: string[] = [];
  for await (const item of watcher)
    if (item.type !== "BOOKMARK") events.push(`${item.type} ${item.entry.stored.metadata.name}`);
  assert.deepEqual(events, ["ADDED a", "DELETED a"]);
});

test("large values make the window short, and cut off sooner who doesn't read", async () => {
  const etcd = new FakeEtcd();
  const large = Buffer.alloc(2 * 1024 * 1024);
  const store = new Store({
    resource: { group: "", plural: "configmaps" },
    etcd,
    clock,
    decode: () => assert.fail(),
    encode: () => large,
  });
  const cache = new WatchCache({ etcd, store, clock, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  await cache.whenReady;
  const begin = cache.revision;
  const from = (revision: number) =>
    cache.watch({ prefix: PREFIX, revision, sendInitialEvents: false, bookmarks: false });
  const deaf = from(begin);
  for (let i = 0; i < 150; i++) {
    if (i === 20) assert.equal(deaf.overrun, false);
    if (i === 40) assert.equal(deaf.overrun, true);
    await store.update(`${PREFIX}a`, undefined, () => ({ put: thing("a", i) }));
    await cache.waitUntil(begin + i + 1);
  }
  from(begin + 60).close();
  assert.throws(() => from(begin + 40), /too old resource version/);
  stop.abort();
  await done;
});

test("very many watchers are told of news in slices, and each hears of all of it in order", async () => {
  const etcd = new FakeEtcd();
  const soon: (() => void)[] = [];
  let now = 0;
  const slow = { ...clock, monotonic: () => now, soon: (fn: () => void) => void soon.push(fn) };
  const store = new Store({
    resource: { group: "", plural: "configmaps" },
    etcd,
    clock,
    decode: (value) => JSON.parse(Buffer.from(value).toString()),
  });
  const cache = new WatchCache({ etcd, store, clock: slow, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  await cache.whenReady;
  const heard = Array.from({ length: 30 }, () => [] as number[]);
  for (const mine of heard) {
    const watcher = cache.watch({
      prefix: PREFIX,
      revision: cache.revision,
      sendInitialEvents: false,
      bookmarks: false,
    });
    const hear = () => {
      now += 1;
      for (const item of watcher.take() as readonly any[]) mine.push(item.entry.stored.value);
      watcher.whenMore(hear);
    };
    watcher.whenMore(hear);
  }
  const reached = cache.revision;
  for (const value of [1, 2]) await store.update(`${PREFIX}a`, undefined, () => ({ put: thing("a", value) }));
  await cache.waitUntil(reached + 2);
  const told = () => heard.filter((mine) => mine.length > 0).length;
  assert.ok(told() > 0 && told() < 30, `${told()} were told at once`);
  while (soon.length > 0) soon.shift()!();
  assert.deepEqual(
    heard.map((mine) => mine.join()),
    heard.map(() => "1,2"),
  );
  stop.abort();
  await done;
});
