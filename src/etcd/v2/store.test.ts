import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import type { RequestOp } from "../../protocols/etcd/generated.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { compareHolds } from "../apply/compare.ts";
import { Store } from "../mvcc/store.ts";
import { Watchable } from "../mvcc/watchable.ts";
import { V2Error } from "./errors.ts";
import { HISTORY } from "./layout.ts";
import type { Event } from "./node.ts";
import { parseKeyRequest, type KeyRequest, type Write } from "./request.ts";
import { V2Store, type V2Member } from "./store.ts";

/** One replicated store, and as many members as are asked for. A write takes 10 ms to get through. */
class Bench implements Disposable {
  readonly clock = new Simulation();
  readonly store = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
  readonly watchable = new Watchable({
    store: this.store,
    clock: this.clock,
    header: (revision) => ({ cluster_id: 1n, member_id: 1n, revision, raft_term: 1 }),
    progressIntervalMs: 600_000,
    fragmentBytes: 1 << 20,
  });
  readonly members: readonly V2Store[];
  proposals = 0;

  constructor(members: number) {
    const member = {
      id: 1n,
      leader: 1n,
      requestTimeoutMs: 60_000,
      linearizable: () => undefined,
      store: this.store,
      watchable: this.watchable,
      auth: { asRoot: undefined },
      checkQuota() {},
      propose: async ({ txn }: { readonly txn: { readonly compare: []; readonly success: Init<RequestOp>[] } }) => {
        this.proposals++;
        await new Promise<void>((resolve) => void this.clock.after(10, resolve));
        const succeeded = txn.compare.every((compare) => compareHolds(this.store, compare));
        if (succeeded) this.#apply(txn.success);
        return { succeeded };
      },
    } as unknown as V2Member;
    this.members = Array.from({ length: members }, () => new V2Store(member, { clock: this.clock, log: silent }));
  }

  [Symbol.dispose](): void {
    for (const member of this.members) member[Symbol.dispose]();
  }

  #apply(ops: readonly Init<RequestOp>[]): void {
    this.store.begin();
    for (const { request_put: put, request_delete_range: gone } of ops) {
      if (put !== undefined) this.store.put(put.key!, put.value!, 0n);
      if (gone !== undefined) this.store.deleteRange(gone.key!, gone.range_end);
    }
    const changes = this.store.end();
    if (changes.length > 0) this.watchable.notify(changes);
  }

  ask(path: string, form: Readonly<Record<string, string>> = {}, method: KeyRequest["method"] = "PUT"): Write {
    return parseKeyRequest(method, path, new Map(Object.entries(form)), this.clock.now()) as Write;
  }

  async run<T>(work: Promise<T>): Promise<T> {
    let done = false;
    work.then(
      () => (done = true),
      () => (done = true),
    );
    await this.clock.until(() => done, 600_000);
    return await work;
  }

  watch(path: string, since = 0, recursive = true): Event[] {
    const events: Event[] = [];
    this.members[0]!.watch({
      path: `/1${path}`,
      recursive,
      stream: true,
      since,
      onEvent: (event) => void events.push(event),
      onLost: () => {},
    });
    return events;
  }
}

/** Streams hear twice of what is removed at their own path: as removed, and as changed. */
const summary = (events: readonly Event[]) =>
  events.map(({ action, node }) => `${action} ${node.key!.slice(2)} ${node.modifiedIndex}`);

test("what has a time to live goes when it is over, with what is in it, and tells so", async () => {
  using bench = new Bench(1);
  const [member] = bench.members;
  const events = bench.watch("/service");
  await bench.run(member!.write(bench.ask("/service", { dir: "true", ttl: "5" })));
  await bench.run(member!.write(bench.ask("/service/a", { value: "1", ttl: "2" })));
  await bench.run(member!.write(bench.ask("/service/b", { value: "1", ttl: "60" })));
  await bench.clock.advance(2100);
  assert.deepEqual(summary(events).slice(3), ["expire /service/a 7"]);
  await bench.clock.advance(3000);
  assert.deepEqual(summary(events).slice(4), ["expire /service 8", "expire /service 8"]);
  assert.throws(() => member!.get("/1/service"), /Key not found/);
  await bench.clock.advance(60_000); // The reminder of what went with its directory changes nothing.
  assert.equal(member!.index, 8);
  assert.equal(
    bench.store.range(Buffer.from("_typernetes/v2/expiry/"), Buffer.from("_typernetes/v2/expiry0"), {
      limit: 0,
      revision: 0,
      countOnly: false,
    }).count,
    0,
  );
});

test("a heartbeat keeps it, and watchers don't hear of it", async () => {
  using bench = new Bench(1);
  const [member] = bench.members;
  await bench.run(member!.write(bench.ask("/a", { value: "1", ttl: "2" })));
  const events = bench.watch("/a");
  for (let beat = 0; beat < 5; beat++) {
    await bench.clock.advance(1500);
    await bench.run(member!.write(bench.ask("/a", { ttl: "2", refresh: "true", prevExist: "true" })));
  }
  assert.equal(member!.get("/1/a").event.node.value, "1");
  assert.deepEqual(summary(events), []);
  await bench.clock.advance(2500);
  assert.deepEqual(summary(events), ["expire /a 10", "expire /a 10"]);
});

test("of many who swap the same value at once, through any member, one succeeds", async () => {
  using bench = new Bench(3);
  await bench.run(bench.members[0]!.write(bench.ask("/lock", { value: "free" })));
  const outcomes = await bench.run(
    Promise.allSettled(
      Array.from({ length: 12 }, (_, i) =>
        bench.members[i % 3]!.write(bench.ask("/lock", { value: `${i}`, prevValue: "free" })),
      ),
    ),
  );
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes)
    if (outcome.status === "rejected")
      assert.ok(outcome.reason instanceof V2Error && outcome.reason.kind === "testFailed");
  assert.equal(bench.members[0]!.index, 5);
});

test("items in order, made through any member, have names that grow with the index", async () => {
  using bench = new Bench(2);
  const made = await bench.run(
    Promise.all(
      Array.from({ length: 10 }, (_, i) => bench.members[i % 2]!.write(bench.ask("/queue", { value: `${i}` }, "POST"))),
    ),
  );
  const names = made.map(({ event, index }) => [Number(event.node.key!.split("/").at(-1)), index]);
  assert.deepEqual(
    names.map(([name]) => name).sort((a, b) => a! - b!),
    [4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
  );
  for (const [name, index] of names) assert.equal(name, index);
});

test("the last thousand events can be waited for; what is older is cleared", async () => {
  using bench = new Bench(1);
  const [member] = bench.members;
  for (let i = 0; i < HISTORY + 2; i++) void member!.write(bench.ask("/a", { value: `${i}` }));
  await bench.run(member!.write(bench.ask("/b", { value: "last" })));
  const { index } = member!;
  assert.equal(index, 3 + HISTORY + 3);
  assert.throws(
    () => bench.watch("/a", index - HISTORY),
    (error) => error instanceof V2Error && error.status === 400 && /has been cleared \[7\/6\]/.test(error.detail),
  );
  assert.deepEqual(summary(bench.watch("/a", index - HISTORY + 1)), ["set /a 7"]);
  assert.deepEqual(summary(bench.watch("/b", 8)), [`set /b ${index}`]);
  const kept = bench.store.range(Buffer.from("_typernetes/v2/events/"), Buffer.from("_typernetes/v2/events0"), {
    limit: 0,
    revision: 0,
    countOnly: true,
  });
  assert.equal(kept.count, HISTORY);
});

test("a watcher hears of what is at its path and below, of hidden things at their own path alone, and of removals above", async () => {
  using bench = new Bench(1);
  const [member] = bench.members;
  const everything = bench.watch("");
  const hidden = bench.watch("/a/_h", 0, false);
  const leaf = bench.watch("/a/b", 0, false);
  for (const path of ["/a/b", "/a/_h", "/c"]) await bench.run(member!.write(bench.ask(path, { value: "1" })));
  await bench.run(member!.write(bench.ask("/a", { recursive: "true" }, "DELETE")));
  assert.deepEqual(summary(everything), ["set /a/b 4", "set /c 6", "delete /a 7"]);
  assert.deepEqual(summary(hidden), ["set /a/_h 5", "delete /a 7"]);
  assert.deepEqual(summary(leaf), ["set /a/b 4", "delete /a 7"]);
  assert.equal(bench.proposals, 4);
});

test("writes that wait together are one transaction, and each sees the ones before it", async () => {
  using bench = new Bench(1);
  const [member] = bench.members;
  const events = bench.watch("");
  const write = (path: string, form: Readonly<Record<string, string>> = {}, method: KeyRequest["method"] = "PUT") =>
    member!.write(bench.ask(path, form, method)).then(
      ({ event }) => summary([event])[0],
      (error: unknown) => (error instanceof V2Error ? `${error.kind} ${error.index}` : String(error)),
    );
  const first = write("/first", { value: "1" });
  const rest = [
    write("/d/a", { value: "1" }),
    write("/d/a", { value: "2", prevValue: "1" }),
    write("/d/a", { value: "3", prevValue: "1" }),
    write("/d/b", { value: "1", ttl: "100" }),
    write("/d", { dir: "true" }, "DELETE"),
    write("/d", { recursive: "true" }, "DELETE"),
    write("/d/a", { value: "4", prevExist: "true" }),
    write("/d/a", { value: "5" }),
    write("/d", { value: "x" }),
    write("/q", { value: "1" }, "POST"),
    write("/first", {}, "DELETE"),
  ];
  assert.deepEqual(await bench.run(Promise.all([first, ...rest])), [
    "set /first 4",
    "set /d/a 5",
    "compareAndSwap /d/a 6",
    "testFailed 6",
    "set /d/b 7",
    "dirNotEmpty 7",
    "delete /d 8",
    "keyNotFound 8",
    "set /d/a 9",
    "notFile 9",
    "create /q/00000000000000000010 10",
    "delete /first 11",
  ]);
  assert.equal(bench.proposals, 2);
  assert.deepEqual(
    events.map(({ node }) => node.modifiedIndex),
    [4, 5, 6, 7, 8, 9, 10, 11],
  );
  const { node } = member!.get("/1", true).event;
  assert.deepEqual(
    node.nodes!.map(({ key, nodes }) => [key, nodes?.map(({ value }) => value)]),
    [
      ["/1/d", ["5"]],
      ["/1/q", ["1"]],
    ],
  );
});
