import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { PodDisruptionBudget } from "../../api/generated/policy.v1.ts";
import { deployments, podDisruptionBudgets, pods, replicaSets } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { disruptionController } from "./controller.ts";
import { disruptedOf, expectationOf, statusOf } from "./plan.ts";

const budget = (spec: object, status: object = {}) => ({
  metadata: { name: "b", namespace: "default" },
  spec: { selector: { matchLabels: { app: "a" } }, ...spec },
  status,
});
const pod = (name: string, ready = true, owner?: object) => ({
  metadata: { name, namespace: "default", labels: { app: "a" }, ...(owner && { ownerReferences: [owner] }) },
  spec: { containers: [] },
  status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

test("shares are rounded up, of what the controllers want", () => {
  const of = (spec: object, pods: number, scale: number) =>
    Object.values(expectationOf(budget(spec) as unknown as PodDisruptionBudget, pods, scale));
  assert.deepEqual(of({ maxUnavailable: "30%" }, 3, 3), [3, 2]);
  assert.deepEqual(of({ minAvailable: "50%" }, 3, 3), [3, 2]);
  assert.deepEqual(of({ minAvailable: 2 }, 3, 0), [3, 2]);
  assert.deepEqual(of({ maxUnavailable: 5 }, 3, 3), [3, 0]);
});

test("an eviction counts until its pod goes, and two minutes at most", () => {
  const now = Date.parse("2030-01-01T00:05:00Z");
  const status = {
    disruptedPods: { a: "2030-01-01T00:04:00Z", b: "2030-01-01T00:01:00Z", gone: "2030-01-01T00:04:00Z" },
  };
  const result = disruptedOf(
    budget({}, status) as unknown as PodDisruptionBudget,
    [pod("a"), pod("b")] as unknown as Pod[],
    now,
  );
  assert.deepEqual(result.kept, { a: "2030-01-01T00:04:00Z" });
  assert.deepEqual(
    result.overdue.map(({ metadata }) => metadata.name),
    ["b"],
  );
  assert.equal(result.recheckMs, 60_000);
});

test("a pod whose eviction is under way is not healthy any more", () => {
  const all = [pod("a"), pod("b"), pod("c")] as unknown as Pod[];
  const status = statusOf(
    budget({}) as unknown as PodDisruptionBudget,
    all,
    { a: "2030-01-01T00:00:00Z" },
    { expected: 3, desired: 2 },
    "now",
  );
  assert.deepEqual([status.currentHealthy, status.disruptionsAllowed], [2, 0]);
});

test("a budget follows its pods, by way of the deployment behind them", async () => {
  await using world = controllerWorld([disruptionController]);
  const { server } = world;
  const owner = (object: any) => ({
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name,
    uid: object.metadata.uid,
    controller: true,
  });
  const deployment = server.put(deployments, { metadata: { name: "d", namespace: "default" }, spec: { replicas: 3 } });
  const set = server.put(replicaSets, {
    metadata: { name: "rs", namespace: "default", ownerReferences: [owner(deployment)] },
    spec: { replicas: 3 },
  });
  server.put(podDisruptionBudgets, budget({ maxUnavailable: 1 }));
  const status = () => {
    const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods, conditions } =
      server.get<PodDisruptionBudget>(podDisruptionBudgets, "default/b")!.status;
    return [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods, conditions![0]!.reason];
  };
  for (const name of ["x", "y", "z"]) server.put(pods, pod(name, true, owner(set)));
  await world.settle();
  assert.deepEqual(status(), [1, 3, 2, 3, "SufficientPods"]);
  server.put(pods, pod("z", false, owner(set)));
  await world.settle();
  assert.deepEqual(status(), [0, 2, 2, 3, "InsufficientPods"]);
  const stray = server.put<Pod>(
    pods,
    pod("s", true, { ...owner(set), kind: "Nothing", name: "n", uid: "n", apiVersion: "x/v1" }),
  );
  await world.settle();
  assert.deepEqual(status(), [0, 2, 2, 3, "SyncFailed"]);
  assert.ok(world.events().some((text) => text.includes(`found no controllers for pod "${stray.metadata.name}"`)));
});

test("a pod that outlived its disruption for two minutes is no longer a target", async () => {
  await using world = controllerWorld([disruptionController]);
  const target = {
    type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    lastTransitionTime: world.now(),
  };
  world.server.put(pods, { ...pod("x"), status: { phase: "Running", conditions: [target] } });
  await world.settle(100_000);
  const now = () => world.server.get<Pod>(pods, "default/x")!.status.conditions![0]!.status;
  assert.equal(now(), "True");
  await world.clock.until(() => now() === "False", 60_000);
});
