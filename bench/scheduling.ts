/**
 * Scheduling: decisions a second, and pods bound a second through our API server in this process, against the floors that upstream's own
 * benchmark enforces (with an API server and etcd behind it).
 *
 *     sh tools/node.sh bench/scheduling.ts [nodes] [pods]
 */
import type { Node, Pod } from "../src/api/generated/core.v1.ts";
import { startServer } from "../src/apiserver/testing/harness.ts";
import { createEventBroadcaster } from "../src/client/event-recorder.ts";
import { createInformers } from "../src/client/informer/informers.ts";
import { nodes as nodeResource, pods as podResource, serviceAccounts } from "../src/client/resources.ts";
import { silent } from "../src/observe/log.ts";
import { Metrics } from "../src/observe/metrics.ts";
import { Lab, node, pod } from "../src/scheduler/lab.ts";
import { createScheduler } from "../src/scheduler/scheduler.ts";
import { nodeWorld } from "../src/world/node/index.ts";

const NODES = Number(process.argv[2] ?? 5000);
const PODS = Number(process.argv[3] ?? 5000);
const ZONES = 3;

interface Case {
  readonly name: string;
  /** Pods a second that upstream's continuous integration asks for. */
  readonly floor: number;
  readonly make: (i: number) => Pod;
  readonly placed?: (i: number) => Pod;
}

const small = { cpu: "100m", memory: "500Mi" };
const app = { app: "bench" };
const term = (topologyKey: string) => ({ topologyKey, labelSelector: { matchLabels: app } });
const spread = (whenUnsatisfiable: string) => ({
  topologyKey: "topology.kubernetes.io/zone",
  maxSkew: 5,
  whenUnsatisfiable,
  labelSelector: { matchLabels: app },
});

const CASES: readonly Case[] = [
  { name: "basic", floor: 270, make: (i) => pod(`p${i}`, small) },
  {
    name: "node affinity",
    floor: 220,
    make: (i) =>
      pod(`p${i}`, {
        ...small,
        spec: {
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: "topology.kubernetes.io/zone", operator: "In", values: ["z0", "z1"] }] },
                ],
              },
            },
          },
        },
      }),
  },
  {
    name: "pod affinity",
    floor: 35,
    make: (i) =>
      pod(`p${i}`, {
        ...small,
        labels: app,
        spec: {
          affinity: {
            podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term("topology.kubernetes.io/zone")] },
          },
        },
      }),
  },
  {
    name: "pod anti-affinity",
    floor: 60,
    make: (i) =>
      pod(`p${i}`, {
        ...small,
        labels: { ...app, n: String(i % Math.ceil(PODS / 2000)) },
        spec: {
          affinity: {
            podAntiAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [
                {
                  topologyKey: "kubernetes.io/hostname",
                  labelSelector: { matchLabels: { n: String(i % Math.ceil(PODS / 2000)) } },
                },
              ],
            },
          },
        },
      }),
  },
  {
    name: "preferred pod affinity",
    floor: 90,
    make: (i) =>
      pod(`p${i}`, {
        ...small,
        labels: app,
        spec: {
          affinity: {
            podAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                { weight: 1, podAffinityTerm: term("kubernetes.io/hostname") },
              ],
            },
          },
        },
      }),
  },
  {
    name: "topology spreading",
    floor: 85,
    make: (i) =>
      pod(`p${i}`, { ...small, labels: app, spec: { topologySpreadConstraints: [spread("DoNotSchedule")] } }),
  },
  {
    name: "preferred topology spreading",
    floor: 125,
    make: (i) =>
      pod(`p${i}`, { ...small, labels: app, spec: { topologySpreadConstraints: [spread("ScheduleAnyway")] } }),
  },
];

function nodes(): Node[] {
  return Array.from({ length: NODES }, (_, i) => node(`node-${i}`, { zone: `z${i % ZONES}`, memory: "32Gi" }));
}

/** Microseconds a pod: reading it, deciding, and counting it on its node. */
function run({ make }: Case): number {
  const lab = new Lab(nodes());
  const warmUp = Math.min(500, PODS);
  const pods = Array.from({ length: PODS + warmUp }, (_, i) => make(i));
  let start = 0;
  for (const [i, one] of pods.entries()) {
    if (i === warmUp) start = performance.now();
    const info = lab.cache.podInfo(one);
    const decision = lab.cycle.decide(info);
    if (!("node" in decision)) throw new Error(`${one.metadata.name} fits nowhere`);
    lab.cache.assume(info, decision.node.name);
  }
  return ((performance.now() - start) * 1000) / PODS;
}

console.log(`${NODES} nodes, ${PODS} pods`);
console.log(
  `${"case".padEnd(30)}${"us/pod".padStart(10)}${"pods/s".padStart(10)}${"floor".padStart(8)}${"ratio".padStart(8)}`,
);
for (const one of CASES) {
  const micros = run(one);
  const rate = 1e6 / micros;
  console.log(
    one.name.padEnd(30) +
      micros.toFixed(1).padStart(10) +
      Math.round(rate).toString().padStart(10) +
      String(one.floor).padStart(8) +
      `${Math.round(rate / one.floor)}x`.padStart(8),
  );
}

/** From the scheduler's start to the last binding, in ms; etcd is a stand-in in memory. */
async function throughApiServer(): Promise<number> {
  const world = nodeWorld();
  const { clock, random } = world;
  await using harness = await startServer(world);
  const admin = harness.client();
  await admin.create(serviceAccounts, { metadata: { name: "default", namespace: "default" } });
  for (const one of nodes()) {
    await admin.create(nodeResource, { ...one, metadata: { name: one.metadata.name, labels: one.metadata.labels } });
  }
  for (let i = 0; i < PODS; i++) {
    const { spec } = pod(`p${i}`, { ...small, spec: { tolerations: [{ operator: "Exists" }] } });
    await admin.create(podResource, {
      metadata: { name: `p${i}`, namespace: "default" },
      spec: { ...spec, automountServiceAccountToken: false },
    });
  }
  const client = harness.client({ name: "system:kube-scheduler", groups: ["system:authenticated"] });
  const informers = createInformers({ client, clock, random, log: silent });
  const broadcaster = createEventBroadcaster({ client, clock, random, log: silent });
  const events = broadcaster.recorder("default-scheduler");
  const scheduler = createScheduler({ client, informers, clock, random, log: silent, metrics: new Metrics(), events });
  const stop = new AbortController();
  let bound = 0;
  let start = 0;
  const done = Promise.withResolvers<void>();
  informers.of(podResource, { fieldSelector: "status.phase!=Succeeded,status.phase!=Failed" }).subscribe({
    update(old, { spec }) {
      if (old.spec.nodeName === undefined && spec.nodeName !== undefined && ++bound === PODS) done.resolve();
    },
  });
  const running = Promise.all([
    informers.run(stop.signal, () => {}),
    broadcaster.run(stop.signal),
    scheduler.run(stop.signal, () => (start = performance.now())),
  ]);
  await done.promise;
  const took = performance.now() - start;
  stop.abort();
  await running;
  return took;
}

const rate = Math.round((PODS / (await throughApiServer())) * 1000);
console.log(
  `${"basic, through the API server".padEnd(30)}${"".padStart(10)}${String(rate).padStart(10)}${"270".padStart(8)}${`${Math.round(rate / 270)}x`.padStart(8)}`,
);
process.exit(0);
