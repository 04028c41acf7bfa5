/**
 * What a watcher is told equals what has happened since its start, whatever comes between: readers slow enough to be cut off, lost connections to
 * etcd, compaction. Who is refused or cut off begins again as a client does; no gap may go unsaid. Seeded: a failure names its seed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { StatusError } from "../../machinery/status.ts";
import { nodeWorld } from "../../world/node/index.ts";
import type { Clock } from "../../world/world.ts";
import { FakeEtcd } from "../testing/fake-etcd.ts";
import type { Entry } from "./entry.ts";
import { Store } from "./store.ts";
import { WatchCache } from "./watch-cache.ts";

const PREFIX = "/registry/things/";
const STEPS = 250;
const SEEDS = 25;

/** Time moves only where nothing else is to be done. */
class Timers {
  #now = 0;
  #timers: { at: number; fn: () => void }[] = [];
  readonly clock: Clock = {
    ...nodeWorld().clock,
    now: () => this.#now,
    monotonic: () => this.#now,
    soon: (fn) => void setImmediate(fn),
    after: (ms, fn) => {
      const timer = { at: this.#now + ms, fn };
      this.#timers.push(timer);
      return { [Symbol.dispose]: () => void (this.#timers = this.#timers.filter((one) => one !== timer)) };
    },
  };
  fire(): void {
    const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
    if (next === undefined) return;
    this.#timers = this.#timers.filter((one) => one !== next);
    this.#now = Math.max(this.#now, next.at);
    next.fn();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function numbers(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % limit;
  };
}

interface Change {
  readonly revision: number;
  readonly key: string;
  /** Undefined: the object's end. */
  readonly value: number | undefined;
}
interface Told {
  readonly type: string;
  readonly key: string;
  readonly revision: number;
}

/** What a watcher with this selection has to be told of all changes after a revision. */
function expected(history: readonly Change[], after: number, matches: (value: number) => boolean): readonly Told[] {
  const shown = new Set<string>();
  const told: Told[] = [];
  for (const { revision, key, value } of history) {
    const was = shown.has(key);
    const is = value !== undefined && matches(value);
    if (is) shown.add(key);
    else shown.delete(key);
    if (revision <= after || (!was && !is)) continue;
    told.push({ type: !was ? "ADDED" : is ? "MODIFIED" : "DELETED", key, revision });
  }
  return told;
}

/** A client that lists, watches from there, and begins again when it is refused. */
class Client {
  readonly #cache: WatchCache;
  readonly #history: readonly Change[];
  readonly #slow: boolean;
  readonly #value: ((value: number) => boolean) | undefined;
  readonly state = new Map<string, number>();
  readonly #seed: number;
  restarts = 0;
  told = 0;
  #stopped = false;
  #close: () => void = () => {};

  constructor(cache: WatchCache, history: readonly Change[], seed: number, slow: boolean, even: boolean) {
    this.#cache = cache;
    this.#history = history;
    this.#seed = seed;
    this.#slow = slow;
    this.#value = even ? (value) => value % 2 === 0 : undefined;
  }

  get #selection() {
    const value = this.#value;
    if (value === undefined) return { prefix: PREFIX };
    return { prefix: PREFIX, matches: ({ stored }: Entry) => value((stored as unknown as { value: number }).value) };
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.#cache.whenReady;
      if (this.#stopped) return;
      const begin = this.#cache.revision;
      this.state.clear();
      for (const { key, revision } of this.#cache.list(this.#selection)) this.state.set(key, revision);
      await this.#follow(begin);
      this.restarts++;
      await turn();
    }
  }

  async #follow(begin: number): Promise<void> {
    let last = begin;
    while (!this.#stopped) {
      try {
        const watcher = this.#cache.watch({
          ...this.#selection,
          revision: last,
          sendInitialEvents: false,
          bookmarks: false,
        });
        this.#close = () => watcher.close();
        const from = last;
        const told: Told[] = [];
        for await (const item of watcher) {
          if (item.type === "BOOKMARK") continue;
          const { key, revision } = item.entry;
          told.push({ type: item.type, key, revision });
          if (item.type === "DELETED") this.state.delete(key);
          else this.state.set(key, revision);
          last = revision;
          this.told++;
          if (this.#slow) for (let i = 0; i < 20; i++) await turn();
        }
        const all = expected(this.#history, from, this.#value ?? (() => true));
        assert.deepEqual(told, all.slice(0, told.length), `seed ${this.#seed}: a gap after ${from}`);
        await turn();
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        // Too old, or too slow: both are said.
        assert.match(error.reason, /Expired|Gone|InternalError|TooManyRequests|Timeout/, error.message);
        return;
      }
    }
  }

  /** Whether it knows what is there at the end. */
  has(history: readonly Change[]): boolean {
    const last = new Map(history.map((change) => [change.key, change]));
    const shown = [...last.values()].filter(({ value }) => value !== undefined && (this.#value?.(value) ?? true));
    return shown.length === this.state.size && shown.every(({ key, revision }) => this.state.get(key) === revision);
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }
}

async function run(seed: number): Promise<{ readonly told: number; readonly restarts: number }> {
  const next = numbers(seed);
  const timers = new Timers();
  const etcd = new FakeEtcd();
  etcd.revision = 5;
  const { clock } = timers;
  const store = new Store({
    resource: { group: "", plural: "configmaps" },
    etcd,
    clock,
    decode: (value) => JSON.parse(Buffer.from(value).toString()),
  });
  const cache = new WatchCache({ etcd, store, clock, log: silent, prefix: PREFIX });
  const stop = new AbortController();
  const done = cache.run(stop.signal);
  const history: Change[] = [];
  const clients: Client[] = [];
  const running: Promise<void>[] = [];
  const write = async () => {
    const name = "abcdefgh"[next(8)]!;
    const key = PREFIX + name;
    const value = next(100);
    const ends = next(4) === 0;
    const result = await store.update(key, undefined, (current) => {
      if (current !== undefined && ends) return "delete";
      return { put: { apiVersion: "v1", kind: "Thing", metadata: { name }, value } as any };
    });
    const { revision } = result!.entry;
    history.push({ revision, key, value: result!.deleted ? undefined : value });
    history.sort((a, b) => a.revision - b.revision);
  };
  const start = () => {
    const client = new Client(cache, history, seed, next(3) === 0, next(2) === 0);
    clients.push(client);
    running.push(client.run());
  };
  await cache.whenReady;
  for (let step = 0; step < STEPS; step++) {
    const what = next(100);
    if (what < 75) await write();
    else if (what < 80 && clients.length < 8) start();
    else if (what < 84) etcd.disconnect();
    else if (what < 86) await etcd.kv.Compact({ revision: Math.max(1, etcd.revision - next(20)) } as any);
    else if (what < 93) timers.fire();
    else await turn();
  }
  // All is quiet: everybody comes to see what is there.
  const { entries, revision } = await store.list(PREFIX);
  const wanted = entries.map(({ key, revision: at }) => [key, at]);
  for (let i = 0; i < 20 || (i < 1000 && (!cache.isReady || cache.revision < revision)); i++) {
    timers.fire();
    await turn();
  }
  for (let i = 0; i < 5000 && !clients.every((client) => client.has(history)); i++) await turn();
  assert.deepEqual(
    cache.list({ prefix: PREFIX }).map(({ key, revision: at }) => [key, at]),
    wanted,
    `seed ${seed}: the cache`,
  );
  for (const [i, client] of clients.entries()) assert.ok(client.has(history), `seed ${seed}: client ${i} is behind`);
  for (const client of clients) client.stop();
  await Promise.all(running);
  stop.abort();
  await done;
  return {
    told: clients.reduce((sum, { told }) => sum + told, 0),
    restarts: clients.reduce((sum, { restarts }) => sum + restarts, 0),
  };
}

test("no watcher misses a change, hears of one twice, or out of order", async () => {
  let told = 0;
  let restarts = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const sums = await run(seed);
    told += sums.told;
    restarts += sums.restarts;
  }
  assert.ok(told > 1000, `${told} events`);
  assert.ok(restarts > 5, `${restarts} clients had to begin again`);
});
