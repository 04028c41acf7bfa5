/** The scheduler on the real API server in this process, with no more rights than upstream's policy gives `system:kube-scheduler`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../src/api/generated/core.v1.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { createEventBroadcaster } from "../../src/client/event-recorder.ts";
import { createInformers } from "../../src/client/informer/informers.ts";
import { events, nodes, pods, serviceAccounts } from "../../src/client/resources.ts";
import type { Draft } from "../../src/machinery/meta/object.ts";
import type { Logger } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { createScheduler } from "../../src/scheduler/scheduler.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const world = nodeWorld();
const SCHEDULER = { name: "system:kube-scheduler", groups: ["system:authenticated"] };

async function start() {
  const harness = await startServer(world);
  const errors: string[] = [];
  const log: Logger = {
    info() {},
    warn() {},
    error: (message, error) => void errors.push(`${message}: ${(error as Error).message}`),
    v: () => log,
    with: () => log,
  };
  const client = harness.client(SCHEDULER);
  const { clock, random } = world;
  const informers = createInformers({ client, clock, random, log });
  const broadcaster = createEventBroadcaster({ client, clock, random, log });
  const scheduler = createScheduler({
    client,
    informers,
    clock,
    random,
    log,
    metrics: new Metrics(),
    events: broadcaster.recorder("default-scheduler"),
  });
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const running = Promise.all([
    informers.run(stop.signal, () => {}),
    broadcaster.run(stop.signal),
    scheduler.run(stop.signal, ready.resolve),
  ]);
  await ready.promise;
  const admin = harness.client();
  await admin.create(serviceAccounts, { metadata: { name: "default", namespace: "default" } });
  return {
    admin,
    errors,
    async until<T>(look: () => Promise<T | undefined>, words: string): Promise<T> {
      const limit = clock.monotonic() + 120_000;
      for (;;) {
        const found = await look();
        if (found !== undefined) return found;
        assert.ok(clock.monotonic() < limit, `${words}; errors: ${errors.join("\n")}`);
        await new Promise<void>((resolve) => clock.after(5, resolve));
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await harness[Symbol.asyncDispose]();
    },
  };
}

const node = (name: string, cpu: string): Draft<Node> => ({
  metadata: { name },
  status: { allocatable: { cpu, memory: "8Gi", pods: "110" }, capacity: { cpu, memory: "8Gi", pods: "110" } },
});
/** It tolerates that no kubelet has called a node ready. */
const pod = (name: string, cpu: string): Draft<Pod> => ({
  metadata: { name, namespace: "default" },
  spec: {
    automountServiceAccountToken: false,
    tolerations: [{ operator: "Exists" }],
    containers: [{ name: "c", image: "i", resources: { requests: { cpu } } }],
  },
});

test("pods get nodes, and one that fits nowhere learns why and gets the node that comes later", async () => {
  await using cluster = await start();
  const { admin } = cluster;
  await admin.create(nodes, node("a", "2"));
  await admin.create(pods, pod("p", "1"));
  const placed = await cluster.until(async () => {
    const now = await admin.get(pods, { namespace: "default", name: "p" });
    return now.spec.nodeName === undefined ? undefined : now;
  }, "the pod has no node");
  assert.equal(placed.spec.nodeName, "a");
  assert.equal(placed.status.conditions?.find(({ type }) => type === "PodScheduled")?.status, "True");

  await admin.create(pods, pod("large", "4"));
  const condition = await cluster.until(async () => {
    const now = await admin.get(pods, { namespace: "default", name: "large" });
    return now.status.conditions?.find(({ type }) => type === "PodScheduled");
  }, "the pod has no condition");
  const why =
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
  assert.deepEqual([condition.status, condition.reason, condition.message], ["False", "Unschedulable", why]);
  await admin.create(nodes, node("b", "8"));
  await cluster.until(
    async () => (await admin.get(pods, { namespace: "default", name: "large" })).spec.nodeName,
    "the pod has no node although one has come",
  );
  const told = await cluster.until(async () => {
    const { items } = await admin.list(events, { namespace: "default" });
    return items.length >= 3 ? items : undefined;
  }, "the events are missing");
  assert.deepEqual(told.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).sort(), [
    "Normal Scheduled: Successfully assigned default/large to b",
    "Normal Scheduled: Successfully assigned default/p to a",
    `Warning FailedScheduling: ${why}`,
  ]);
  assert.deepEqual(cluster.errors, []);
});
