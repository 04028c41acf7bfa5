import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson } from "../../machinery/meta/hash.ts";
import type { ControllerRevision, DaemonSet } from "../../api/generated/apps.v1.ts";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { controllerRevisions, daemonSets, nodes, pods } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { daemonSetController } from "./controller.ts";
import { maxUnavailable, placement, planRolling, podsByNode } from "./plan.ts";

const agent = (image = "a:1", rollingUpdate: object = { maxUnavailable: 1, maxSurge: 0 }, spec: object = {}) => ({
  metadata: { name: "agent", namespace: "default" },
  spec: {
    selector: { matchLabels: { app: "agent" } },
    updateStrategy: { type: "RollingUpdate", rollingUpdate },
    revisionHistoryLimit: 10,
    template: { metadata: { labels: { app: "agent" } }, spec: { containers: [{ name: "c", image }], ...spec } },
  },
  status: {},
});
const node = (name: string, more: object = {}) => ({ metadata: { name, labels: { disk: "ssd" } }, spec: {}, ...more });

function setUp(count: number) {
  const world = controllerWorld([daemonSetController]);
  for (let i = 0; i < count; i++) world.server.put(nodes, node(`n${i}`));
  world.kubelet(20);
  const all = () => world.server.objects<Pod>(pods);
  const where = (pod: Pod) =>
    pod.spec.affinity!.nodeAffinity!.requiredDuringSchedulingIgnoredDuringExecution!.nodeSelectorTerms[0]!
      .matchFields![0]!.values![0]!;
  const status = () => world.server.get<DaemonSet>(daemonSets, "default/agent")!.status;
  const whole = (n: number) =>
    world.clock.until(
      () => status()?.numberAvailable === n && status().updatedNumberScheduled === n && all().length === n,
      60_000,
    );
  return { world, all, where, status, whole };
}

test("every node gets one pod, bound to it and with a daemon's patience; new nodes follow", async () => {
  const { world, all, where, whole, status } = setUp(3);
  await using _ = world;
  world.server.put(daemonSets, agent());
  await whole(3);
  assert.deepEqual(all().map(where).sort(), ["n0", "n1", "n2"]);
  const tolerations = all()[0]!.spec.tolerations!.map(({ key, effect }) => `${key!.split("/")[1]}:${effect}`);
  assert.deepEqual(tolerations, [
    "not-ready:NoExecute",
    "unreachable:NoExecute",
    "disk-pressure:NoSchedule",
    "memory-pressure:NoSchedule",
    "pid-pressure:NoSchedule",
    "unschedulable:NoSchedule",
  ]);
  assert.match(all()[0]!.metadata.labels!["controller-revision-hash"]!, /^[bcdfghjklmnpqrstvwxz2456789]+$/);
  world.server.put(nodes, node("n3"));
  await whole(4);
  assert.equal(status().desiredNumberScheduled, 4);
});

test("an update replaces one pod after the other, and the history says what was", async () => {
  const { world, all, whole } = setUp(3);
  await using _ = world;
  world.server.put(daemonSets, agent());
  await whole(3);
  let fewest = 3;
  world.server.onRequest = () => {
    fewest = Math.min(fewest, all().filter(({ status }) => status.conditions?.[0]?.status === "True").length);
  };
  world.server.put(daemonSets, { ...world.server.get(daemonSets, "default/agent"), spec: agent("a:2").spec });
  await whole(3);
  assert.equal(fewest, 2, "never more than one was missing");
  assert.ok(all().every(({ spec }) => spec.containers[0]!.image === "a:2"));
  const revisions = world.server.objects<ControllerRevision>(controllerRevisions);
  // Other programs compare its bytes with those they make of the set themselves, whose keys are sorted.
  for (const { data } of revisions) assert.equal(JSON.stringify(data), canonicalJson(data));
  assert.deepEqual(
    revisions.map(({ revision }) => revision),
    [1, 2],
  );
  world.server.put(daemonSets, { ...world.server.get(daemonSets, "default/agent"), spec: agent("a:1").spec });
  await whole(3);
  assert.deepEqual(
    world.server
      .objects<ControllerRevision>(controllerRevisions)
      .map(({ revision }) => revision)
      .sort(),
    [2, 3],
    "the first is the newest again",
  );
});

test("with a surge the new pod comes first", async () => {
  const { world, all, whole } = setUp(2);
  await using _ = world;
  const surging = { maxSurge: 1, maxUnavailable: 0 };
  world.server.put(daemonSets, agent("a:1", surging));
  await whole(2);
  let most = 0;
  world.server.onRequest = () => {
    most = Math.max(most, all().length);
  };
  world.server.put(daemonSets, { ...world.server.get(daemonSets, "default/agent"), spec: agent("a:2", surging).spec });
  await whole(2);
  assert.ok(most >= 3);
  assert.ok(all().every(({ spec }) => spec.containers[0]!.image === "a:2"));
});

test("a failed pod is replaced, again and again but ever later", async () => {
  const { world, all, whole } = setUp(1);
  await using _ = world;
  world.server.put(daemonSets, agent());
  await whole(1);
  const at: number[] = [];
  for (let i = 0; i < 3; i++) {
    await whole(1);
    const [pod] = all();
    world.server.put(pods, { ...pod!, status: { phase: "Failed" } });
    const failedAt = world.clock.monotonic();
    await world.clock.until(() => all().length === 1 && all()[0]!.metadata.uid !== pod!.metadata.uid, 60_000);
    at.push(Math.round((world.clock.monotonic() - failedAt) / 1000));
  }
  assert.deepEqual(at, [0, 1, 2]);
  assert.match(
    world.events().join("\n"),
    /Warning FailedDaemonPod: Found failed daemon pod default\/\S+ on node n0, will try to kill it/,
  );
});

test("where a daemon runs and where one may stay", () => {
  const set = (spec: object) => agent("a", {}, spec) as unknown as DaemonSet;
  const at = (taints: object[] = [], labels: object = { disk: "ssd" }) =>
    ({ metadata: { name: "n", labels }, spec: { taints } }) as unknown as Node;
  const term = { key: "disk", operator: "In", values: ["hdd"] };
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [term] }] },
    },
  };
  const table: [string, DaemonSet, Node, boolean, boolean][] = [
    ["anywhere", set({}), at(), true, true],
    ["cordoned", set({}), at([{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }]), true, true],
    ["not scheduled there, but may stay", set({}), at([{ key: "x", effect: "NoSchedule" }]), false, true],
    ["driven out", set({}), at([{ key: "x", effect: "NoExecute" }]), false, false],
    ["tolerated", set({ tolerations: [{ operator: "Exists" }] }), at([{ key: "x", effect: "NoExecute" }]), true, true],
    ["another label", set({ nodeSelector: { disk: "hdd" } }), at(), false, false],
    ["another affinity", set({ affinity }), at(), false, false],
    ["another node", set({ nodeName: "m" }), at(), false, false],
  ];
  for (const [name, daemon, node, run, stay] of table) assert.deepEqual(placement(daemon, node), { run, stay }, name);
});

test("pods that don't work are replaced outside the budget", () => {
  const set = agent() as unknown as DaemonSet;
  const pod = (i: number, ready: boolean) =>
    ({
      metadata: { name: `p${i}`, labels: {}, creationTimestamp: "" },
      spec: { nodeName: `n${i}` },
      status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
    }) as unknown as Pod;
  const all = Array.from({ length: 4 }, (_, i) => pod(i, i !== 2));
  const fleet = all.map((_, i) => node(`n${i}`)) as unknown as Node[];
  const plan = (max: number | string) =>
    planRolling({
      set: agent("a", { maxUnavailable: max, maxSurge: 0 }) as unknown as DaemonSet,
      nodes: fleet,
      byNode: podsByNode(all),
      hash: "new",
      now: 0,
    }).delete.map(({ metadata }) => metadata.name);
  assert.deepEqual(plan(1), ["p2"]);
  assert.deepEqual(plan("50%"), ["p2", "p0"]);
  assert.equal(maxUnavailable(set, 10), 1);
});
