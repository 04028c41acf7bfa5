import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { leases, nodes, pods } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { taintEvictionController } from "../taint-eviction/controller.ts";
import { msUntilEviction } from "../taint-eviction/plan.ts";
import { tolerates } from "../../api/core/v1/node/taints.ts";
import { nodeLifecycleController } from "./controller.ts";
import { planNoScheduleTaints, rateOf, zoneState } from "./plan.ts";

const setUp = () => controllerWorld([nodeLifecycleController, taintEvictionController]);
type World = ReturnType<typeof setUp>;

function addNode(world: World, name: string, ready = "True") {
  world.server.put(nodes, {
    metadata: { name, labels: { "kubernetes.io/os": "linux" } },
    spec: {},
    status: {
      conditions: [{ type: "Ready", status: ready, lastHeartbeatTime: world.now(), lastTransitionTime: world.now() }],
    },
  });
}
/** Renews the node's lease every ten seconds until told to stop. */
function beat(world: World, name: string) {
  let alive = true;
  const renew = () => {
    if (!alive) return;
    world.server.put(leases, {
      metadata: { name, namespace: "kube-node-lease" },
      spec: { holderIdentity: name, renewTime: new Date(world.clock.now()).toISOString() },
    });
    world.clock.after(10_000, renew);
  };
  renew();
  return () => {
    alive = false;
  };
}
const readyStatus = (world: World, name: string) =>
  world.server.get<Node>(nodes, name)!.status.conditions!.find(({ type }) => type === "Ready")!;
const taints = (world: World, name: string) =>
  (world.server.get<Node>(nodes, name)!.spec.taints ?? [])
    .map(({ key, effect }) => `${key.split("/")[1]}:${effect}`)
    .sort();
const addPod = (world: World, name: string, node: string, tolerationSeconds = 300) =>
  world.server.put<Pod>(pods, {
    metadata: { name, namespace: "default" },
    spec: {
      nodeName: node,
      containers: [],
      tolerations: ["not-ready", "unreachable"].map((key) => ({
        key: `node.kubernetes.io/${key}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds,
      })),
    },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  });

test("a node that falls silent becomes Unknown, is tainted, and its pods go when they no longer tolerate it", async () => {
  await using world = setUp();
  for (const name of ["a", "b", "c"]) addNode(world, name);
  for (const name of ["b", "c"]) beat(world, name);
  const stop = beat(world, "a");
  addPod(world, "pod", "a");
  await world.settle(60_000);
  assert.deepEqual(taints(world, "a"), []);
  assert.equal(world.server.get<Node>(nodes, "a")!.metadata.labels!["beta.kubernetes.io/os"], "linux");

  stop();
  const silentAt = world.clock.monotonic();
  await world.clock.until(() => readyStatus(world, "a").status === "Unknown", 70_000);
  const noticed = world.clock.monotonic() - silentAt;
  assert.ok(noticed >= 40_000 && noticed <= 65_000, `noticed after ${noticed}`);
  assert.deepEqual(
    [readyStatus(world, "a").reason, readyStatus(world, "a").message],
    ["NodeStatusUnknown", "Kubelet stopped posting node status."],
  );
  await world.clock.until(() => taints(world, "a").length === 2, 20_000);
  assert.deepEqual(taints(world, "a"), ["unreachable:NoExecute", "unreachable:NoSchedule"]);
  assert.equal(
    world.server.get<Pod>(pods, "default/pod")!.status.conditions!.find(({ type }) => type === "Ready")!.status,
    "False",
  );
  const taintedAt = world.clock.monotonic();
  await world.clock.until(() => world.server.get(pods, "default/pod") === undefined, 310_000);
  assert.ok(world.clock.monotonic() - taintedAt >= 299_000);
  assert.deepEqual(taints(world, "b"), []);
  assert.match(world.events().join("\n"), /Normal NodeNotReady: Node a status is now: NodeNotReady/);
  assert.match(world.events().join("\n"), /Normal TaintManagerEviction: Marking for deletion Pod default\/pod/);
});

test("a node that speaks again loses its taints, and its pods stay", async () => {
  await using world = setUp();
  for (const name of ["a", "b"]) addNode(world, name);
  beat(world, "b");
  addPod(world, "pod", "a");
  await world.clock.until(() => taints(world, "a").length === 2, 120_000);
  addNode(world, "a");
  beat(world, "a");
  await world.clock.until(() => taints(world, "a").length === 0, 20_000);
  await world.settle(400_000);
  assert.ok(world.server.get(pods, "default/pod"));
  assert.match(world.events().join("\n"), /Cancelling deletion of Pod default\/pod/);
});

test("when every node is silent nobody is evicted", async () => {
  await using world = setUp();
  for (const name of ["a", "b"]) addNode(world, name);
  addPod(world, "pod", "a");
  await world.settle(600_000);
  assert.equal(readyStatus(world, "a").status, "Unknown");
  assert.deepEqual(taints(world, "a"), ["unreachable:NoSchedule"]);
  assert.ok(world.server.get(pods, "default/pod"));
});

test("zones decide how fast nodes are tainted", () => {
  assert.equal(zoneState(45, 55, 0.55), "PartialDisruption");
  assert.equal(zoneState(8, 2, 0.55), "Normal");
  assert.equal(zoneState(0, 1, 0.55), "FullDisruption");
  const rates = { primary: 0.1, secondary: 0.01, largeCluster: 50 };
  assert.deepEqual(
    [
      rateOf("PartialDisruption", 100, rates),
      rateOf("PartialDisruption", 10, rates),
      rateOf("Normal", 10, rates),
      rateOf("FullDisruption", 10, rates),
    ],
    [0.01, 0, 0.1, 0.1],
  );
});

test("conditions and the unschedulable mark show as taints", () => {
  const node = {
    spec: {
      unschedulable: true,
      taints: [
        { key: "node.kubernetes.io/disk-pressure", effect: "NoSchedule" },
        { key: "mine", effect: "NoSchedule" },
      ],
    },
    status: { conditions: [{ type: "Ready", status: "False" }] },
  } as unknown as Node;
  const { add, remove } = planNoScheduleTaints(node, "now");
  assert.deepEqual(
    [add.map(({ key }) => key), remove.map(({ key }) => key)],
    [["node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"], ["node.kubernetes.io/disk-pressure"]],
  );
});

test("the shortest toleration that is used counts", () => {
  const taint = { key: "k", value: "v", effect: "NoExecute" };
  const pod = (...tolerations: object[]) => ({ spec: { tolerations } }) as unknown as Pod;
  assert.equal(msUntilEviction(pod(), [taint]), 0);
  assert.equal(msUntilEviction(pod({ operator: "Exists" }), [taint]), undefined);
  assert.equal(
    msUntilEviction(pod({ key: "k", value: "v", tolerationSeconds: 5 }, { operator: "Exists" }), [taint]),
    5000,
  );
  assert.equal(msUntilEviction(pod({ key: "k", operator: "Exists", tolerationSeconds: -1 }), [taint]), 0);
  assert.equal(tolerates({ key: "k", value: "other" }, taint), false);
  assert.equal(tolerates({ key: "k", value: "v", effect: "NoSchedule" }, taint), false);
});
