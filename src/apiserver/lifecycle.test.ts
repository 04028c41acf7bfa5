import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import { nodeWorld } from "../world/node/index.ts";
import { untilShutdown } from "./filters/shutdown.ts";
import type { ShutdownOptions } from "./lifecycle.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { ApiRequest, RawResponse } from "./request.ts";
import { requestInfo } from "./request-info.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const OPTIONS: ShutdownOptions = { delayMs: 0, sendRetryAfter: false, watchGraceMs: 0, requestTimeoutMs: 60_000 };

function lifecycle(options: Partial<ShutdownOptions>) {
  const clock = new Simulation();
  const life = new Lifecycle({ ...OPTIONS, ...options }, { clock, log: silent });
  const told: [string, number][] = [];
  const note = (what: string) => told.push([what, clock.monotonic()]);
  const shutdown = () => life.shutdown(() => note("stops listening")).then(() => note("is over"));
  return { clock, life, told, note, shutdown };
}

test("a server waits for load balancers, then for requests, and closes its watches", async () => {
  const { clock, life, told, note, shutdown } = lifecycle({ delayMs: 5_000 });
  life.begin();
  life.addWatch(() => note("a watch ends"));
  void shutdown();
  assert.deepEqual([life.stopping, life.closed], [true, false]);
  clock.after(8_000, () => life.end());
  await clock.until(() => told.length === 3, 20_000);
  assert.deepEqual(told, [
    ["stops listening", 5_000],
    ["a watch ends", 5_000],
    ["is over", 8_000],
  ]);
});

test("with retry-after it listens until requests are over", async () => {
  const { clock, life, told, shutdown } = lifecycle({ sendRetryAfter: true });
  life.begin();
  void shutdown();
  clock.after(1_000, () => life.end());
  await clock.until(() => told.length === 2, 20_000);
  assert.deepEqual(told, [
    ["stops listening", 1_000],
    ["is over", 1_000],
  ]);
});

test("a request that doesn't end is waited for as long as one may take", async () => {
  const { clock, life, told, shutdown } = lifecycle({ requestTimeoutMs: 60_000 });
  life.begin();
  void shutdown();
  await clock.until(() => told.length === 2, 90_000);
  assert.deepEqual(told[1], ["is over", 60_000]);
});

test("watches end one after the other within their grace", async () => {
  const { clock, life, told, note, shutdown } = lifecycle({ watchGraceMs: 2_000 });
  for (let i = 0; i < 400; i++) life.addWatch(() => note("a watch ends"));
  void shutdown();
  await clock.until(() => told.at(-1)![0] === "is over", 5_000);
  const ends = told.filter(([what]) => what === "a watch ends").map(([, at]) => at);
  assert.equal(ends.length, 400);
  assert.ok(ends[200]! >= 950 && ends[200]! <= 1_050, `half are over at ${ends[200]} ms`);
  assert.ok(ends[399]! < 2_050);
});

test("new requests are sent elsewhere, probes are answered", async () => {
  for (const [sendRetryAfter, status, body, headers] of [
    [false, 503, "apiserver is shutting down\n", { "retry-after": "1" }],
    [
      true,
      429,
      "The apiserver is shutting down, please try again later.\n",
      { "retry-after": "5", connection: "close" },
    ],
  ] as const) {
    const { life, shutdown } = lifecycle({ sendRetryAfter });
    const filter = untilShutdown(life);
    const request = (path: string) =>
      ({
        info: requestInfo("GET", path, new URLSearchParams()),
        path,
        exchange: {},
        atEnd: [],
        header: () => undefined,
      }) as unknown as ApiRequest;
    await shutdown();
    const taken = async () => ({ kind: "taken" }) as const;
    const refused = (await filter(request("/api/v1/pods"), taken)) as RawResponse;
    assert.deepEqual([refused.status, refused.body], [status, body]);
    for (const [name, value] of Object.entries(headers)) assert.equal(refused.headers[name], value);
    assert.equal((await filter(request("/readyz"), taken)).kind, "taken");
  }
});

test("a server that ends says so, and ends its watches cleanly", async () => {
  const harness = await startServer(nodeWorld(), { ...ASKABLE, shutdown: { delayMs: 2000 } });
  const opened = Promise.withResolvers<void>();
  const watching = ask(harness, "GET", "/api/v1/configmaps?watch=1", { onOpen: opened.resolve });
  await opened.promise;
  const stopped = harness[Symbol.asyncDispose]();
  const readyz = await ask(harness, "GET", "/readyz?verbose");
  assert.equal(readyz.status, 500);
  assert.match(readyz.body.toString(), /\[-\]shutdown failed: reason withheld/);
  assert.equal((await ask(harness, "GET", "/livez")).status, 200);
  assert.equal((await ask(harness, "GET", "/api/v1/namespaces/default")).status, 200, "it still serves");
  assert.equal((await watching).status, 200);
  await stopped;
});
