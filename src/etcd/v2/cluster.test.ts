/** The v2 tree on three members, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { EtcdMembers } from "../../testing/etcd-members.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { Member } from "../member.ts";
import { V2Error } from "./errors.ts";
import type { Event } from "./node.ts";
import { parseKeyRequest, type KeyRequest, type Write } from "./request.ts";
import { V2Store } from "./store.ts";

interface Bench {
  readonly members: EtcdMembers;
  readonly stores: ReadonlyMap<Member, V2Store>;
  ask(path: string, form?: Readonly<Record<string, string>>, method?: KeyRequest["method"]): Write;
}

async function withTrees(seed: number, body: (bench: Bench) => Promise<void>): Promise<void> {
  const world = simulatedWorld(seed);
  const { clock } = world;
  const members = new EtcdMembers(world);
  let done = false;
  const work = (async () => {
    await members.start(["a", "b", "c"]);
    await members.untilLeader();
    const stores = new Map(members.all.map((member) => [member, new V2Store(member, { clock, log: silent })]));
    await body({
      members,
      stores,
      ask: (path, form = {}, method = "PUT") =>
        parseKeyRequest(method, path, new Map(Object.entries(form)), clock.now()) as Write,
    });
    for (const store of stores.values()) store[Symbol.dispose]();
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await clock.until(() => done, 3_600_000);
  await work;
  assert.deepEqual(members.failures, []);
}

test("what one member was told is seen, swapped and waited for through the others", () =>
  withTrees(1, async ({ members, stores, ask }) => {
    const [a, b, c] = members.all.map((member) => stores.get(member)!);
    const seen: Event[] = [];
    c!.watch({
      path: "/1/k",
      recursive: false,
      stream: true,
      since: 0,
      onEvent: (event) => void seen.push(event),
      onLost: () => assert.fail("lost"),
    });
    await a!.write(ask("/k", { value: "1" }));
    // At once, through one that may not have heard of it: refusals too are of what was acknowledged before.
    await assert.rejects(b!.write(ask("/k", { value: "2", prevExist: "false" })), /Key already exists/);
    await b!.write(ask("/k", { value: "2", prevValue: "1" }));
    assert.equal((await c!.quorumGet("/1/k", false)).event.node.value, "2");
    await members.until(() => seen.length === 2);
    assert.deepEqual(
      seen.map(({ action, node }) => [action, node.modifiedIndex]),
      [
        ["set", 4],
        ["compareAndSwap", 5],
      ],
    );
  }));

test("appends are counted where they come in and where they go out, by whom they are for", () =>
  withTrees(3, async ({ members, stores, ask }) => {
    const leader = members.leader!;
    const followers = members.all.filter((member) => member !== leader);
    const before = followers.map(({ appendCounts }) => appendCounts.received);
    await stores.get(leader)!.write(ask("/k", { value: "1" }));
    await members.pass(50);
    followers.forEach(({ appendCounts }, i) =>
      assert.ok(appendCounts.received > before[i]! && appendCounts.sent === 0),
    );
    const { sent, followers: counted } = leader.appendCounts;
    assert.deepEqual([...counted.keys()].sort(), followers.map(({ id }) => id).sort());
    assert.equal(
      sent,
      [...counted.values()].reduce((sum, { success }) => sum + success, 0),
    );
  }));

test("of those who swap at once through all members one succeeds, and every success has an index of its own", () =>
  withTrees(2, async ({ members, stores, ask }) => {
    const all = [...stores.values()];
    await all[0]!.write(ask("/lock", { value: "free" }));
    const swaps = await Promise.allSettled(
      all.flatMap((store, i) =>
        [0, 1, 2].map((j) => store.write(ask("/lock", { value: `${i}${j}`, prevValue: "free" }))),
      ),
    );
    assert.equal(swaps.filter(({ status }) => status === "fulfilled").length, 1);
    for (const swap of swaps)
      assert.ok(swap.status === "fulfilled" || (swap.reason instanceof V2Error && swap.reason.kind === "testFailed"));
    const made = await Promise.all(all.flatMap((store) => [1, 2, 3].map(() => store.write(ask("/q", {}, "POST")))));
    assert.deepEqual(
      made.map(({ index }) => index).sort((a, b) => a - b),
      [6, 7, 8, 9, 10, 11, 12, 13, 14],
    );
    await members.until(() => all.every((store) => store.index === 14));
    const trees = all.map((store) => JSON.stringify(store.get("/1", true).event));
    assert.equal(new Set(trees).size, 1);
  }));

test("the leader takes away what expires, once, also when it is another leader by then", () =>
  withTrees(3, async ({ members, stores, ask }) => {
    const leader = (await members.untilLeader())!;
    await stores.get(leader)!.write(ask("/a", { value: "1", ttl: "30" }));
    await members.kill(leader.options.name);
    const next = (await members.untilLeader())!;
    await members.world.clock.advance(0);
    const left = members.all.map((member) => stores.get(member)!);
    assert.equal(left[0]!.get("/1/a").event.node.value, "1");
    await members.until(() => left.every((store) => store.index === 5));
    for (const store of left) assert.throws(() => store.get("/1/a"), /Key not found/);
    assert.notEqual(next.id, leader.id);
  }));

test("where the leader takes nothing away, another member does a little later", () =>
  withTrees(5, async ({ members, stores, ask }) => {
    const leader = (await members.untilLeader())!;
    stores.get(leader)![Symbol.dispose](); // As upstream's, which doesn't know of the tree.
    const others = members.all.filter((member) => member !== leader).map((member) => stores.get(member)!);
    await others[0]!.write(ask("/a", { value: "1", ttl: "5" }));
    await members.world.clock.advance(6000);
    assert.equal(others[0]!.get("/1/a").event.node.value, "1");
    await members.world.clock.advance(3000);
    for (const store of others) {
      assert.throws(() => store.get("/1/a"), /Key not found/);
      assert.equal(store.index, 5);
    }
  }));

test("without a leader a write fails in the API's own words", () =>
  withTrees(4, async ({ members, stores, ask }) => {
    const leader = (await members.untilLeader())!;
    const [one, other] = members.all.filter(({ id }) => id !== leader.id);
    await members.kill(leader.options.name);
    await members.kill(other!.options.name);
    await members.until(() => one!.leader === 0n);
    const began = members.world.clock.monotonic();
    const writes = [1, 2, 3].map((i) => stores.get(one!)!.write(ask("/a", { value: `${i}` })));
    for (const outcome of await Promise.allSettled(writes)) {
      assert.equal(outcome.status, "rejected");
      const error = (outcome as PromiseRejectedResult).reason as V2Error;
      assert.equal(error.status, 500);
      assert.match(JSON.stringify(error.body("")), /"errorCode":300,"message":"Raft Internal Error","cause":"[^"]+"/);
    }
    // Those that waited for the first one's turn to end don't wait a time of their own after it.
    assert.ok(members.world.clock.monotonic() - began < 8000);
  }));
