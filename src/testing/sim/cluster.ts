/**
 * A whole cluster in virtual time: the same `runCluster` as `t8s up`, in a simulated world. The same seed gives the same run, and the event log, every
 * log line and every change of every stored object in order, is the same to the byte.
 */
import type { Client } from "../../client/client.ts";
import { type Cluster, type ClusterOptions, runCluster } from "../../cli/cluster.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Fields, Logger } from "../../observe/log.ts";
import { describe } from "../../observe/pino.ts";
import { TEST_SIGNING_KEY } from "./signing-key.ts";
import { SimulatedSeams } from "./seams.ts";
import { type Change, StoreLog } from "./store-log.ts";
import { type SimulatedWorld, simulatedWorld } from "./world.ts";

export interface SimulatedClusterOptions {
  readonly nodes?: number;
}

export class SimulatedCluster implements AsyncDisposable {
  readonly seed: number | string;
  readonly world: SimulatedWorld;
  readonly seams: SimulatedSeams;
  /** Every log line, every change in the store, every fault, each with its moment. */
  readonly log: string[] = [];
  readonly #stop = new AbortController();
  #cluster: Cluster | undefined;
  #store: StoreLog | undefined;
  #failure: unknown;
  /** Sees every change in the store. */
  readonly onChange = new Set<(change: Change) => void>();
  #done: Promise<void> | undefined;

  constructor(seed: number | string) {
    this.seed = seed;
    this.world = simulatedWorld(seed);
    this.seams = new SimulatedSeams(this.world);
  }

  async start({ nodes = 3 }: SimulatedClusterOptions): Promise<void> {
    const { world, seams } = this;
    const options: ClusterOptions = {
      dataDir: "/data",
      nodes: Array.from({ length: nodes }, (_, i) => `node-${i + 1}`),
      runtime: "simulated",
      serviceAccountKey: TEST_SIGNING_KEY,
      rootCa: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
      advertiseAddress: "192.0.2.10",
      clusterCidr: "10.244.0.0/16",
      serviceRange: "10.96.0.0/12",
      etcdServers: [],
      proxyMode: "none",
      dns: false,
      nameServers: [],
      containerRuntimeEndpoint: "",
      staticPodPath: "",
      staticPodUrl: "",
      kubeletPort: 0,
    };
    const progress = { step: async <T>(_title: string, work: () => Promise<T>) => work() };
    this.#done = runCluster(
      options,
      { world, seams, log: this.#logger({}), progress },
      this.#stop.signal,
      (cluster) => {
        this.#cluster = cluster;
        this.#store = new StoreLog(
          world.clock,
          () => {
            if (!seams.isReady("etcd")) throw new Error("etcd is down");
            return cluster.etcd;
          },
          (change) => this.#changed(change),
        );
        this.#store.run(this.#stop.signal).catch((error: unknown) => (this.#failure ??= error));
      },
    );
    this.#done.catch((error: unknown) => (this.#failure ??= error));
    await this.until(() => this.#cluster !== undefined, 120_000);
  }

  get client(): Client {
    return this.#cluster!.client;
  }

  /** What etcd holds. */
  get store(): StoreLog {
    return this.#store!;
  }

  /** The stored objects whose keys start with `prefix`, in the keys' order. */
  stored<T = KubeObject>(prefix: string): readonly T[] {
    return [...this.store.state.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ value }) => JSON.parse(value!) as T);
  }

  #changed(change: Change): void {
    this.note(`${change.revision} ${change.key} ${change.value ?? "deleted"}`);
    for (const listener of this.onChange) listener(change);
  }

  /** Lets time pass until `reached`; the cluster's own failure ends it. */
  async until(reached: () => boolean, limitMs: number): Promise<void> {
    await this.world.clock.until(() => this.#failure !== undefined || reached(), limitMs);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Lets time pass until `work` is done. */
  async during<T>(work: () => Promise<T>, limitMs = 60_000): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    work().then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    await this.until(() => outcome !== undefined, limitMs);
    if ("error" in outcome!) throw outcome.error;
    return (outcome as { readonly value: T }).value;
  }

  async advance(ms: number): Promise<void> {
    const end = this.world.clock.monotonic() + ms;
    let over = false;
    this.world.clock.after(ms, () => (over = true));
    await this.until(() => over || this.world.clock.monotonic() >= end, ms);
  }

  /** Everything dies at once, and the disk forgets what was not synced. */
  powerCut(): void {
    this.note("power cut");
    for (const name of this.seams.names) this.seams.kill(name);
    this.store.cut();
    this.world.fs.powerCut();
  }

  powerUp(): void {
    this.note("power up");
    for (const name of this.seams.names) this.seams.start(name);
  }

  kill(...names: readonly string[]): void {
    for (const name of names) {
      this.note(`kill ${name}`);
      this.seams.kill(name);
      if (name === "etcd") this.store.cut();
    }
  }

  revive(...names: readonly string[]): void {
    for (const name of names) {
      this.note(`start ${name}`);
      this.seams.start(name);
    }
  }

  note(text: string): void {
    this.log.push(`${this.world.clock.monotonic().toFixed(3)} ${text}`);
  }

  #logger(base: Fields): Logger {
    const write = (severity: string, message: string, fields: Fields) => {
      const { component = "t8s", ...others } = { ...base, ...fields };
      const pairs = Object.entries(others).map(([name, value]) => ` ${name}=${text(value)}`);
      this.note(`${severity} ${String(component)}] ${message}${pairs.join("")}`);
    };
    return {
      info: (message, fields = {}) => write("I", message, fields),
      warn: (message, fields = {}) => write("W", message, fields),
      error: (message, error, fields = {}) => write("E", message, { err: describe(error), ...fields }),
      v: () => ({
        info() {},
        warn() {},
        error() {},
        v: () => this.#logger(base).v(1),
        with: () => this.#logger(base).v(1),
      }),
      with: (fields) => this.#logger({ ...base, ...fields }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    let over = false;
    this.#stop.abort();
    void this.#done?.catch(() => {}).then(() => (over = true));
    await this.world.clock.until(() => over || this.#done === undefined, 600_000);
  }
}

export async function simulatedCluster(
  seed: number | string,
  options: SimulatedClusterOptions = {},
): Promise<SimulatedCluster> {
  const cluster = new SimulatedCluster(seed);
  await cluster.start(options);
  return cluster;
}

function text(value: unknown): string {
  if (value instanceof Error) return describe(value);
  const metadata = (value as { readonly metadata?: { readonly name?: string; readonly namespace?: string } } | null)
    ?.metadata;
  if (metadata?.name !== undefined) return `${metadata.namespace ?? ""}/${metadata.name}`;
  return typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "undefined");
}
