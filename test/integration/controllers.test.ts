/** All controllers on the real API server in this process: what defaults, validation, admission and RBAC make of their writes. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { Deployment } from "../../src/api/generated/apps.v1.ts";
import type { Pod } from "../../src/api/generated/core.v1.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import type { Client } from "../../src/client/client.ts";
import { createInformers } from "../../src/client/informer/informers.ts";
import {
  clusterRoles,
  cronJobs,
  daemonSets,
  jobs,
  leases,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  resourceQuotas,
  statefulSets,
  configMaps,
  deployments,
  endpointSlices,
  endpoints,
  events,
  horizontalPodAutoscalers,
  namespaces,
  nodes,
  pods,
  replicaSets,
  secrets,
  serviceAccounts,
  services,
} from "../../src/client/resources.ts";
import { createControllerManager } from "../../src/controllers/manager.ts";
import { serviceAccountOf } from "../../src/controllers/service-accounts.ts";
import { formatMicroTime, formatTime } from "../../src/machinery/meta/time.ts";
import { hasReason } from "../../src/machinery/status.ts";
import type { Logger } from "../../src/observe/log.ts";
import { every } from "../../src/world/time.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const world = nodeWorld();
const key = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({
  type: "pkcs8",
  format: "pem",
}) as string;

const user = (name: string, ...groups: string[]) => ({ name, groups: [...groups, "system:authenticated"] });

/** Errors of controllers fail the test that caused them. */
class Errors implements Logger {
  readonly seen: string[] = [];
  info(): void {}
  warn(): void {}
  error(message: string, error: unknown, fields?: object): void {
    this.seen.push(
      `${message}: ${error instanceof Error ? error.message : String(error)} ${JSON.stringify(fields ?? {})}`,
    );
  }
  v(): Logger {
    return { info() {}, warn() {}, error: this.error.bind(this), v: () => this, with: () => this };
  }
  with(): Logger {
    return this;
  }
}

async function start(options: Readonly<Record<string, unknown>> = {}) {
  const harness = await startServer(world);
  const client = harness.client();
  const log = new Errors();
  const stop = new AbortController();
  const manager = createControllerManager({
    world,
    client: harness.client(user("system:kube-controller-manager")),
    // Each with the rights of its own account and no more, as a cluster runs them.
    clientFor: (name) =>
      harness.client(
        name === "serviceaccount-token-controller"
          ? user("system:kube-controller-manager")
          : user(`system:serviceaccount:kube-system:${serviceAccountOf(name)}`, "system:serviceaccounts"),
      ),
    log,
    rootCa: "CA",
    serviceAccountKey: key,
    options: { "allocate-node-cidrs": true, "cluster-cidr": "10.244.0.0/16", ...options },
  });
  const informers = createInformers({ client, clock: world.clock, random: world.random, log });
  const following = [pods, deployments, replicaSets, namespaces, secrets].map((resource) =>
    informers.of<any>(resource),
  );
  const running = Promise.all([manager.run(stop.signal, () => {}), informers.run(stop.signal, () => {})]);
  for (const informer of following) await informer.waitForSync(stop.signal);
  return {
    client,
    log,
    informers,
    /** Settles once `reached` holds, asked again after every change of what the tests follow. */
    async until(reached: () => boolean | Promise<boolean>, words: string): Promise<void> {
      let wake = () => {};
      const subscriptions = following.map((informer) => {
        const call = () => wake();
        return informer.subscribe({ add: call, update: call, delete: call });
      });
      const limit = world.clock.monotonic() + 120_000;
      while (!(await reached())) {
        assert.ok(world.clock.monotonic() < limit, `${words}; errors: ${log.seen.join("\n")}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          world.clock.after(50, resolve);
        });
      }
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await harness[Symbol.asyncDispose]();
    },
  };
}

/** Pods run and are ready as soon as they are seen. */
function kubelet(client: Client, { informers }: { readonly informers: ReturnType<typeof createInformers> }) {
  let address = 1;
  informers.of(pods).subscribe({
    add(pod: Pod) {
      const at = formatTime(world.clock.now());
      const podIP = `10.1.0.${address++}`;
      const condition = { type: "Ready", status: "True", lastTransitionTime: at };
      const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions: [condition] };
      const { namespace = "", name } = pod.metadata;
      client
        .patch(
          pods,
          { namespace, name },
          "application/strategic-merge-patch+json",
          { status },
          { subresource: "status" },
        )
        .catch((error: unknown) => assert.ok(hasReason(error, "NotFound", "Conflict"), String(error)));
    },
  });
}

const web = (image: string) => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }] } },
  },
});
const finished = (deployment: Deployment | undefined) =>
  deployment !== undefined &&
  deployment.status.observedGeneration === deployment.metadata.generation &&
  deployment.status.updatedReplicas === 3 &&
  deployment.status.replicas === 3 &&
  deployment.status.availableReplicas === 3;

test("a deployment rolls out, its service finds the pods, and deleting it leaves nothing", async () => {
  await using cluster = await start();
  const { client, informers, until, log } = cluster;
  kubelet(client, cluster);
  const current = () => informers.of(deployments).get("default/web");
  await client.create(services, {
    metadata: { name: "web", namespace: "default" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await client.create(deployments, web("nginx:1"));
  await until(() => finished(current()), "the first rollout ends");
  await client.patch(deployments, { namespace: "default", name: "web" }, "application/strategic-merge-patch+json", {
    spec: { template: { spec: { containers: [{ name: "c", image: "nginx:2" }] } } },
  });
  await until(
    () => finished(current()) && current()!.metadata.annotations?.["deployment.kubernetes.io/revision"] === "2",
    "the second rollout ends",
  );
  await until(async () => {
    const { items } = await client.list(endpointSlices, {
      namespace: "default",
      labelSelector: "kubernetes.io/service-name=web",
    });
    const { subsets } = await client.get(endpoints, { namespace: "default", name: "web" });
    return items.flatMap((slice) => slice.endpoints ?? []).length === 3 && subsets?.[0]?.addresses?.length === 3;
  }, "three endpoints");
  await client.delete(deployments, { namespace: "default", name: "web" }, { propagationPolicy: "Foreground" });
  await until(() => informers.of(pods).list().length === 0 && current() === undefined, "everything is gone");
  assert.deepEqual(informers.of(replicaSets).list(), []);
  const told = (await client.list(events, { namespace: "default" })).items.map(({ reason }) => reason);
  for (const reason of ["ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete"])
    assert.ok(told.includes(reason), reason);
  assert.deepEqual(log.seen, []);
});

test("a namespace gets its account and CA, and goes with all its content", async () => {
  await using cluster = await start();
  const { client, informers, until, log } = cluster;
  await client.create(namespaces, { metadata: { name: "team" } });
  const exists = async (resource: any, name: string) => {
    try {
      await client.get(resource, { namespace: "team", name });
      return true;
    } catch (error) {
      assert.ok(hasReason(error, "NotFound"));
      return false;
    }
  };
  await until(
    async () => (await exists(serviceAccounts, "default")) && (await exists(configMaps, "kube-root-ca.crt")),
    "account and CA",
  );
  await client.create(secrets, {
    metadata: { name: "token", namespace: "team", annotations: { "kubernetes.io/service-account.name": "default" } },
    type: "kubernetes.io/service-account-token",
  });
  await until(() => informers.of(secrets).get("team/token")?.data?.["token"] !== undefined, "a token");
  await client.create(pods, {
    metadata: { name: "pod", namespace: "team" },
    spec: { containers: [{ name: "c", image: "x" }] },
  });
  const resources = { requests: { storage: "1Gi" } };
  await client.create(persistentVolumeClaims, {
    metadata: { name: "claim", namespace: "team" },
    spec: { accessModes: ["ReadWriteOnce"], resources },
  });
  await client.create(persistentVolumes, {
    metadata: { name: "volume" },
    spec: { capacity: { storage: "2Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/tmp/x" } },
  });
  await until(
    async () =>
      (await client.get(persistentVolumeClaims, { namespace: "team", name: "claim" })).status?.phase === "Bound",
    "the claim is bound",
  );
  await client.delete(namespaces, { name: "team" });
  await until(() => informers.of(namespaces).get("team") === undefined, "the namespace is gone");
  await until(
    async () => (await client.get(persistentVolumes, { name: "volume" })).status?.phase === "Released",
    "the volume is released",
  );
  await client.delete(persistentVolumes, { name: "volume" });
  assert.deepEqual(log.seen, []);
});

test("nodes get a range and taints, and aggregated roles their rules", async () => {
  await using cluster = await start();
  const { client, until, log } = cluster;
  await client.create(nodes, { metadata: { name: "n1" } });
  await until(async () => (await client.get(nodes, { name: "n1" })).spec.podCIDR === "10.244.0.0/24", "a range");
  await until(
    async () => ((await client.get(clusterRoles, { name: "edit" })).rules ?? []).length > 5,
    "rules for edit",
  );
  assert.deepEqual(log.seen, []);
});

test("daemons, stateful sets, jobs and cron jobs run on the real server", async () => {
  await using cluster = await start();
  const { client, informers, until, log } = cluster;
  kubelet(client, cluster);
  const containers = [{ name: "c", image: "x" }];
  const selector = { matchLabels: { app: "a" } };
  const labels = { app: "a" };
  const inDefault = (name: string) => ({ name, namespace: "default" });
  await client.create(nodes, { metadata: { name: "n1" } });
  await client.patch(
    nodes,
    { name: "n1" },
    "application/strategic-merge-patch+json",
    { status: { conditions: [{ type: "Ready", status: "True" }] } },
    { subresource: "status" },
  );
  await client.create(daemonSets, {
    metadata: inDefault("agent"),
    spec: { selector, template: { metadata: { labels }, spec: { containers } } },
  });
  await client.create(statefulSets, {
    metadata: inDefault("db"),
    spec: {
      replicas: 2,
      serviceName: "db",
      selector: { matchLabels: { app: "db" } },
      template: { metadata: { labels: { app: "db" } }, spec: { containers } },
      volumeClaimTemplates: [
        {
          metadata: { name: "data" },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
        },
      ],
    },
  });
  await client.create(jobs, {
    metadata: inDefault("job"),
    spec: {
      completions: 3,
      parallelism: 2,
      completionMode: "Indexed",
      template: { spec: { restartPolicy: "Never", containers } },
    },
  });
  await client.create(cronJobs, {
    metadata: { ...inDefault("cron") },
    spec: {
      schedule: "@every 1s",
      jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers } } } },
    },
  });
  informers.of(pods).subscribe({
    update(_, pod: Pod) {
      const ofJob = pod.metadata.ownerReferences?.[0]?.kind === "Job";
      if (!ofJob || pod.status.phase !== "Running") return;
      const { namespace = "", name } = pod.metadata;
      client
        .patch(
          pods,
          { namespace, name },
          "application/strategic-merge-patch+json",
          { status: { phase: "Succeeded" } },
          { subresource: "status" },
        )
        .catch((error: unknown) => assert.ok(hasReason(error, "NotFound", "Conflict"), String(error)));
    },
  });
  await until(
    async () => (await client.get(daemonSets, inDefault("agent"))).status.numberAvailable === 1,
    "the daemon runs",
  );
  await until(
    async () => (await client.get(statefulSets, inDefault("db"))).status.readyReplicas === 2,
    "the stateful set is up",
  );
  assert.equal((await client.list(persistentVolumeClaims, { namespace: "default" })).items.length, 2);
  await until(
    async () =>
      (await client.get(jobs, inDefault("job"))).status.conditions?.some(({ type }) => type === "Complete") ?? false,
    "the job completes",
  );
  const { status } = await client.get(jobs, inDefault("job"));
  assert.deepEqual([status.succeeded, status.completedIndexes], [3, "0-2"]);
  await until(
    async () => (await client.get(cronJobs, inDefault("cron"))).status.lastScheduleTime !== undefined,
    "the cron job starts a job",
  );
  assert.deepEqual(log.seen, []);
});

test("a silent node is noticed and loses its pods, budgets and quotas follow", async () => {
  await using cluster = await start({
    "node-monitor-period": 50,
    "node-monitor-grace-period": 300,
    "node-eviction-rate": 100,
  });
  const { client, informers, until, log } = cluster;
  const stop = new AbortController();
  const status = { conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: formatTime(world.clock.now()) }] };
  for (const name of ["alive", "silent"]) {
    await client.create(nodes, { metadata: { name } });
    await client.patch(
      nodes,
      { name },
      "application/strategic-merge-patch+json",
      { status },
      { subresource: "status" },
    );
  }
  const lease = await client.create(leases, {
    metadata: { name: "alive", namespace: "kube-node-lease" },
    spec: { holderIdentity: "alive", renewTime: formatMicroTime(world.clock.now()) },
  });
  const beating = every(world.clock, 50, stop.signal, async () => {
    await client.patch(
      leases,
      { namespace: "kube-node-lease", name: lease.metadata.name },
      "application/merge-patch+json",
      { spec: { renewTime: formatMicroTime(world.clock.now()) } },
    );
  });
  const tolerations = ["not-ready", "unreachable"].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: 1,
  }));
  const labels = { app: "a" };
  await client.create(podDisruptionBudgets, {
    metadata: { name: "b", namespace: "default" },
    spec: { minAvailable: 0, selector: { matchLabels: labels } },
  });
  await client.create(resourceQuotas, { metadata: { name: "q", namespace: "default" }, spec: { hard: { pods: "1" } } });
  const used = async () =>
    (await client.get(resourceQuotas, { namespace: "default", name: "q" })).status?.used?.["pods"];
  await until(async () => (await used()) === "0", "the quota is counted");
  await until(async () => {
    try {
      await client.create(pods, {
        metadata: { name: "p", namespace: "default", labels },
        spec: {
          nodeName: "silent",
          tolerations,
          terminationGracePeriodSeconds: 0,
          containers: [{ name: "c", image: "x" }],
        },
      });
      return true;
    } catch (error) {
      assert.ok(hasReason(error, "Forbidden"), String(error)); // The default account is on its way.
      return false;
    }
  }, "a pod");
  const running = {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: formatTime(world.clock.now()) }],
  };
  await client.patch(
    pods,
    { namespace: "default", name: "p" },
    "application/strategic-merge-patch+json",
    { status: running },
    { subresource: "status" },
  );
  await until(
    async () => (await client.get(nodes, { name: "silent" })).status.conditions?.[0]?.status === "Unknown",
    "the silence is noticed",
  );
  await until(
    async () => ((await client.get(nodes, { name: "silent" })).spec.taints ?? []).length === 2,
    "the node is tainted",
  );
  const marked = (pod: Pod | undefined) =>
    pod?.status.conditions?.find(({ type }) => type === "Ready")?.status === "False";
  await until(() => marked(informers.of(pods).get("default/p")), "the pod isn't ready");
  await until(
    async () =>
      informers.of(pods).get("default/p")?.metadata.deletionTimestamp !== undefined ||
      informers.of(pods).get("default/p") === undefined,
    "the pod goes",
  );
  await client
    .delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 })
    .catch((error: unknown) => assert.ok(hasReason(error, "NotFound")));
  await until(async () => (await used()) === "0", "the quota is free again");
  assert.deepEqual((await client.get(nodes, { name: "alive" })).spec.taints ?? [], []);
  stop.abort();
  await beating;
  assert.deepEqual(log.seen, []);
});

test("an autoscaler keeps the size within its bounds, and says what it misses", async () => {
  await using cluster = await start({ "horizontal-pod-autoscaler-sync-period": 100 });
  const { client, until, log } = cluster;
  await client.create(deployments, web("nginx:1"));
  await client.create(horizontalPodAutoscalers, {
    metadata: { name: "web", namespace: "default" },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      minReplicas: 5,
      maxReplicas: 9,
    },
  });
  await until(
    async () => (await client.get(deployments, { namespace: "default", name: "web" })).spec.replicas === 5,
    "the lower bound",
  );
  const get = async (type: string) =>
    (await client.get(horizontalPodAutoscalers, { namespace: "default", name: "web" })).status.conditions?.find(
      (condition) => condition.type === type,
    );
  await until(async () => (await get("ScalingActive"))?.status === "False", "no metrics");
  const { reason, message } = (await get("ScalingActive"))!;
  assert.equal(reason, "FailedGetResourceMetric");
  assert.match(
    message!,
    /^the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource/,
  );
  assert.equal((await get("AbleToScale"))?.status, "True");
  assert.deepEqual(log.seen, []);
});

test("a policy's status tells of expressions that can't be meant for the kinds they are about", async () => {
  await using running = await start({ controllers: ["validatingadmissionpolicy-status-controller"] });
  const { client } = running;
  const path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
  const get = () => client.transport.send({ method: "GET", path: `${path}/p` }) as Promise<any>;
  const spec = (expression: string) => ({
    matchConstraints: {
      resourceRules: [{ apiGroups: ["apps"], apiVersions: ["v1"], operations: ["*"], resources: ["deployments"] }],
    },
    validations: [{ expression }],
  });
  await client.transport.send({
    method: "POST",
    path,
    body: { metadata: { name: "p" }, spec: spec("object.spec.zz == 1") },
  });
  await running.until(async () => (await get()).status?.observedGeneration === 1, "the policy isn't looked at");
  const { expressionWarnings } = (await get()).status.typeChecking;
  assert.deepEqual(
    expressionWarnings.map(({ fieldRef }: any) => fieldRef),
    ["spec.validations[0].expression"],
  );
  assert.match(expressionWarnings[0].warning, /^apps\/v1, Kind=Deployment: ERROR: .*undefined field 'zz'/);
  await client.transport.send({ method: "PUT", path: `${path}/p`, body: { ...(await get()), spec: spec("true") } });
  await running.until(async () => (await get()).status?.observedGeneration === 2, "the change isn't looked at");
  assert.equal((await get()).status.typeChecking?.expressionWarnings, undefined);
});
