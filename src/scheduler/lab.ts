/** Building blocks of scheduler tests: concise pods and nodes, and a cache with a profile around it. */
import type { Node, Pod, PodSpec, Taint } from "../api/generated/core.v1.ts";
import { deepFreeze } from "../base/mutable.ts";
import type { Draft } from "../machinery/meta/object.ts";
import type { Clock, Random } from "../world/world.ts";
import { Cache } from "./cache/cache.ts";
import { Cycle } from "./cycle.ts";
import type { PluginDefinition, Verdict } from "./framework.ts";
import { NO_LISTERS, type Listers } from "./listers.ts";
import { defaultBinder } from "./plugins/default-binder.ts";
import { PLUGINS } from "./plugins/index.ts";
import { prioritySort } from "./plugins/priority-sort.ts";
import { Profile, type ProfileConfiguration } from "./profile.ts";
import { Nominator } from "./queue/nominator.ts";

type Words<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface PodWords extends Words<{
  readonly cpu: string;
  readonly memory: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  readonly priority: number;
  readonly startTime: string;
  readonly nominated: string;
  readonly deleting: boolean;
  readonly hostPort: number;
  readonly resourceVersion: string;
}> {
  readonly spec?: Draft<PodSpec>;
}

export function pod(name: string, words: PodWords = {}): Pod {
  const {
    cpu,
    memory,
    namespace = "default",
    labels,
    node,
    priority,
    startTime,
    nominated,
    deleting,
    hostPort,
  } = words;
  const requests = { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
  const ports = hostPort === undefined ? {} : { ports: [{ containerPort: hostPort, hostPort, protocol: "TCP" }] };
  return deepFreeze({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      resourceVersion: words.resourceVersion ?? "1",
      ...(labels && { labels }),
      ...(deleting && { deletionTimestamp: "2030-01-01T00:00:00Z" }),
    },
    spec: {
      containers: [
        { name: "c", image: "i", ...ports, ...(Object.keys(requests).length > 0 && { resources: { requests } }) },
      ],
      schedulerName: "default-scheduler",
      ...(node !== undefined && { nodeName: node }),
      ...(priority !== undefined && { priority }),
      ...words.spec,
    },
    status: {
      ...(startTime !== undefined && { startTime }),
      ...(nominated !== undefined && { nominatedNodeName: nominated }),
    },
  }) as unknown as Pod;
}

export interface NodeWords extends Words<{
  readonly cpu: string;
  readonly memory: string;
  readonly pods: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: string;
  readonly taints: readonly Taint[];
  readonly unschedulable: boolean;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly images: Readonly<Record<string, number>>;
}> {}

export function node(name: string, words: NodeWords = {}): Node {
  const { cpu = "4", memory = "8Gi", pods = "110", labels, zone, taints, unschedulable, allocatable, images } = words;
  return deepFreeze({
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      labels: {
        "kubernetes.io/hostname": name,
        ...(zone !== undefined && { "topology.kubernetes.io/zone": zone }),
        ...labels,
      },
    },
    spec: { ...(taints && { taints }), ...(unschedulable && { unschedulable }) },
    status: {
      allocatable: { cpu, memory, pods, ...allocatable },
      images: Object.entries(images ?? {}).map(([image, sizeBytes]) => ({ names: [image], sizeBytes })),
    },
  }) as unknown as Node;
}

/** Always draws the least. */
export const STEADY: Random = { next: () => 0, bytes: (length) => new Uint8Array(length), fork: () => STEADY };

export interface LabOptions {
  readonly plugins?: readonly PluginDefinition[];
  readonly configuration?: ProfileConfiguration;
  readonly listers?: Partial<Listers>;
}

/** A cluster of the mind: what the plugins say of it. */
export class Lab {
  readonly cache = new Cache();
  readonly nominator = new Nominator();
  readonly profile: Profile;
  readonly cycle: Cycle;

  constructor(objects: readonly (Node | Pod)[], options: LabOptions = {}) {
    const { plugins = PLUGINS, configuration, listers } = options;
    const needed = [prioritySort, defaultBinder].filter((plugin) => !plugins.includes(plugin));
    const handle = {
      cache: this.cache,
      listers: { ...NO_LISTERS, ...listers },
      client: { createSubresource: async () => ({}) },
    };
    this.profile = new Profile(handle, configuration, [...plugins, ...needed]);
    this.cycle = new Cycle(this.cache, this.profile, this.nominator, STEADY);
    for (const object of objects) {
      if (object.kind === "Node") this.cache.addNode(object as Node);
      else this.cache.setPod(object as Pod);
    }
  }

  /** By node: the reasons against it, the unresolvable ones marked with "!", or "fits". */
  filter(target: Pod): Readonly<Record<string, string>> {
    const info = this.cache.podInfo(target);
    return Object.fromEntries(this.cache.nodes.map((one) => [one.name, describe(this.cycle.verdictOn(info, one))]));
  }

  /** By node: the score of the one plugin that scores; undefined where it has nothing to say. */
  score(target: Pod): Readonly<Record<string, number>> | undefined {
    const info = this.cache.podInfo(target);
    const { nodes } = this.cache;
    const plugin = this.profile.plugins.find(({ score }) => score !== undefined);
    const scores = new Float64Array(nodes.length);
    const scorer = plugin?.score?.(info, nodes);
    if (scorer === undefined) return undefined;
    scorer(nodes, scores);
    return Object.fromEntries(nodes.map((one, i) => [one.name, scores[i]!]));
  }
}

function describe(verdict: Verdict | undefined): string {
  if (verdict === undefined) return "fits";
  return `${verdict.unresolvable ? "!" : ""}${verdict.reasons.join("; ")}`;
}

/** Time that moves when it is told to. */
export class HandClock implements Clock {
  #now = Date.UTC(2030, 0, 1);
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  after(ms: number, run: () => void): Disposable {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }
  soon(run: () => void): void {
    queueMicrotask(run);
  }
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}
