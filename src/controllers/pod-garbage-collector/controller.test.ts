import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { nodes, pods } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { podGarbageCollector } from "./controller.ts";
import { outOfServicePods, terminatedPods } from "./plan.ts";

const pod = (
  name: string,
  phase: string,
  more: { created?: string; evicted?: boolean; node?: string; deleting?: boolean } = {},
) => ({
  metadata: {
    name,
    namespace: "default",
    creationTimestamp: more.created ?? "2030-01-01T00:00:00Z",
    ...(more.deleting && { deletionTimestamp: "2030-01-01T00:00:00Z", finalizers: ["x"] }),
  },
  spec: { containers: [], ...(more.node && { nodeName: more.node }) },
  status: { phase, ...(more.evicted && { reason: "Evicted" }) },
});

test("of ended pods above the threshold the evicted and the oldest go", () => {
  const all = [
    pod("a", "Succeeded", { created: "2030-01-03T00:00:00Z" }),
    pod("b", "Failed", { created: "2030-01-01T00:00:00Z" }),
    pod("c", "Failed", { created: "2030-01-04T00:00:00Z", evicted: true }),
    pod("d", "Running"),
  ] as unknown as Pod[];
  assert.deepEqual(
    terminatedPods(all, 1).map(({ metadata }) => metadata.name),
    ["c", "b"],
  );
  assert.deepEqual(terminatedPods(all, 0), []);
});

test("pods that are to go from a node out of service are let go", () => {
  const node = {
    spec: { taints: [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }] },
    status: { conditions: [{ type: "Ready", status: "Unknown" }] },
  } as never;
  const all = [
    pod("a", "Running", { node: "n", deleting: true }),
    pod("b", "Running", { node: "n" }),
  ] as unknown as Pod[];
  assert.deepEqual(
    outOfServicePods(all, () => node).map(({ metadata }) => metadata.name),
    ["a"],
  );
});

test("pods of a node that is gone for a while are failed and deleted; those of nodes that are only late are not", async () => {
  await using world = controllerWorld([podGarbageCollector]);
  world.server.put(nodes, { metadata: { name: "there" } });
  world.server.put(pods, pod("a", "Running", { node: "gone" }));
  world.server.put(pods, pod("b", "Running", { node: "there" }));
  await world.settle(35_000);
  assert.equal(world.server.objects(pods).length, 2);
  await world.clock.until(() => world.server.get(pods, "default/a") === undefined, 60_000);
  assert.ok(world.server.get(pods, "default/b"));
  const patch = world.server.requests.find(({ method }) => method === "PATCH")!.body as any;
  assert.deepEqual(
    [patch.status.phase, patch.status.conditions[0].reason, patch.status.conditions[0].message],
    ["Failed", "DeletionByPodGC", "PodGC: node no longer exists"],
  );
});
