/**
 * Random faults on a cluster at work, from one seed: parts are killed, nodes are lost and cut off, power goes, the network is slow and loses calls, clocks
 * jump; meanwhile deployments, stateful sets and jobs are made and changed. While it runs no pod of a stateful set runs twice and no revision goes back;
 * after the faults everything becomes what its spec says, and every acknowledged write is there.
 */
import { assert } from "../../base/assert.ts";
import type { Job } from "../../api/generated/batch.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { configMaps, deployments, jobs, pods, services, statefulSets } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import { describe } from "../../observe/pino.ts";
import { sleep } from "../../world/time.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { type SimulatedCluster, simulatedCluster } from "./cluster.ts";

export interface ChaosOptions {
  readonly seed: number | string;
  readonly forMs: number;
}

export interface ChaosResult {
  readonly faults: number;
  readonly writes: number;
  readonly changes: number;
  readonly log: readonly string[];
}

/** A run that broke a promise; `log` is what led to it. */
export class ChaosFailure extends Error {
  override readonly name = "ChaosFailure";
  readonly log: readonly string[];
  constructor(log: readonly string[], cause: unknown) {
    super(describe(cause), { cause });
    this.log = log;
  }
}

const CONVERGENCE_MS = 20 * 60_000;
const NAMESPACE = "default";

export async function runChaos({ seed, forMs }: ChaosOptions): Promise<ChaosResult> {
  const cluster = await simulatedCluster(seed, { nodes: 3 });
  const run = new Chaos(cluster);
  try {
    return await run.run(forMs);
  } catch (error) {
    throw new ChaosFailure(cluster.log, error);
  } finally {
    await cluster[Symbol.asyncDispose]().catch(() => {});
  }
}

class Chaos {
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  readonly #stop = new AbortController();
  /** What was acknowledged: the highest number written to each map, and the replicas and image that each workload was told last. */
  readonly #acknowledged = new Map<string, number>();
  #faults = 0;
  #writes = 0;
  #changes = 0;
  #failure: unknown;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.random.fork("chaos");
  }

  async run(forMs: number): Promise<ChaosResult> {
    const cluster = this.#cluster;
    cluster.onChange.add(() => this.#changes++);
    await cluster.during(() => this.#makeWorkloads());
    // Two, so that faults meet: a node is lost while the power is out, the network is slow while etcd starts.
    const actors = [
      this.#faultActor(),
      this.#faultActor(),
      this.#writer("a"),
      this.#writer("b"),
      this.#changer(),
      this.#watchTwins(),
    ];
    for (const actor of actors) actor.catch((error: unknown) => (this.#failure ??= error));
    const end = cluster.world.clock.monotonic() + forMs;
    await cluster.until(() => this.#failure !== undefined || cluster.world.clock.monotonic() >= end, forMs + 60_000);
    if (this.#failure !== undefined) throw this.#failure;
    this.#stop.abort();
    this.#heal();
    let problems: readonly string[] = ["nothing was looked at"];
    for (let waited = 0; problems.length > 0; waited += 5000) {
      assert(
        waited < CONVERGENCE_MS,
        `not as it should be ${CONVERGENCE_MS / 60_000} minutes after the faults: ${problems.join("; ")}`,
      );
      await cluster.advance(5000);
      if (this.#failure !== undefined) throw this.#failure;
      problems = this.#problems();
    }
    // And stays so.
    await cluster.advance(60_000);
    problems = this.#problems();
    assert(problems.length === 0, `no longer as it should be: ${problems.join("; ")}`);
    return { faults: this.#faults, writes: this.#writes, changes: this.#changes, log: cluster.log };
  }

  // What users do.

  async #makeWorkloads(): Promise<void> {
    const { client } = this.#cluster;
    const template = (app: string) => ({
      metadata: { labels: { app } },
      spec: { containers: [{ name: "main", image: "app:1?start=200ms&stop=1s" }] },
    });
    await client.create(deployments, {
      metadata: { name: "web", namespace: NAMESPACE },
      spec: { replicas: 4, selector: { matchLabels: { app: "web" } }, template: template("web") },
    });
    await client.create(services, {
      metadata: { name: "web", namespace: NAMESPACE },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
    });
    await client.create(statefulSets, {
      metadata: { name: "db", namespace: NAMESPACE },
      spec: { serviceName: "db", replicas: 3, selector: { matchLabels: { app: "db" } }, template: template("db") },
    });
  }

  /** Tries a call until it is answered by something other than the network. */
  async #insist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (hasReason(error, "NotFound", "AlreadyExists", "Invalid")) throw error;
        await sleep(this.#cluster.world.clock, 500, this.#stop.signal);
      }
    }
  }

  /** Counts up in a map of its own: each number that was acknowledged must be there, or a higher one. */
  async #writer(name: string): Promise<void> {
    const { client, world } = this.#cluster;
    const at = { namespace: NAMESPACE, name: `count-${name}` };
    try {
      for (let i = 0; !this.#stop.signal.aborted; i++) {
        const data = { value: String(i) };
        await this.#insist(async () => {
          try {
            await client.patch(configMaps, at, "application/merge-patch+json", { data });
          } catch (error) {
            if (!hasReason(error, "NotFound")) throw error;
            assert(
              i === 0 || !this.#acknowledged.has(name),
              `map ${name} is gone after it held ${this.#acknowledged.get(name)}`,
            );
            await client.create(configMaps, { metadata: at, data });
          }
        });
        this.#acknowledged.set(name, i);
        this.#writes++;
        await sleep(world.clock, 500 + this.#random.next() * 4000, this.#stop.signal);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  /** Scales, rolls, runs jobs, deletes pods. */
  async #changer(): Promise<void> {
    const { client, world } = this.#cluster;
    const random = world.random.fork("changer");
    const merge = "application/merge-patch+json";
    let rounds = 0;
    try {
      for (;;) {
        await sleep(world.clock, 10_000 + random.next() * 120_000, this.#stop.signal);
        rounds++;
        const pick = randomInt(random, 5);
        const number = randomInt(random, 6);
        this.#cluster.note(`change ${pick} ${number}`);
        await this.#insist(async () => {
          if (pick === 0)
            await client.patch(deployments, { namespace: NAMESPACE, name: "web" }, merge, {
              spec: { replicas: number },
            });
          if (pick === 1)
            await client.patch(statefulSets, { namespace: NAMESPACE, name: "db" }, merge, {
              spec: { replicas: number },
            });
          if (pick === 2)
            await client.patch(
              deployments,
              { namespace: NAMESPACE, name: "web" },
              "application/strategic-merge-patch+json",
              {
                spec: {
                  template: { spec: { containers: [{ name: "main", image: `app:${rounds}?start=1s&stop=2s` }] } },
                },
              },
            );
          if (pick === 3) {
            const { items } = await client.list(pods, { namespace: NAMESPACE });
            const victim = items[randomInt(random, items.length)];
            if (victim !== undefined) await client.delete(pods, { namespace: NAMESPACE, name: victim.metadata.name });
          }
          if (pick === 4) {
            await client
              .create(jobs, {
                metadata: { name: `job-${rounds}`, namespace: NAMESPACE },
                spec: {
                  completions: 2,
                  template: {
                    spec: { restartPolicy: "Never", containers: [{ name: "main", image: "exit:0?after=5s" }] },
                  },
                },
              } as unknown as Job)
              .catch((error: unknown) => {
                if (!hasReason(error, "AlreadyExists")) throw error;
              });
          }
        }).catch((error: unknown) => {
          if (!hasReason(error, "NotFound")) throw error;
        });
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  // What goes wrong.

  async #faultActor(): Promise<void> {
    const { world } = this.#cluster;
    try {
      for (;;) {
        await sleep(world.clock, 2000 + this.#random.next() * 90_000, this.#stop.signal);
        this.#faults++;
        await this.#fault();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  async #fault(): Promise<void> {
    const cluster = this.#cluster;
    const { seams, world } = cluster;
    const random = this.#random;
    const pause = (mostMs: number) => sleep(world.clock, random.next() * mostMs, this.#stop.signal);
    const node = `node-${1 + randomInt(random, 3)}`;
    switch (randomInt(random, 8)) {
      case 0: {
        const name = ["kube-controller-manager", "kube-scheduler", "kube-apiserver", "etcd"][randomInt(random, 4)]!;
        cluster.kill(name);
        await pause(30_000);
        return cluster.revive(name);
      }
      case 1: {
        cluster.kill("etcd", "kube-apiserver");
        await pause(60_000);
        return cluster.revive("etcd", "kube-apiserver");
      }
      case 2: {
        cluster.kill(`kubelet ${node}`);
        await pause(random.next() < 0.5 ? 20_000 : 600_000);
        return cluster.revive(`kubelet ${node}`);
      }
      case 3: {
        cluster.powerCut();
        await pause(20_000);
        return cluster.powerUp();
      }
      case 4: {
        cluster.note("slow network");
        seams.faults.latencyMs = [1, 50 + random.next() * 2000];
        await pause(60_000);
        seams.faults.latencyMs = [0.1, 2];
        return cluster.note("fast network");
      }
      case 5: {
        cluster.note("calls get lost");
        seams.faults.loss = random.next() * 0.3;
        await pause(60_000);
        seams.faults.loss = 0;
        return cluster.note("no call gets lost");
      }
      case 6: {
        cluster.note(`${node} is cut off`);
        seams.faults.cutOff.add(`system:node:${node}`);
        await pause(random.next() < 0.5 ? 30_000 : 600_000);
        seams.faults.cutOff.delete(`system:node:${node}`);
        return cluster.note(`${node} is back`);
      }
      default: {
        const ms = Math.round((random.next() - 0.3) * 120_000);
        cluster.note(`the clock jumps by ${ms} ms`);
        world.clock.jump(ms);
      }
    }
  }

  #heal(): void {
    const { seams } = this.#cluster;
    this.#cluster.note("the faults are over");
    seams.faults.latencyMs = [0.1, 2];
    seams.faults.loss = 0;
    seams.faults.cutOff.clear();
    this.#cluster.powerUp();
  }

  // What must hold.

  /** Two pods of one ordinal never run at once, whatever the API says: looked up in the runtimes themselves. */
  async #watchTwins(): Promise<void> {
    const { world, seams } = this.#cluster;
    try {
      for (;;) {
        const running = new Map<string, string>();
        for (const [node, runtime] of seams.liveRuntimes())
          for (const { name, uid } of runtime.running()) {
            if (!name.startsWith("db-")) continue;
            const other = running.get(name);
            assert(other === undefined || other.startsWith(uid), `${name} runs twice: ${other} and ${uid} on ${node}`);
            running.set(name, `${uid} on ${node}`);
          }
        await sleep(world.clock, 1000, this.#stop.signal);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  /** What isn't yet as it should be once the faults are over. */
  #problems(): readonly string[] {
    const cluster = this.#cluster;
    const problems: string[] = [];
    const expect = (is: boolean, what: string) => void (is || problems.push(what));
    for (const [name, least] of this.#acknowledged) {
      const [map] = cluster.stored<{ data?: Record<string, string> }>(
        `/registry/configmaps/${NAMESPACE}/count-${name}`,
      );
      assert(map !== undefined, `the acknowledged map count-${name} is gone`);
      assert(
        Number(map.data?.["value"]) >= least,
        `count-${name} holds ${map.data?.["value"]}, ${least} was acknowledged`,
      );
    }
    const all = cluster.stored<Pod>(`/registry/pods/${NAMESPACE}/`);
    const isReady = ({ status }: Pod) =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
    const owned = (app: string) => all.filter(({ metadata }) => metadata.labels?.["app"] === app);
    for (const [kind, key] of [
      ["deployment web", `/registry/deployments/${NAMESPACE}/web`],
      ["stateful set db", `/registry/statefulsets/${NAMESPACE}/db`],
    ] as const) {
      const [object] = cluster.stored<any>(key);
      const { replicas } = object.spec;
      const mine = owned(object.metadata.name);
      expect(object.status.observedGeneration === object.metadata.generation, `${kind} is not observed`);
      expect(
        (object.status.readyReplicas ?? 0) === replicas,
        `${kind}: ${object.status.readyReplicas} of ${replicas} ready`,
      );
      expect(
        (object.status.updatedReplicas ?? 0) === replicas,
        `${kind}: ${object.status.updatedReplicas} of ${replicas} updated`,
      );
      const active = mine.filter(({ status }) => status?.phase !== "Failed" && status?.phase !== "Succeeded");
      expect(active.length === replicas && active.every(isReady), `${kind}: ${active.length} pods for ${replicas}`);
    }
    for (const job of cluster.stored<Job>(`/registry/jobs/${NAMESPACE}/`))
      expect(
        job.status?.conditions?.some(({ type, status }) => type === "Complete" && status === "True") ?? false,
        `job ${job.metadata.name}: ${JSON.stringify(job.status)}`,
      );
    for (const pod of all)
      expect(pod.metadata.deletionTimestamp === undefined, `pod ${pod.metadata.name} is still being deleted`);
    const slices = cluster.stored<any>(`/registry/endpointslices/${NAMESPACE}/web-`);
    const served = slices
      .flatMap(({ endpoints = [] }) => endpoints)
      .filter(({ conditions }: any) => conditions.ready)
      .flatMap(({ addresses }: any) => addresses)
      .sort();
    const wanted = owned("web")
      .filter(isReady)
      .map(({ status }) => status!.podIP)
      .sort();
    expect(JSON.stringify(served) === JSON.stringify(wanted), `the service has ${served.join()} for ${wanted.join()}`);
    // The runtimes hold what the API says, and nothing else.
    const uids = new Set(all.map(({ metadata }) => metadata.uid));
    for (const [node, runtime] of cluster.seams.liveRuntimes())
      for (const { name, uid } of runtime.running()) expect(uids.has(uid), `${node} runs ${name}, which nobody knows`);
    for (const node of cluster.stored<any>("/registry/minions/")) {
      expect(
        node.status.conditions.some(({ type, status }: any) => type === "Ready" && status === "True"),
        `${node.metadata.name} is not ready`,
      );
      expect((node.spec.taints ?? []).length === 0, `${node.metadata.name} is tainted`);
    }
    return problems;
  }
}
