import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { EvictionManager } from "./manager.ts";
import type { Observations } from "./pressure.ts";
import type { PodUse } from "./rank.ts";
import { parseThresholds } from "./thresholds.ts";

const MEBIBYTE = 2 ** 20;

const pod = (name: string, spec: object = {}, request?: string): Pod =>
  ({
    metadata: { name, namespace: "default", uid: name },
    spec: {
      terminationGracePeriodSeconds: 30,
      ...spec,
      containers: [{ name: "c", resources: request === undefined ? {} : { requests: { memory: request } } }],
    },
  }) as unknown as Pod;

/** A node whose memory is what its pods leave of it. */
function startNode(pods: readonly (readonly [Pod, usedMebibytes: number])[], config: { readonly soft?: boolean } = {}) {
  const world = simulatedWorld(1);
  const metrics = new Metrics();
  const told: string[] = [];
  const evicted: string[] = [];
  const running = new Map(pods.map(([one, used]) => [one.metadata.uid, { one, used }]));
  const disk = { available: 50, images: 0 };
  const observe = async (): Promise<Observations> => {
    const used = [...running.values()].reduce((sum, each) => sum + each.used, 0);
    return {
      "memory.available": { available: (1000 - used) * MEBIBYTE, capacity: 1000 * MEBIBYTE },
      "nodefs.available": { available: disk.available, capacity: 100 },
    };
  };
  const limits = { "memory.available": "100Mi", "nodefs.available": "10%" };
  const thresholds = parseThresholds({
    hard: config.soft === true ? {} : limits,
    soft: config.soft === true ? limits : {},
    softGracePeriod: { "memory.available": "30s", "nodefs.available": "30s" },
    minimumReclaim: {},
  });
  const manager = new EvictionManager(
    { thresholds, transitionMs: 300_000, maxPodGraceSeconds: 10 },
    {
      clock: world.clock,
      log: silent,
      metrics,
      node: { kind: "Node", name: "n" },
      events: { event: (_about, type, reason, message) => void told.push(`${type} ${reason} ${message}`) },
      observe,
      pods: () => [...running.values()].map(({ one }) => one),
      useOf: async () =>
        new Map(
          [...running].map(([uid, { used }]): [string, PodUse] => {
            const memory = used * MEBIBYTE;
            return [
              uid,
              {
                memory,
                disk: used,
                processes: 1,
                volumes: new Map([["scratch", used]]),
                containers: [{ name: "c", memory, disk: used }],
              },
            ];
          }),
        ),
      freeImages: async () => {
        disk.available += disk.images;
        disk.images = 0;
      },
      evict(one, message, graceSeconds) {
        evicted.push(`${one.metadata.name} ${graceSeconds}: ${message}`);
        world.clock.after(2000, () => running.delete(one.metadata.uid));
      },
      isGone: ({ metadata }) => !running.has(metadata.uid),
      changed: () => void told.push(`pressures ${[...manager.pressures].join()}`),
    },
  );
  return { world, manager, told, evicted, running, disk, metrics };
}

test("when memory runs short the pod goes that uses most beyond what it asked for, and no more than needed", async () => {
  const node = startNode([
    [pod("modest", {}, "500Mi"), 450],
    [pod("greedy"), 300],
    [pod("small"), 200],
    [pod("system", { priority: 2_000_000_000 }), 0],
  ]);
  const abort = new AbortController();
  const run = node.manager.run(abort.signal);
  await node.world.clock.advance(60_000);
  assert.deepEqual(node.evicted, [
    "greedy 1: The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 300Mi, request is 0, has larger consumption of memory. ",
  ]);
  assert.deepEqual(node.told, [
    "pressures MemoryPressure",
    "Warning EvictionThresholdMet Attempting to reclaim memory",
  ]);
  assert.match(await node.metrics.render(), /kubelet_evictions\{eviction_signal="memory.available"\} 1/);
  // For five minutes nobody comes who would be the first to go again.
  const rejection = { reason: "Evicted", message: "The node had condition: [MemoryPressure]. " };
  assert.deepEqual(node.manager.admit(pod("late")), rejection);
  assert.equal(node.manager.admit(pod("asks", {}, "1Mi")), undefined);
  assert.equal(node.manager.admit(pod("system", { priority: 2_000_000_000 })), undefined);
  const tolerations = [{ key: "node.kubernetes.io/memory-pressure", operator: "Exists" }];
  assert.equal(node.manager.admit(pod("tolerant", { tolerations })), undefined);
  await node.world.clock.advance(300_000);
  assert.equal(node.manager.admit(pod("late")), undefined);
  abort.abort();
  await node.world.clock.advance(1000);
  await run;
});

test("a pod of low priority goes before one that uses more", async () => {
  const node = startNode([
    [pod("large", { priority: 10 }), 600],
    [pod("low", { priority: 1 }), 350],
  ]);
  assert.equal((await node.manager.synchronize())?.metadata.name, "low");
});

test("a full disk is cleared of images first, and of a pod only where that doesn't help", async () => {
  const node = startNode([[pod("web"), 10]]);
  node.disk.available = 5;
  node.disk.images = 20;
  assert.equal(await node.manager.synchronize(), undefined);
  assert.deepEqual(node.manager.admit(pod("late", {}, "1Mi")), {
    reason: "Evicted",
    message: "The node had condition: [DiskPressure]. ",
  });
  node.disk.available = 5;
  assert.equal((await node.manager.synchronize())?.metadata.name, "web");
});

test("a pod that fills more than its volume may hold goes though the disk has room", async () => {
  const volumes = [{ name: "scratch", emptyDir: { sizeLimit: "100" } }];
  const node = startNode([
    [pod("within", { volumes }), 100],
    [pod("over", { volumes }), 101],
  ]);
  assert.equal((await node.manager.synchronize())?.metadata.name, "over");
  assert.deepEqual(node.evicted, ['over 1: Usage of EmptyDir volume "scratch" exceeds the limit "100". ']);
  assert.deepEqual(node.told, []);
});

test("a soft threshold gives pods time, before and while they stop", async () => {
  const node = startNode([[pod("web"), 950]], { soft: true });
  assert.equal(await node.manager.synchronize(), undefined);
  await node.world.clock.advance(29_000);
  assert.equal(await node.manager.synchronize(), undefined);
  await node.world.clock.advance(1000);
  assert.equal((await node.manager.synchronize())?.metadata.name, "web");
  assert.match(node.evicted[0]!, /^web 10: /);
});
