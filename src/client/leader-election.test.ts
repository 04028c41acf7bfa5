import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lease } from "../api/generated/coordination.v1.ts";
import { silent } from "../observe/log.ts";
import { fakeTransport } from "../testing/fake-transport.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { StatusError } from "../machinery/status.ts";
import { createClient } from "./create-client.ts";
import { leadWhenElected } from "./leader-election.ts";
import { leases } from "./resources.ts";
import type { Transport } from "./transport.ts";

const lease = { namespace: "kube-system", name: "kube-controller-manager" };

function setUp() {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport({ now: () => clock.now() });
  const leading = new Set<string>();
  const candidate = (identity: string, more: { releaseOnStop?: boolean } = {}) => {
    const stop = new AbortController();
    const done = leadWhenElected(
      { client: createClient(server), clock, random, log: silent, lease, identity, ...more },
      stop.signal,
      async (signal) => {
        leading.add(identity);
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        leading.delete(identity);
      },
    );
    done.catch(() => {});
    return { stop, done };
  };
  return {
    clock,
    server,
    leading,
    candidate,
    stored: () => server.get<Lease>(leases, "kube-system/kube-controller-manager"),
  };
}

test("one of two leads; the other follows when the lease has run out", async () => {
  const { clock, leading, candidate, stored } = setUp();
  const a = candidate("a");
  await clock.until(() => leading.has("a"), 1000);
  assert.equal(stored()!.spec!.holderIdentity, "a");
  assert.equal(stored()!.spec!.leaseDurationSeconds, 15);
  assert.match(stored()!.spec!.renewTime!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  const b = candidate("b");
  await clock.advance(60_000);
  assert.deepEqual([...leading], ["a"]);

  a.stop.abort();
  await a.done;
  const stoppedAt = clock.monotonic();
  await clock.until(() => leading.has("b"), 60_000);
  const waited = clock.monotonic() - stoppedAt;
  assert.ok(waited >= 10_000 && waited <= 20_000, `waited ${waited} ms`);
  assert.equal(stored()!.spec!.leaseTransitions, 1);
  b.stop.abort();
  await b.done;
});

test("a leader that can't renew for ten seconds stops and says so", async () => {
  const { clock, server, leading, candidate } = setUp();
  const a = candidate("a");
  await clock.until(() => leading.has("a"), 1000);
  server.onRequest = () => {
    throw new StatusError("ServiceUnavailable", "away");
  };
  await clock.until(() => !leading.has("a"), 13_000);
  await assert.rejects(a.done, /leaderelection lost/);
});

test("a released lease is taken without waiting for its end", async () => {
  const { clock, leading, candidate } = setUp();
  const a = candidate("a", { releaseOnStop: true });
  await clock.until(() => leading.has("a"), 1000);
  const b = candidate("b");
  a.stop.abort();
  await a.done;
  await clock.until(() => leading.has("b"), 5_000);
  b.stop.abort();
  await b.done;
});

test("a leader whose server hangs stops as well", async () => {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport({ now: () => clock.now() });
  let hangs = false;
  const transport: Transport = {
    send: (request) =>
      hangs
        ? new Promise((_, reject) =>
            request.signal!.addEventListener("abort", () => reject(request.signal!.reason), { once: true }),
          )
        : server.send(request),
    watch: (request) => server.watch(request),
    raw: (request) => server.raw(request),
    close: () => server.close(),
  };
  let leads = false;
  const done = leadWhenElected(
    { client: createClient(transport), clock, random, log: silent, lease, identity: "a" },
    new AbortController().signal,
    async (signal) => {
      leads = true;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      leads = false;
    },
  );
  done.catch(() => {});
  await clock.until(() => leads, 1000);
  hangs = true;
  await clock.until(() => !leads, 15_000);
  await assert.rejects(done, /leaderelection lost/);
});
