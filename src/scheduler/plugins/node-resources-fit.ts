/**
 * Rejects nodes without enough room for the pod, and prefers those with the most room left (or the least, or as a shape says).
 * Upstream: pkg/scheduler/framework/plugins/noderesources
 */
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { Columns, NodeInfo } from "../cache/node-info.ts";
import type { PodInfo } from "../cache/pod-info.ts";
import { ADD, DELETE, UPDATE_NODE_ALLOCATABLE, UPDATE_POD_SCALE_DOWN } from "../events.ts";
import { definePlugin, fits, unresolvable, unschedulable, type Handle, type Verdict } from "../framework.ts";

interface WeightedResource {
  readonly name: string;
  readonly weight: number;
}
export interface NodeResourcesFitArgs {
  readonly ignoredResources?: readonly string[];
  readonly ignoredResourceGroups?: readonly string[];
  readonly scoringStrategy?: {
    readonly type: "LeastAllocated" | "MostAllocated" | "RequestedToCapacityRatio";
    readonly resources?: readonly WeightedResource[];
    readonly requestedToCapacityRatio?: {
      readonly shape: readonly { readonly utilization: number; readonly score: number }[];
    };
  };
}

const CPU_AND_MEMORY: readonly WeightedResource[] = [
  { name: "cpu", weight: 1 },
  { name: "memory", weight: 1 },
];
const TOO_MANY_PODS = 1;
const CPU = 2;
const MEMORY = 4;
const EPHEMERAL_STORAGE = 8;
const BASIC: readonly (readonly [bit: number, reason: string])[] = [
  [TOO_MANY_PODS, "Too many pods"],
  [CPU, "Insufficient cpu"],
  [MEMORY, "Insufficient memory"],
  [EPHEMERAL_STORAGE, "Insufficient ephemeral-storage"],
];

export const nodeResourcesFit = definePlugin<NodeResourcesFitArgs>({
  name: "NodeResourcesFit",
  weight: 1,
  create(handle, args) {
    const strategy = args.scoringStrategy;
    const resources = strategy?.resources ?? CPU_AND_MEMORY;
    const valueOf = strategyOf(strategy);
    const verdicts = new Verdicts();
    const ignored = (name: string): boolean =>
      args.ignoredResources?.includes(name) === true ||
      args.ignoredResourceGroups?.includes(name.split("/")[0]!) === true;
    return {
      retryOn: retries(handle),
      filter(pod) {
        const { cpu, memory, ephemeralStorage, scalars } = pod.requests;
        const wanted = [...scalars].filter(([name, amount]) => amount > 0 && !(name.includes("/") && ignored(name)));
        const { columns } = handle.cache;
        return {
          check(node) {
            const { row } = node;
            let short = 0;
            let hopeless = false;
            if (node.pods.size + 1 > columns.allocatablePods[row]!) short |= TOO_MANY_PODS;
            if (cpu > 0 && cpu > columns.allocatableCpu[row]! - columns.cpu[row]!) {
              short |= CPU;
              hopeless ||= cpu > columns.allocatableCpu[row]!;
            }
            if (memory > 0 && memory > columns.allocatableMemory[row]! - columns.memory[row]!) {
              short |= MEMORY;
              hopeless ||= memory > columns.allocatableMemory[row]!;
            }
            if (
              ephemeralStorage > 0 &&
              ephemeralStorage > columns.allocatableEphemeralStorage[row]! - columns.ephemeralStorage[row]!
            ) {
              short |= EPHEMERAL_STORAGE;
              hopeless ||= ephemeralStorage > columns.allocatableEphemeralStorage[row]!;
            }
            if (wanted.length === 0) return short === 0 ? fits : verdicts.of(short, "", hopeless);
            let missing = "";
            for (const [name, amount] of wanted) {
              const allocatable = node.allocatableScalars.get(name) ?? 0;
              if (amount <= allocatable - (node.scalars.get(name) ?? 0)) continue;
              missing += `\0${name}`;
              hopeless ||= amount > allocatable;
            }
            return short === 0 && missing === "" ? fits : verdicts.of(short, missing, hopeless);
          },
        };
      },
      score(pod) {
        const { columns } = handle.cache;
        return (nodes, scores) => {
          for (let i = 0; i < nodes.length; i++) scores[i] = scoreNode(nodes[i]!, pod, resources, columns, valueOf);
        };
      },
    };
  },
});

/** One verdict for each set of reasons, so that equal ones are one object. */
class Verdicts {
  readonly #made = new Map<string, Verdict>();

  of(short: number, missing: string, hopeless: boolean): Verdict {
    const key = `${short}${hopeless ? "!" : ""}${missing}`;
    let verdict = this.#made.get(key);
    if (verdict === undefined) {
      const names = missing === "" ? [] : missing.slice(1).split("\0");
      const reasons = [
        ...BASIC.filter(([bit]) => (short & bit) !== 0).map(([, reason]) => reason),
        ...names.map((name) => `Insufficient ${name}`),
      ];
      this.#made.set(key, (verdict = hopeless ? unresolvable(...reasons) : unschedulable(...reasons)));
    }
    return verdict;
  }
}

type Valuation = (requested: number, allocatable: number) => number;

function scoreNode(
  node: NodeInfo,
  pod: PodInfo,
  resources: readonly WeightedResource[],
  columns: Columns,
  valueOf: Valuation,
): number {
  const { row } = node;
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of resources) {
    let allocatable: number;
    let requested: number;
    if (name === "cpu") {
      allocatable = columns.allocatableCpu[row]!;
      requested = columns.nonZeroCpu[row]! + pod.nonZeroCpu;
    } else if (name === "memory") {
      allocatable = columns.allocatableMemory[row]!;
      requested = columns.nonZeroMemory[row]! + pod.nonZeroMemory;
    } else if (name === "ephemeral-storage") {
      allocatable = columns.allocatableEphemeralStorage[row]!;
      requested = columns.ephemeralStorage[row]! + pod.requests.ephemeralStorage;
    } else {
      const asked = pod.requests.scalars.get(name) ?? 0;
      if (asked === 0) continue;
      allocatable = node.allocatableScalars.get(name) ?? 0;
      requested = (node.scalars.get(name) ?? 0) + asked;
    }
    if (allocatable === 0) continue;
    const score = valueOf(requested, allocatable);
    if (score < 0) continue;
    sum += score * weight;
    weights += weight;
  }
  return weights === 0
    ? 0
    : valueOf === leastAllocated || valueOf === mostAllocated
      ? Math.trunc(sum / weights)
      : Math.round(sum / weights);
}

const leastAllocated: Valuation = (requested, allocatable) =>
  requested > allocatable ? 0 : Math.trunc(((allocatable - requested) * 100) / allocatable);
const mostAllocated: Valuation = (requested, allocatable) =>
  Math.trunc((Math.min(requested, allocatable) * 100) / allocatable);

/** A resource that scores nothing by a shape is left out of the mean, which the valuation says with -1. */
function strategyOf(strategy: NodeResourcesFitArgs["scoringStrategy"]): Valuation {
  if (strategy?.type === "MostAllocated") return mostAllocated;
  if (strategy?.type !== "RequestedToCapacityRatio") return leastAllocated;
  const shape = strategy.requestedToCapacityRatio?.shape ?? [];
  return (requested, allocatable) => {
    const utilization = requested > allocatable ? 100 : Math.trunc((requested * 100) / allocatable);
    const score = interpolate(shape, utilization);
    return score > 0 ? score : -1;
  };
}

function interpolate(
  shape: readonly { readonly utilization: number; readonly score: number }[],
  utilization: number,
): number {
  for (const [i, point] of shape.entries()) {
    if (utilization > point.utilization) continue;
    if (i === 0) return point.score * 10;
    const before = shape[i - 1]!;
    const rise = (point.score - before.score) * 10;
    return (
      before.score * 10 +
      Math.trunc((rise * (utilization - before.utilization)) / (point.utilization - before.utilization))
    );
  }
  return (shape.at(-1)?.score ?? 0) * 10;
}

function retries({ cache }: Handle) {
  const wants = (pod: Pod, node: Node): readonly (readonly [name: string, wanted: number, allocatable: string])[] => {
    const { cpu, memory, ephemeralStorage, scalars } = cache.podInfo(pod).requests;
    const allocatable = node.status?.allocatable ?? {};
    return [
      ["cpu", cpu] as const,
      ["memory", memory] as const,
      ["ephemeral-storage", ephemeralStorage] as const,
      ...scalars,
    ]
      .filter(([, wanted]) => wanted > 0)
      .map(([name, wanted]) => [name, wanted, allocatable[name] ?? "0"] as const);
  };
  const fitsEmpty = (pod: Pod, node: Node): boolean =>
    wants(pod, node).every(([name, wanted, allocatable]) => wanted <= cache.amount(name, allocatable));
  return [
    { resource: "AssignedPod", actions: DELETE },
    {
      resource: "AssignedPod",
      actions: UPDATE_POD_SCALE_DOWN,
    },
    {
      resource: "UnschedulablePod",
      actions: UPDATE_POD_SCALE_DOWN,
      hint: (pod: Pod, _old: unknown, object: Node | Pod | undefined) =>
        object?.metadata.uid === pod.metadata.uid ? ("queue" as const) : ("skip" as const),
    },
    {
      resource: "Node",
      actions: ADD | UPDATE_NODE_ALLOCATABLE,
      hint(pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined) {
        const node = object as Node;
        if (!fitsEmpty(pod, node)) return "skip" as const;
        if (old === undefined) return "queue" as const;
        const before = (old as Node).status?.allocatable ?? {};
        const grew = [...wants(pod, node), ["pods", 1, node.status?.allocatable?.["pods"] ?? "0"] as const].some(
          ([name, , now]) => cache.amount(name, now) > cache.amount(name, before[name] ?? "0"),
        );
        return grew ? ("queue" as const) : ("skip" as const);
      },
    },
  ] as const;
}
