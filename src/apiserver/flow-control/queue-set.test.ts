/** The queues of a level, in virtual time: no clock runs here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deal, flowHash } from "./deal.ts";
import type { Flow, Observer, Queuing, Ticket, Work } from "./queue-set.ts";
import { ONE_SEAT, QueueSet } from "./queue-set.ts";

const quiet: Observer = {
  queued() {},
  left() {},
  started() {},
  finished() {},
  released() {},
  refused() {},
  notAccommodated() {},
  changed() {},
};
const QUEUING: Queuing = { queues: 64, handSize: 6, queueLengthLimit: 50 };
const flowOf = (user: string, { queues, handSize }: Queuing = QUEUING): Flow => ({
  schema: "s",
  distinguisher: user,
  hand: deal(flowHash("s", user), queues, handSize),
});
const wide = (initialSeats: number): Work => ({ ...ONE_SEAT, initialSeats });

/** Clients that send `parallel` requests at a time, each of so many milliseconds, for `forMs`. Gives the requests that were served. */
function serve(
  limit: number,
  forMs: number,
  clients: readonly { readonly flow: Flow; readonly parallel: number; readonly ms: number; readonly work?: Work }[],
): number[] {
  const set = new QueueSet(QUEUING, limit, 0, quiet);
  const served = clients.map(() => 0);
  const running: { end: number; ticket: Ticket; client: number }[] = [];
  const send = (client: number, now: number) => {
    const { flow, ms, work = ONE_SEAT } = clients[client]!;
    const ticket = set.start(now, flow, work, undefined);
    if (ticket === undefined) return;
    const begin = () => running.push({ end: ticket.startedAt + ms, ticket, client });
    if (ticket.state === "executing") begin();
    else ticket.onDecision = begin;
  };
  clients.forEach(({ parallel }, client) => {
    for (let i = 0; i < parallel; i++) send(client, 0);
  });
  while (running.length > 0) {
    running.sort((a, b) => a.end - b.end);
    const { end, ticket, client } = running.shift()!;
    if (end > forMs) break;
    served[client]!++;
    set.finish(ticket, end);
    send(client, end);
  }
  return served;
}

test("a flow that asks for little is not held up by one that asks for much", () => {
  const [elephant, mouse] = serve(4, 10_000, [
    { flow: flowOf("elephant"), parallel: 100, ms: 10 },
    { flow: flowOf("mouse"), parallel: 2, ms: 10 },
  ]);
  // The elephant's hand is six queues, the mouse's two requests are in two: in one queue it would be served 2 of 102.
  assert.ok(mouse! > 950, `the mouse got ${mouse} of ${elephant! + mouse!}`);
  assert.ok(elephant! + mouse! > 3_990, "no seat stands empty");
});

test("flows that all want more than there is get the same", () => {
  const served = serve(6, 10_000, [
    { flow: flowOf("a"), parallel: 30, ms: 10 },
    { flow: flowOf("b"), parallel: 30, ms: 10 },
    { flow: flowOf("c"), parallel: 30, ms: 10 },
  ]);
  const mean = served.reduce((sum, count) => sum + count, 0) / 3;
  for (const count of served) assert.ok(Math.abs(count - mean) < mean * 0.35, `${served.join(" ")}`);
});

test("shares are of seats and time, not of requests", () => {
  const inQueue = (queue: number): Flow => ({ schema: "s", distinguisher: String(queue), hand: [queue] });
  const [narrow, broad] = serve(8, 10_000, [
    { flow: inQueue(0), parallel: 20, ms: 10 },
    { flow: inQueue(1), parallel: 20, ms: 10, work: wide(4) },
  ]);
  const ratio = narrow! / broad!;
  assert.ok(ratio > 3 && ratio < 5, `${narrow} narrow and ${broad} broad requests`);
});

test("a request waits while the seats are taken, and begins when one is free", () => {
  const set = new QueueSet(QUEUING, 1, 0, quiet);
  const first = set.start(0, flowOf("a"), ONE_SEAT, undefined)!;
  const second = set.start(1, flowOf("b"), ONE_SEAT, undefined)!;
  assert.deepEqual([first.state, second.state, set.waiting], ["executing", "waiting", 1]);
  let told = 0;
  second.onDecision = () => told++;
  set.finish(first, 5);
  assert.deepEqual([second.state, second.startedAt, told, set.waiting, set.executing], ["executing", 5, 1, 0, 1]);
});

test("a full queue refuses, a queue with a place doesn't", () => {
  const queuing = { queues: 1, handSize: 1, queueLengthLimit: 2 };
  const set = new QueueSet(queuing, 1, 0, quiet);
  const start = () => set.start(0, flowOf("a", queuing), ONE_SEAT, undefined)?.state;
  assert.deepEqual([start(), start(), start(), start()], ["executing", "waiting", "waiting", undefined]);
  assert.equal(set.rejected, 1);
});

test("a level that doesn't queue refuses what finds no seat", () => {
  const set = new QueueSet({ queues: 0, handSize: 0, queueLengthLimit: 0 }, 1, 0, quiet);
  const flow = { schema: "s", distinguisher: "", hand: [] };
  const first = set.start(0, flow, ONE_SEAT, undefined)!;
  assert.equal(set.start(0, flow, ONE_SEAT, undefined), undefined);
  set.finish(first, 1);
  assert.equal(set.start(1, flow, ONE_SEAT, undefined)!.state, "executing");
});

test("an exempt level takes everything", () => {
  const set = new QueueSet({ queues: -1, handSize: 0, queueLengthLimit: 0 }, 0, 0, quiet);
  const flow = { schema: "s", distinguisher: "", hand: [] };
  for (let i = 0; i < 1000; i++) assert.equal(set.start(0, flow, wide(10), undefined)!.state, "executing");
});

test("who waited too long leaves the queue, and is not run later", () => {
  const set = new QueueSet(QUEUING, 1, 0, quiet);
  const first = set.start(0, flowOf("a"), ONE_SEAT, undefined)!;
  const second = set.start(0, flowOf("a"), ONE_SEAT, undefined)!;
  assert.equal(set.cancel(second, 15_000), true);
  assert.equal(set.cancel(first, 15_000), false, "one that runs can't be called back");
  set.finish(first, 15_001);
  assert.deepEqual([second.state, set.idle, set.cancelled], ["refused", true, 1]);
});

test("a request wider than the level runs alone", () => {
  const set = new QueueSet(QUEUING, 4, 0, quiet);
  const first = set.start(0, flowOf("a"), ONE_SEAT, undefined)!;
  const broad = set.start(0, flowOf("b"), wide(10), undefined)!;
  assert.equal(broad.state, "waiting");
  set.finish(first, 1);
  assert.equal(broad.state, "executing");
  assert.equal(set.start(2, flowOf("c"), ONE_SEAT, undefined)!.state, "waiting");
});

test("seats that a write's watchers need are taken until they are given back", () => {
  const set = new QueueSet(QUEUING, 10, 0, quiet);
  const write = set.start(0, flowOf("a"), { initialSeats: 1, finalSeats: 10, additionalLatencyMs: 50 }, undefined)!;
  const next = set.start(0, flowOf("b"), ONE_SEAT, undefined)!;
  assert.equal(set.finish(write, 3), 50);
  assert.equal(next.state, "waiting");
  set.release(write, 53);
  assert.equal(next.state, "executing");
});

test("a change of the configuration loses nobody", () => {
  const set = new QueueSet(QUEUING, 1, 0, quiet);
  const first = set.start(0, flowOf("a"), ONE_SEAT, undefined)!;
  const others = ["b", "c", "d", "e"].map((user) => set.start(0, flowOf(user), ONE_SEAT, undefined)!);
  set.configure({ queues: 2, handSize: 1, queueLengthLimit: 1 }, 2, 1);
  set.finish(first, 2);
  for (let now = 3; others.some(({ state }) => state !== "done"); now++) {
    const running = others.find(({ state }) => state === "executing");
    assert.ok(running, "somebody runs until all are done");
    set.finish(running, now);
  }
  assert.equal(set.queues.length, QUEUING.queues - 5, "a surplus queue goes with its last request");
  assert.equal(set.seatsInUse, 0);
});

test("wide requests leave some seats to those of one, unless they need all there are", () => {
  const set = new QueueSet(QUEUING, 50, 0, quiet);
  const lists = Array.from({ length: 10 }, () => set.start(0, flowOf("lister"), wide(8), undefined)!);
  assert.equal(lists.filter(({ state }) => state === "executing").length, 5);
  assert.equal(set.seatsInUse, 40);
  for (let i = 0; i < 10; i++) assert.equal(set.start(0, flowOf("getter"), ONE_SEAT, undefined)!.state, "executing");
  // Older lists that wait for seats are no reason to wait for a list's end, and neither is a limit that has shrunk meanwhile.
  for (let i = 0; i < 20; i++) lists.push(set.start(1000, flowOf("lister"), wide(8), undefined)!);
  set.configure(QUEUING, 30, 9000);
  const more = Array.from({ length: 5 }, () => set.start(9000, flowOf("prober"), ONE_SEAT, undefined)!);
  assert.equal(more.filter(({ state }) => state === "executing").length, 3);
  set.finish(more[0]!, 9010);
  assert.equal(more.filter(({ state }) => state === "executing").length, 3);
  // Where no wide ones are at work, all is as ever.
  const ones = new QueueSet(QUEUING, 50, 0, quiet);
  for (let i = 0; i < 60; i++) ones.start(0, flowOf("getter"), ONE_SEAT, undefined);
  assert.equal(ones.executing, 50);
  const all = new QueueSet(QUEUING, 10, 0, quiet);
  assert.equal(all.start(0, flowOf("lister"), wide(10), undefined)!.state, "executing");
});
