/** The whole cluster in virtual time: what takes minutes takes milliseconds here, and happens the same way each time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../src/api/generated/core.v1.ts";
import { configMaps, deployments, nodes } from "../../src/client/resources.ts";
import { type SimulatedCluster, simulatedCluster } from "../../src/testing/sim/cluster.ts";

const deployment = (name: string, replicas: number, image = "nginx:1") => ({
  metadata: { name, namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: "main", image }] },
    },
  },
});

const readyPods = (cluster: SimulatedCluster): readonly Pod[] =>
  cluster
    .stored<Pod>("/registry/pods/")
    .filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True"),
    );

async function threePodsReady(seed: number): Promise<SimulatedCluster> {
  const cluster = await simulatedCluster(seed);
  // Nodes that have become ready bear the taint of those that aren't for a moment.
  await cluster.until(() => cluster.stored<Node>("/registry/minions/").every(({ spec }) => !spec?.taints), 10_000);
  await cluster.during(() => cluster.client.create(deployments, deployment("web", 3)));
  await cluster.until(() => readyPods(cluster).length === 3, 10_000);
  return cluster;
}

test("a deployment of three pods becomes ready, and the same seed gives the same log to the byte", async () => {
  const logs: string[] = [];
  for (const seed of [1, 1, 2]) {
    await using cluster = await threePodsReady(seed);
    await cluster.advance(60_000);
    assert.deepEqual(new Set(readyPods(cluster).map(({ spec }) => spec.nodeName)).size, 3, "one pod a node");
    logs.push(cluster.log.join("\n"));
  }
  assert.ok(logs[0]!.length > 100_000, "the log holds what happened");
  assert.equal(logs[0] === logs[1], true, firstDifference(logs[0]!, logs[1]!));
  assert.notEqual(logs[0], logs[2]);
});

test("a rolling update ends with all pods new and never has fewer than it may", async () => {
  await using cluster = await threePodsReady(3);
  let least = 3;
  cluster.onChange.add(({ key }) => {
    if (key.startsWith("/registry/pods/")) least = Math.min(least, readyPods(cluster).length);
  });
  await cluster.during(() =>
    cluster.client.patch(deployments, { namespace: "default", name: "web" }, "application/strategic-merge-patch+json", {
      spec: { template: { spec: { containers: [{ name: "main", image: "nginx:2" }] } } },
    }),
  );
  const images = () => cluster.stored<Pod>("/registry/pods/").map(({ spec }) => spec.containers[0]!.image);
  await cluster.until(() => images().length === 3 && images().every((image) => image === "nginx:2"), 120_000);
  await cluster.until(() => readyPods(cluster).length === 3, 10_000);
  assert.equal(least, 3, "25 % of three pods, rounded down, may be unavailable: none");
});

test("a lost node is tainted after its grace, its pods are evicted after five minutes and run elsewhere", async () => {
  await using cluster = await threePodsReady(4);
  const lost = readyPods(cluster)[0]!.spec.nodeName!;
  const lostAt = cluster.world.clock.monotonic();
  cluster.kill(`kubelet ${lost}`);
  const node = () => cluster.during(() => cluster.client.get(nodes, { name: lost }));
  await cluster.until(() => {
    const [stored] = cluster.stored<Node>(`/registry/minions/${lost}`);
    return stored?.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/unreachable") ?? false;
  }, 120_000);
  const taintedAt = cluster.world.clock.monotonic();
  assert.ok(taintedAt - lostAt > 35_000 && taintedAt - lostAt < 60_000, `tainted after ${taintedAt - lostAt} ms`);
  assert.equal((await node()).status?.conditions?.find(({ type }) => type === "Ready")?.status, "Unknown");
  const elsewhere = () => readyPods(cluster).filter(({ spec }) => spec.nodeName !== lost).length === 3;
  await cluster.until(elsewhere, 400_000);
  const movedAt = cluster.world.clock.monotonic();
  assert.ok(movedAt - taintedAt > 299_000 && movedAt - taintedAt < 310_000, `moved after ${movedAt - taintedAt} ms`);
  // The node comes back: its pods, which were marked for deletion, go.
  cluster.revive(`kubelet ${lost}`);
  await cluster.until(() => cluster.stored("/registry/pods/").length === 3, 120_000);
});

test("after a power cut nothing acknowledged is missing and the cluster goes on", async () => {
  await using cluster = await threePodsReady(5);
  const acknowledged: string[] = [];
  for (let i = 0; i < 20; i++)
    void cluster.client
      .create(configMaps, { metadata: { name: `map-${i}`, namespace: "default" }, data: { i: String(i) } })
      .then(({ metadata }) => acknowledged.push(metadata.name))
      .catch(() => {});
  await cluster.until(() => acknowledged.length >= 5, 10_000);
  cluster.powerCut();
  await cluster.advance(1000);
  assert.ok(acknowledged.length < 20, "the cut came in the middle of the writes");
  cluster.powerUp();
  await cluster.advance(30_000);
  const { items } = await cluster.during(() => cluster.client.list(configMaps, { namespace: "default" }));
  const names = new Set(items.map(({ metadata }) => metadata.name));
  assert.deepEqual(
    acknowledged.filter((name) => !names.has(name)),
    [],
  );
  await cluster.during(() =>
    cluster.client.patch(deployments, { namespace: "default", name: "web" }, "application/merge-patch+json", {
      spec: { replicas: 5 },
    }),
  );
  await cluster.until(() => readyPods(cluster).length === 5, 60_000);
  const web = await cluster.during(() => cluster.client.get(deployments, { namespace: "default", name: "web" }));
  assert.equal(web.spec?.replicas, 5);
});

test("a node that stays as it is says so by its lease, and writes its status every five minutes only", async () => {
  await using cluster = await simulatedCluster(6);
  await cluster.advance(60_000);
  const writes = { minions: 0, leases: 0 };
  cluster.onChange.add(({ key }) => {
    if (key.startsWith("/registry/minions/")) writes.minions++;
    if (key.startsWith("/registry/leases/kube-node-lease/")) writes.leases++;
  });
  await cluster.advance(600_000);
  assert.equal(writes.minions, 3 * 2);
  assert.ok(writes.leases >= 3 * 55 && writes.leases <= 3 * 60, `${writes.leases} renewals of 3 leases in 10 minutes`);
});

function firstDifference(a: string, b: string): string {
  const [left, right] = [a.split("\n"), b.split("\n")];
  const at = left.findIndex((line, i) => line !== right[i]);
  return `line ${at}:\n${left[at]}\n${right[at]}`;
}
