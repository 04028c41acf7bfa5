import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../api/generated/core.v1.ts";
import { silent } from "../observe/log.ts";
import { fakeTransport } from "../testing/fake-transport.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { StatusError } from "../machinery/status.ts";
import { createClient } from "./create-client.ts";
import { createEventBroadcaster } from "./event-recorder.ts";
import { events } from "./resources.ts";
import type { Transport } from "./transport.ts";

function setUp() {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport();
  const broadcaster = createEventBroadcaster({ client: createClient(server), clock, random, log: silent });
  const stop = new AbortController();
  const running = broadcaster.run(stop.signal);
  const flush = () => {
    stop.abort();
    return running;
  };
  const stored = () => server.objects<Event>(events);
  return { clock, server, broadcaster, flush, stored };
}
const about = { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web", uid: "u1" };

test("an event says what, about whom, from whom", async () => {
  const { broadcaster, flush, stored, clock } = setUp();
  broadcaster.recorder("kubelet", "node-1").event(about, "Warning", "Failed", "no image");
  await flush();
  const [event] = stored();
  assert.match(event!.metadata.name, /^web\.[0-9a-f]+$/);
  const { metadata, ...rest } = event!;
  const at = new Date(clock.now()).toISOString().slice(0, 19) + "Z";
  assert.deepEqual(rest, {
    apiVersion: "v1",
    kind: "Event",
    involvedObject: about,
    reason: "Failed",
    message: "no image",
    source: { component: "kubelet", host: "node-1" },
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
    type: "Warning",
    reportingComponent: "kubelet",
    reportingInstance: "node-1",
  });
  assert.equal(metadata.namespace, "default");
});

test("a repeated event is counted, not written again", async () => {
  const { broadcaster, flush, stored } = setUp();
  const recorder = broadcaster.recorder("scheduler");
  for (let i = 0; i < 3; i++) recorder.event(about, "Warning", "FailedScheduling", "no nodes");
  await flush();
  assert.deepEqual(
    stored().map(({ count }) => count),
    [3],
  );
});

test("the tenth event alike folds the ones that follow into one", async () => {
  const { broadcaster, flush, stored } = setUp();
  const recorder = broadcaster.recorder("scheduler");
  for (let i = 0; i < 12; i++) recorder.event(about, "Normal", "Pulled", `image ${i}`);
  await flush();
  const messages = stored().map(({ message, count }) => `${count} ${message}`);
  assert.equal(messages.length, 10);
  assert.equal(messages.at(-1), "3 (combined from similar events): image 11");
});

test("an object that floods is cut off after 25 events", async () => {
  const { server, broadcaster, flush } = setUp();
  const recorder = broadcaster.recorder("scheduler");
  for (let i = 0; i < 40; i++) recorder.event(about, "Normal", `Reason${i}`, "words");
  await flush();
  assert.equal(server.requests.length, 25);
});

test("an event waits for a server that is away", async () => {
  const { clock, server, broadcaster, stored, flush } = setUp();
  let refused = 0;
  server.onRequest = () => {
    if (refused++ < 2) throw new StatusError("ServiceUnavailable", "away");
  };
  broadcaster.recorder("kubelet").event(about, "Normal", "Started", "x");
  await clock.until(() => stored().length === 1, 60_000);
  assert.ok(clock.monotonic() >= 10_000);
  await flush();
});

test("a stop sends what is recorded, but waits for no server that hangs", async () => {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport();
  let asked = 0;
  const hanging: Transport = {
    send: ({ signal }) => {
      asked++;
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(signal!.reason), { once: true }),
      );
    },
    watch: (request) => server.watch(request),
    raw: (request) => server.raw(request),
    close: () => server.close(),
  };
  const broadcaster = createEventBroadcaster({ client: createClient(hanging), clock, random, log: silent });
  const stop = new AbortController();
  let ended = false;
  const running = broadcaster.run(stop.signal).then(() => {
    ended = true;
  });
  for (const reason of ["A", "B"]) broadcaster.recorder("kubelet").event(about, "Normal", reason, "x");
  await clock.until(() => asked === 1, 1000);
  stop.abort();
  await clock.until(() => ended, 3_000);
  await running;
});
