/**
 * The interface of scheduling plugins. A plugin sees the pod once per cycle and returns a function to be called for each node, so that it can
 * compute the pod's side beforehand and keep it in plain variables; if it returns none, it is not called again in that cycle.
 * Upstream: staging/src/k8s.io/kube-scheduler/framework/interface.go
 */
import type { Node, Pod } from "../api/generated/core.v1.ts";
import type { Cache } from "./cache/cache.ts";
import type { NodeInfo } from "./cache/node-info.ts";
import type { PodInfo } from "./cache/pod-info.ts";
import type { Client } from "../client/client.ts";
import type { EventResource } from "./events.ts";
import type { Listers } from "./listers.ts";
import type { QueuedPod } from "./queue/queued-pod.ts";

/** Why a pod can't be where it was refused. Verdicts are made once and shared: counting them is counting identities. */
export interface Verdict {
  readonly reasons: readonly string[];
  /** No pod that leaves the node would change it. */
  readonly unresolvable: boolean;
}

/** What a check gives where it has nothing against the node. */
export const fits = undefined;
export const unschedulable = (...reasons: readonly string[]): Verdict => ({ reasons, unresolvable: false });
export const unresolvable = (...reasons: readonly string[]): Verdict => ({ reasons, unresolvable: true });

/** What a plugin asks of nodes for one pod. */
export interface NodeFilter {
  /** Only these nodes come into question, by name. */
  readonly only?: ReadonlySet<string>;
  check?(node: NodeInfo): Verdict | undefined;
}

/** The pod fits nowhere, whatever the nodes are. */
export interface Refusal {
  readonly refused: Verdict;
}

/** Writes the score of each node, a whole number from 0 to 100, at the node's place. */
export type NodeScorer = (nodes: readonly NodeInfo[], scores: Float64Array) => void;

export type Hint = "queue" | "skip";

/** An event after which a pod that this plugin refused is worth another try. Without a hint, always. */
export interface Retry {
  readonly resource: EventResource;
  readonly actions: number;
  /** `old` is undefined for what was added, `object` for what was deleted. */
  hint?(pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined): Hint;
}

export interface Plugin {
  readonly name: string;
  readonly retryOn: readonly Retry[];
  /** Keeps a pod out of the queue. */
  preEnqueue?(pod: Pod): Verdict | undefined;
  /** Undefined where there is nothing to ask. */
  filter?(pod: PodInfo): NodeFilter | Refusal | undefined;
  /** Whether one waiting pod comes before another. Exactly one plugin says so. */
  before?(a: QueuedPod, b: QueuedPod): boolean;
  /** Writes the decision to the cluster. The first plugin that can, does. */
  bind?(pod: Pod, nodeName: string, signal: AbortSignal): Promise<void>;
  /** `feasible` are the nodes that passed. Undefined where all nodes are alike. */
  score?(pod: PodInfo, feasible: readonly NodeInfo[]): NodeScorer | undefined;
}

/** What plugins may use. */
export interface Handle {
  readonly cache: Cache;
  readonly listers: Listers;
  readonly client: Pick<Client, "createSubresource">;
}

export interface PluginDefinition<Args extends object = any> {
  readonly name: string;
  /** What its scores count for in the sum, unless the configuration says otherwise. */
  readonly weight?: number;
  create(handle: Handle, args: Args): Omit<Plugin, "name">;
}

export function definePlugin<Args extends object = object>(definition: PluginDefinition<Args>): PluginDefinition<Args> {
  return definition;
}
