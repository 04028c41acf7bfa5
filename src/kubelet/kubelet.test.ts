import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../api/generated/core.v1.ts";
import { configMaps, leases, nodes, pods } from "../client/resources.ts";
import { startNode } from "../testing/simulated-node.ts";

test("a node registers, is ready and keeps its lease", async () => {
  await using node = await startNode();
  const ready = () => node.api.get<Node>(nodes, "node-1")?.status?.conditions?.find(({ type }) => type === "Ready");
  await node.until(() => ready()?.status === "True");
  const object = node.api.get<Node>(nodes, "node-1")!;
  assert.equal(object.status.capacity?.["cpu"], "4");
  assert.equal(object.status.allocatable?.["memory"], "8092Mi");
  assert.deepEqual(object.status.addresses, [
    { type: "InternalIP", address: "172.18.0.2" },
    { type: "Hostname", address: "node-1" },
  ]);
  assert.deepEqual(object.status.declaredFeatures, [
    "ExtendWebSocketsToKubelet",
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
  ]);
  await node.until(() => node.api.get(leases, "kube-node-lease/node-1") !== undefined);
});

test("what others say that a node has can be had by pods, until they say so no more", async () => {
  await using node = await startNode();
  const status = () => node.api.get<Node>(nodes, "node-1")?.status;
  await node.until(() => status()?.capacity?.["cpu"] === "4");
  const say = (capacity: object) => {
    const now = node.api.get<Node>(nodes, "node-1")!;
    node.api.put(nodes, { ...now, status: { ...now.status, capacity } });
  };
  const before = status()!.capacity!;
  say({ ...before, "example.com/gpu": "3" });
  await node.until(() => status()?.allocatable?.["example.com/gpu"] === "3");
  assert.equal(status()!.capacity!["example.com/gpu"], "3");
  say(before);
  await node.until(() => status()?.allocatable?.["example.com/gpu"] === undefined);
});

test("a pod goes from Pending to Running and Ready, and its object is deleted after its containers stopped", async () => {
  await using node = await startNode();
  node.run("web", { containers: [{ name: "c", image: "nginx:1" }] });
  await node.until(() => node.condition("web", "Ready") === "True");
  const { status } = node.pod("web")!;
  assert.equal(status.phase, "Running");
  assert.equal(status.podIP, "10.244.0.2");
  assert.equal(status.hostIP, "172.18.0.2");
  assert.equal(status.qosClass, "BestEffort");
  assert.match(status.containerStatuses![0]!.containerID!, /^simulated:\/\//);
  assert.deepEqual(
    node.told.filter((line) => line.startsWith("web")).map((line) => line.split(" ")[2]),
    ["Pulling", "Pulled", "Created", "Started"],
  );

  const pod = node.pod("web")!;
  // Held by a finalizer, so that the fake API server doesn't let go of it before its kubelet asks.
  const deletion = { deletionTimestamp: "2026-01-01T00:01:00Z", deletionGracePeriodSeconds: 30, finalizers: ["a/b"] };
  node.api.put(pods, { ...pod, metadata: { ...pod.metadata, ...deletion } });
  const removal = () => node.api.requests.findLast(({ method }) => method === "DELETE");
  await node.until(() => removal() !== undefined);
  assert.equal(node.phase("web"), "Failed"); // 143 is not 0.
  node.api.take(pods, "default/web");
  assert.deepEqual(removal()?.body, {
    kind: "DeleteOptions",
    apiVersion: "v1",
    gracePeriodSeconds: 0,
    preconditions: { uid: pod.metadata.uid },
  });
  assert.ok(node.told.includes("web Normal Killing Stopping container c"));
  await node.world.clock.advance(1000);
  const { items } = await node.runtime.runtime.ListPodSandbox({});
  assert.deepEqual(items, []);
});

test("a container that fails again and again waits longer each time", async () => {
  await using node = await startNode();
  node.run("crash", { containers: [{ name: "c", image: "exit:3?after=1s" }] });
  const waiting = () => node.pod("crash")?.status.containerStatuses?.[0]?.state.waiting;
  await node.until(() => waiting()?.reason === "CrashLoopBackOff");
  const { uid } = node.pod("crash")!.metadata;
  assert.equal(waiting()!.message, `back-off 10s restarting failed container=c pod=crash_default(${uid})`);
  await node.until(() => waiting()?.message?.startsWith("back-off 20s") === true);
  const status = node.pod("crash")!.status.containerStatuses![0]!;
  assert.equal(status.lastState.terminated?.exitCode, 3);
  assert.equal(status.restartCount, 2);
  assert.equal(node.phase("crash"), "Running");
});

test("a pod that may not restart succeeds, and its object stays until it is deleted", async () => {
  await using node = await startNode();
  node.run("job", { restartPolicy: "Never", containers: [{ name: "c", image: "exit:0?after=2s" }] });
  await node.until(() => node.phase("job") === "Succeeded");
  await node.until(() => node.condition("job", "PodReadyToStartContainers") === "False");
  assert.equal(node.condition("job", "Ready"), "False");
  assert.equal(node.pod("job")!.status.containerStatuses![0]!.state.terminated?.reason, "Completed");
});

test("init containers run one after another before the others, a sidecar goes on", async () => {
  await using node = await startNode();
  node.run("ordered", {
    initContainers: [
      { name: "first", image: "exit:0?after=1s", resources: {} },
      { name: "side", image: "proxy:1", restartPolicy: "Always", resources: {} },
    ] as any,
    containers: [{ name: "c", image: "nginx:1" }],
  });
  await node.until(() => node.condition("ordered", "Ready") === "True");
  const { initContainerStatuses, containerStatuses } = node.pod("ordered")!.status;
  assert.equal(initContainerStatuses![0]!.state.terminated?.exitCode, 0);
  assert.ok(initContainerStatuses![1]!.state.running);
  assert.ok(containerStatuses![0]!.state.running);
});

test("readiness follows the probe, and a failed liveness probe restarts the container", async () => {
  await using node = await startNode();
  const httpGet = { path: "/", port: 80 };
  node.run("probed", {
    containers: [
      {
        name: "c",
        image: "nginx:1?ready=5s&unhealthy=60s",
        readinessProbe: { httpGet, periodSeconds: 1, successThreshold: 1, failureThreshold: 1, timeoutSeconds: 1 },
        livenessProbe: { httpGet, periodSeconds: 1, initialDelaySeconds: 10, failureThreshold: 3, timeoutSeconds: 1 },
      },
    ],
  });
  await node.until(() => node.phase("probed") === "Running");
  assert.equal(node.condition("probed", "Ready"), "False");
  await node.until(() => node.condition("probed", "Ready") === "True");
  await node.until(() => node.pod("probed")!.status.containerStatuses![0]!.restartCount === 1);
  assert.ok(node.told.includes("probed Normal Killing Container c failed liveness probe, will be restarted"));
});

test("a missing ConfigMap holds a pod back until it is there", async () => {
  await using node = await startNode();
  node.run("waits", {
    volumes: [{ name: "cfg", configMap: { name: "settings" } }],
    containers: [{ name: "c", image: "nginx:1", volumeMounts: [{ name: "cfg", mountPath: "/etc/cfg" }] }],
  });
  const message = 'MountVolume.SetUp failed for volume "cfg" : configmap "settings" not found';
  await node.until(() => node.told.includes(`waits Warning FailedMount ${message}`));
  assert.equal(node.phase("waits"), "Pending");
  node.api.put(configMaps, { metadata: { name: "settings", namespace: "default" }, data: { a: "1" } });
  await node.until(() => node.phase("waits") === "Running");
});

test("an image that can't be pulled shows ErrImagePull and then ImagePullBackOff", async () => {
  await using node = await startNode();
  node.run("absent", { containers: [{ name: "c", image: "missing:1" }] });
  const reason = () => node.pod("absent")?.status.containerStatuses?.[0]?.state.waiting?.reason;
  await node.until(() => reason() === "ErrImagePull");
  await node.until(() => reason() === "ImagePullBackOff");
});

test("a pod that asks for more than the node has is refused with the reason", async () => {
  await using node = await startNode();
  node.run("large", { containers: [{ name: "c", image: "nginx:1", resources: { requests: { cpu: "5" } } }] });
  await node.until(() => node.phase("large") === "Failed");
  assert.equal(node.pod("large")!.status.reason, "OutOfcpu");
  assert.equal(
    node.pod("large")!.status.message,
    "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000",
  );
});

test("a restarted kubelet adopts what runs and removes what nobody wants", async () => {
  await using node = await startNode();
  node.run("stays", { containers: [{ name: "c", image: "nginx:1" }] });
  node.run("goes", { containers: [{ name: "c", image: "nginx:1" }] });
  await node.until(() => node.condition("stays", "Ready") === "True" && node.condition("goes", "Ready") === "True");
  const before = node.pod("stays")!.status.containerStatuses![0]!;
  await node.group[Symbol.asyncDispose]();
  node.api.take(pods, "default/goes");
  await node.restart();
  await node.until(() => node.told.some((line) => line === "goes Normal Killing Stopping container c"));
  await node.world.clock.advance(30_000);
  const after = node.pod("stays")!.status.containerStatuses![0]!;
  assert.equal(after.containerID, before.containerID);
  assert.equal(after.restartCount, 0);
  assert.equal(node.condition("stays", "Ready"), "True");
});

const MANIFEST = `
apiVersion: v1
kind: Pod
metadata: { name: proxy }
spec: { containers: [{ name: c, image: "nginx:1" }] }
`;

test("a manifest runs as a static pod, its mirror comes back when it is deleted, and both end with the file", async () => {
  await using node = await startNode(
    { staticPodPath: "/manifests", fileCheckFrequencyMs: 1000 },
    { "/manifests/p.yaml": MANIFEST },
  );
  await node.until(() => node.condition("proxy-node-1", "Ready") === "True");
  const mirror = node.pod("proxy-node-1")!;
  assert.equal(mirror.metadata.annotations?.["kubernetes.io/config.source"], "file");
  assert.equal(
    mirror.metadata.annotations?.["kubernetes.io/config.mirror"],
    mirror.metadata.annotations?.["kubernetes.io/config.hash"],
  );
  assert.equal(mirror.metadata.ownerReferences?.[0]?.kind, "Node");
  node.api.take(pods, "default/proxy-node-1");
  await node.until(() => node.pod("proxy-node-1") !== undefined && node.phase("proxy-node-1") === "Running");
  assert.notEqual(node.pod("proxy-node-1")!.metadata.uid, mirror.metadata.uid);
  assert.equal(node.pod("proxy-node-1")!.status.containerStatuses![0]!.restartCount, 0);
  await node.world.fs.remove("/manifests/p.yaml");
  await node.until(() => node.pod("proxy-node-1") === undefined);
  await node.world.clock.advance(5000);
  assert.deepEqual((await node.runtime.runtime.ListPodSandbox({})).items, []);
});

test("a pod past its deadline fails with the reason", async () => {
  await using node = await startNode();
  node.run("late", {
    activeDeadlineSeconds: 20,
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "c", image: "nginx:1" }],
  });
  await node.until(() => node.phase("late") === "Running");
  await node.until(() => node.phase("late") === "Failed", 60_000);
  assert.equal(node.pod("late")!.status.reason, "DeadlineExceeded");
});

test("a container that ignores SIGTERM is killed when its grace period is over, and a second deletion shortens it", async () => {
  await using node = await startNode();
  node.run("deaf", { containers: [{ name: "c", image: "nginx:1?stop=never" }] });
  await node.until(() => node.condition("deaf", "Ready") === "True");
  const remove = (seconds: number) => {
    const pod = node.pod("deaf")!;
    const deletion = {
      deletionTimestamp: "2026-01-01T00:01:00Z",
      deletionGracePeriodSeconds: seconds,
      finalizers: ["a/b"],
    };
    node.api.put(pods, { ...pod, metadata: { ...pod.metadata, ...deletion } });
  };
  const removed = () => node.api.requests.some(({ method }) => method === "DELETE");
  remove(300);
  await node.world.clock.advance(20_000);
  assert.equal(removed(), false);
  remove(5);
  await node.until(removed, 10_000);
  assert.equal(node.pod("deaf")!.status.containerStatuses![0]!.state.terminated?.exitCode, 137);
});

test("pods wait for the node's range of addresses, and take theirs from it at once", async () => {
  await using node = await startNode({}, {}, null);
  node.run("web", { containers: [{ name: "c", image: "nginx:1" }] });
  await node.until(() => node.told.some((line) => line.startsWith("web Warning NetworkNotReady")));
  const object = node.api.get<Node>(nodes, "node-1")!;
  assert.equal(object.status.conditions?.find(({ type }) => type === "Ready")?.status, "False");
  node.api.put(nodes, { ...object, spec: { podCIDR: "10.9.0.0/24", podCIDRs: ["10.9.0.0/24"] } });
  await node.until(() => node.pod("web")?.status.podIP === "10.9.0.2", 3000);
});

test("a node whose status has not changed is silent for five minutes, but for its lease", async () => {
  await using node = await startNode();
  await node.world.clock.advance(60_000);
  // A server stores nothing that is empty.
  const stored = node.api.get<Node>(nodes, "node-1")!;
  const { images: _images, ...status } = JSON.parse(
    JSON.stringify(stored.status, (_key, value) => (value === "" ? undefined : value)),
  );
  node.api.put(nodes, { ...stored, status });
  const before = node.api.requests.length;
  await node.world.clock.advance(120_000);
  const paths = node.api.requests.slice(before).map(({ path }) => path);
  assert.deepEqual([...new Set(paths)], ["/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1"]);
  assert.ok(paths.length >= 10 && paths.length <= 13, `${paths.length} renewals`);
});
