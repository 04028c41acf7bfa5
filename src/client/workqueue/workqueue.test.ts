import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation } from "../../testing/sim/simulation.ts";
import { Metrics } from "../../observe/metrics.ts";
import { bucketLimiter, exponentialLimiter } from "./rate-limiter.ts";
import { WorkQueue } from "./workqueue.ts";

test("a key waits once, and comes again after its work when it was added meanwhile", async () => {
  const queue = new WorkQueue<string>({ name: "test", clock: new Simulation() });
  queue.add("a");
  queue.add("b");
  queue.add("a");
  assert.equal(queue.length, 2);
  assert.equal(await queue.take(), "a");
  queue.add("a");
  queue.add("a");
  assert.equal(queue.length, 1, "a key in work does not wait beside itself");
  queue.done("a");
  assert.equal(await queue.take(), "b");
  assert.equal(await queue.take(), "a");
  queue.done("a");
  assert.equal(queue.length, 0);
});

test("of several bookings of a key the earliest counts", async () => {
  const clock = new Simulation();
  const queue = new WorkQueue<string>({ name: "test", clock });
  queue.addAfter("a", 100);
  queue.addAfter("a", 30);
  queue.addAfter("a", 50);
  let at: number | undefined;
  void queue.take().then(() => (at = clock.monotonic()));
  await clock.until(() => at !== undefined, 1000);
  assert.equal(at, 30);
  queue.done("a");
  await clock.advance(500);
  assert.equal(queue.length, 0, "the later bookings are void");
});

test("takers are served in order and sent home by a shutdown", async () => {
  const queue = new WorkQueue<string>({ name: "test", clock: new Simulation() });
  const [first, second] = [queue.take(), queue.take()];
  queue.add("a");
  assert.equal(await first, "a");
  queue.shutDown();
  assert.equal(await second, undefined);
  assert.equal(await queue.take(), undefined);
});

test("a failing key waits 5 ms, 10 ms, 20 ms, … and at most 1000 s", () => {
  const limiter = exponentialLimiter<string>({ baseMs: 5, maxMs: 1_000_000 });
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.when("a")),
    [5, 10, 20, 40],
  );
  for (let i = 0; i < 30; i++) limiter.when("a");
  assert.equal(limiter.when("a"), 1_000_000);
  limiter.forget("a");
  assert.equal(limiter.when("a"), 5);
});

test("the bucket lets a burst through and then one after the other", () => {
  const limiter = bucketLimiter<string>(new Simulation(), { perSecond: 10, burst: 2 });
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.when("a")),
    [0, 0, 100, 200],
  );
});

test("the queue counts under upstream's names", async () => {
  const metrics = new Metrics();
  const queue = new WorkQueue<string>({ name: "deployment", clock: new Simulation(), metrics });
  queue.add("a");
  queue.addRateLimited("b");
  const text = await metrics.render();
  assert.match(text, /workqueue_adds_total\{name="deployment"\} 1/);
  assert.match(text, /workqueue_retries_total\{name="deployment"\} 1/);
  assert.match(text, /workqueue_depth\{name="deployment"\} 1/);
});
