import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { pods } from "../../client/resources.ts";
import { startNode } from "../../testing/simulated-node.ts";

const resources = (cpu: string, memory = "64Mi") => ({ requests: { cpu, memory }, limits: { cpu, memory } });

async function running(name: string, containers: readonly object[], spec: object = {}) {
  const node = await startNode();
  node.run(name, { containers: [...containers] as any[], ...spec });
  await node.until(() => node.condition(name, "Ready") === "True");
  return node;
}
type TestNode = Awaited<ReturnType<typeof startNode>>;

/** As the resize subresource does it: other resources, and the next generation. */
function resize(node: TestNode, name: string, byContainer: Readonly<Record<string, object>>): void {
  const pod = node.pod(name)!;
  node.api.put<Pod>(pods, {
    ...pod,
    metadata: { ...pod.metadata, generation: pod.metadata.generation! + 1 },
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({ ...one, resources: byContainer[one.name] ?? one.resources })),
    },
  } as Pod);
}
const statusOf = (node: TestNode, name: string, i = 0) => node.pod(name)!.status.containerStatuses![i]!;
const conditionOf = (node: TestNode, name: string, type: string) =>
  node.pod(name)!.status.conditions!.find((condition) => condition.type === type);
const events = (node: TestNode, reason: string) => node.told.filter((line) => line.split(" ")[2] === reason);
const settled = (node: TestNode, name: string) => () =>
  node.pod(name)!.status.observedGeneration === node.pod(name)!.metadata.generation &&
  conditionOf(node, name, "PodResizeInProgress") === undefined &&
  conditionOf(node, name, "PodResizePending") === undefined;

test("a running container is given other resources in place, and its status and events tell so", async () => {
  await using node = await running("web", [{ name: "c", image: "nginx:1", resources: resources("1") }]);
  const before = statusOf(node, "web");
  assert.deepEqual(before.resources, resources("1"));
  resize(node, "web", { c: resources("1500m", "128Mi") });
  await node.until(settled(node, "web"));
  const after = statusOf(node, "web");
  assert.deepEqual(after.resources, resources("1500m", "128Mi"));
  assert.deepEqual(after.allocatedResources, { cpu: "1500m", memory: "128Mi" });
  assert.equal(after.containerID, before.containerID);
  assert.equal(after.restartCount, 0);
  assert.deepEqual(events(node, "ResizeStarted"), [
    `web Normal ResizeStarted Pod resize started: {"containers":[{"name":"c","resources":{"limits":{"cpu":"1500m","memory":"128Mi"},"requests":{"cpu":"1500m","memory":"128Mi"}}}],"generation":2}`,
  ]);
  assert.equal(events(node, "ResizeCompleted").length, 1);
  const listed = await node.runtime.runtime.ListContainers({});
  const { status } = await node.runtime.runtime.ContainerStatus({ container_id: listed.containers[0]!.id });
  assert.equal(status!.resources!.linux!.cpu_quota, 150_000);
  assert.equal(status!.resources!.linux!.memory_limit_in_bytes, 128 * 2 ** 20);
});

test("a container whose policy says so is started anew for other memory, and not for other cpu", async () => {
  const resizePolicy = [
    { resourceName: "cpu", restartPolicy: "NotRequired" },
    { resourceName: "memory", restartPolicy: "RestartContainer" },
  ];
  await using node = await running("web", [{ name: "c", image: "nginx:1", resources: resources("1"), resizePolicy }]);
  resize(node, "web", { c: resources("2") });
  await node.until(settled(node, "web"));
  assert.equal(statusOf(node, "web").restartCount, 0);
  resize(node, "web", { c: resources("2", "1Gi") });
  await node.until(settled(node, "web"));
  await node.until(() => node.condition("web", "Ready") === "True");
  assert.equal(statusOf(node, "web").restartCount, 1);
  assert.deepEqual(statusOf(node, "web").resources, resources("2", "1Gi"));
  assert.ok(node.told.includes("web Normal Killing Container c resize requires restart"));
});

test("a resize that doesn't fit is deferred until another pod gives back, and those of high priority come first", async () => {
  await using node = await running("large", [{ name: "c", image: "nginx:1", resources: resources("2") }]);
  for (const [name, priority] of [
    ["low", 1],
    ["high", 10],
  ] as const)
    node.run(name, { priority, containers: [{ name: "c", image: "nginx:1", resources: resources("500m") }] });
  await node.until(() => ["low", "high"].every((name) => node.condition(name, "Ready") === "True"));
  resize(node, "low", { c: resources("2") });
  await node.until(() => conditionOf(node, "low", "PodResizePending") !== undefined);
  resize(node, "high", { c: resources("2") });
  await node.until(() => conditionOf(node, "high", "PodResizePending") !== undefined);
  const { lastProbeTime: _, lastTransitionTime: __, ...pending } = conditionOf(node, "low", "PodResizePending")!;
  assert.deepEqual(pending, {
    type: "PodResizePending",
    status: "True",
    observedGeneration: 2,
    reason: "Deferred",
    message: "Node didn't have enough resource: cpu, requested: 2000, used: 2500, capacity: 4000",
  });
  assert.match(
    events(node, "ResizeDeferred")[0]!,
    /^low Warning ResizeDeferred Pod resize OutOfcpu: .*"error":"Node didn't/,
  );
  assert.deepEqual(statusOf(node, "low").resources, resources("500m")); // What it has, not what it asks for.

  resize(node, "large", { c: resources("1") });
  await node.until(settled(node, "high"));
  assert.equal(conditionOf(node, "low", "PodResizePending")?.reason, "Deferred");
  node.api.take(pods, "default/large");
  await node.until(settled(node, "low"));
  assert.deepEqual(statusOf(node, "low").resources, resources("2"));
  const text = await node.metrics.render();
  assert.match(text, /kubelet_pod_deferred_accepted_resizes_total\{retry_trigger="pods_removed"\} 1/);
  assert.match(
    text,
    /kubelet_container_requested_resizes_total\{resource="cpu",requirement="limits",operation="increase"\} 2/,
  );
  assert.match(text, /kubelet_pod_pending_resizes\{reason="deferred"\} 0/);
  assert.match(text, /kubelet_pod_resize_duration_milliseconds_count\{success="true"\} 3/);
});

test("a pod whose resources are its own is resized as a whole, and so are its containers without limits", async () => {
  await using node = await running("whole", [{ name: "c", image: "nginx:1" }], { resources: resources("1") });
  const pod = node.pod("whole")!;
  assert.deepEqual(pod.status.allocatedResources, { cpu: "1", memory: "64Mi" });
  node.api.put<Pod>(pods, {
    ...pod,
    metadata: { ...pod.metadata, generation: 2 },
    spec: { ...pod.spec, resources: resources("2", "128Mi") },
  } as Pod);
  await node.until(settled(node, "whole"));
  assert.deepEqual(node.pod("whole")!.status.allocatedResources, { cpu: "2", memory: "128Mi" });
  assert.deepEqual(node.pod("whole")!.status.resources, resources("2", "128Mi"));
  const listed = await node.runtime.runtime.ListContainers({});
  const { status } = await node.runtime.runtime.ContainerStatus({ container_id: listed.containers[0]!.id });
  assert.equal(status!.resources!.linux!.cpu_quota, 200_000);
  assert.equal(events(node, "ResizeCompleted").length, 1);
});

test("a sidecar and an init container that runs are given other resources as well", async () => {
  const inits = [
    { name: "side", image: "proxy:1", restartPolicy: "Always", resources: resources("1") },
    { name: "slow", image: "exit:0?after=60s", resources: resources("500m") },
  ];
  await using node = await startNode();
  node.run("inits", { initContainers: inits as any, containers: [{ name: "c", image: "nginx:1" }] });
  const init = (i: number) => node.pod("inits")?.status.initContainerStatuses?.[i];
  await node.until(() => init(1)?.state.running !== undefined);
  const pod = node.pod("inits")!;
  node.api.put<Pod>(pods, {
    ...pod,
    metadata: { ...pod.metadata, generation: 2 },
    spec: { ...pod.spec, initContainers: inits.map((one) => ({ ...one, resources: resources("750m") })) },
  } as unknown as Pod);
  await node.until(settled(node, "inits"));
  await node.until(() => init(1)?.resources?.limits?.["cpu"] === "750m");
  assert.deepEqual(init(0)!.resources, resources("750m"));
  assert.equal(init(0)!.restartCount, 0);
});

test("a deferred resize that is taken back leaves no condition", async () => {
  await using node = await running("web", [{ name: "c", image: "nginx:1", resources: resources("1") }]);
  resize(node, "web", { c: resources("8") });
  await node.until(() => conditionOf(node, "web", "PodResizePending") !== undefined);
  resize(node, "web", { c: resources("1") });
  await node.until(settled(node, "web"));
  assert.equal(events(node, "ResizeStarted").length, 0);
});

test("a resize that the runtime refuses is in progress with the error, and goes through later", async () => {
  await using node = await running("web", [{ name: "c", image: "nginx:1", resources: resources("1") }]);
  const { runtime } = node.runtime;
  const update = runtime.UpdateContainerResources;
  (runtime as any).UpdateContainerResources = () => Promise.reject(new Error("no room"));
  resize(node, "web", { c: resources("2") });
  await node.until(() => conditionOf(node, "web", "PodResizeInProgress")?.reason === "Error");
  assert.equal(conditionOf(node, "web", "PodResizeInProgress")!.message, "no room");
  assert.equal(conditionOf(node, "web", "PodResizeInProgress")!.observedGeneration, 2);
  assert.equal(events(node, "ResizeError").length, 1);
  assert.deepEqual(statusOf(node, "web").resources, resources("1"));
  (runtime as any).UpdateContainerResources = update;
  await node.until(settled(node, "web"));
  assert.deepEqual(statusOf(node, "web").resources, resources("2"));
});

test("a restarted kubelet keeps to what was granted", async () => {
  await using node = await running("web", [{ name: "c", image: "nginx:1", resources: resources("1") }]);
  resize(node, "web", { c: resources("8") });
  await node.until(() => conditionOf(node, "web", "PodResizePending") !== undefined);
  await node.restart();
  await node.world.clock.advance(60_000);
  assert.equal(node.phase("web"), "Running");
  assert.equal(conditionOf(node, "web", "PodResizePending")?.reason, "Deferred");
  assert.deepEqual(statusOf(node, "web").resources, resources("1"));
});
