/**
 * Rejects nodes in a topology domain that would exceed the allowed skew of matching pods, and prefers nodes in domains with few of them. Tallies
 * hold the counts, so a cycle looks at domains and candidates rather than at pods.
 * Upstream: pkg/scheduler/framework/plugins/podtopologyspread
 */
import type { Node, Pod, TopologySpreadConstraint } from "../../api/generated/core.v1.ts";
import { controllerOf } from "../../machinery/meta/object.ts";
import { jsonEqual } from "../../machinery/patch/json-value.ts";
import { LabelSelector, selectorFromLabels, selectorOf } from "../../machinery/selector/labels.ts";
import type { NodeInfo } from "../cache/node-info.ts";
import type { TallySpec } from "../cache/pod-groups.ts";
import {
  ADD,
  DELETE,
  UPDATE_NODE_LABEL,
  UPDATE_NODE_TAINT,
  UPDATE_POD_LABEL,
  UPDATE_POD_TOLERATION,
} from "../events.ts";
import { definePlugin, unresolvable, unschedulable } from "../framework.ts";
import type { Listers } from "../listers.ts";
import { requiredOf } from "../../api/core/v1/node/affinity.ts";
import { untolerated } from "../../api/core/v1/node/taints.ts";

const SKEWED = unschedulable("node(s) didn't match pod topology spread constraints");
const UNLABELLED = unresolvable("node(s) didn't match pod topology spread constraints (missing required label)");
const HOSTNAME = "kubernetes.io/hostname";

const SYSTEM_DEFAULTS: readonly TopologySpreadConstraint[] = [
  { topologyKey: HOSTNAME, whenUnsatisfiable: "ScheduleAnyway", maxSkew: 3 },
  { topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway", maxSkew: 5 },
];

export interface PodTopologySpreadArgs {
  readonly defaultingType?: "System" | "List";
  readonly defaultConstraints?: readonly TopologySpreadConstraint[];
}

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: LabelSelector;
  readonly honorsAffinity: boolean;
  readonly honorsTaints: boolean;
}

export const podTopologySpread = definePlugin<PodTopologySpreadArgs>({
  name: "PodTopologySpread",
  weight: 2,
  create({ cache, listers }, args) {
    const systemDefaults = args.defaultingType !== "List";
    const defaults = systemDefaults ? SYSTEM_DEFAULTS : (args.defaultConstraints ?? []);
    const constraintsOf = (pod: Pod, action: string): readonly Constraint[] => {
      const own = pod.spec.topologySpreadConstraints ?? [];
      if (own.length > 0) return own.filter((c) => c.whenUnsatisfiable === action).map((c) => parse(c, pod));
      const fallback = defaults.filter((c) => c.whenUnsatisfiable === action);
      if (fallback.length === 0) return [];
      const selector = defaultSelector(pod, listers);
      return selector.requirements.length === 0 ? [] : fallback.map((c) => ({ ...parse(c, pod), selector }));
    };

    return {
      retryOn: retries(constraintsOf),
      filter({ pod }) {
        const constraints = constraintsOf(pod, "DoNotSchedule");
        if (constraints.length === 0) return undefined;
        const keys = constraints.map(({ topologyKey }) => topologyKey);
        const checks = constraints.map((constraint) => {
          const tally = cache.groups.tally(tallySpec(pod, constraint, keys));
          return {
            tally,
            key: constraint.topologyKey,
            maxSkew: constraint.maxSkew,
            self: constraint.selector.matches(pod.metadata.labels) ? 1 : 0,
            least: tally.domains.size < constraint.minDomains ? 0 : tally.least,
          };
        });
        return {
          check({ labels }) {
            for (const { tally, key, maxSkew, self, least } of checks) {
              const value = labels[key];
              if (value === undefined) return UNLABELLED;
              if (tally.podsIn(value) + self - least > maxSkew) return SKEWED;
            }
            return undefined;
          },
        };
      },
      score({ pod }, feasible) {
        const constraints = constraintsOf(pod, "ScheduleAnyway");
        if (constraints.length === 0) return undefined;
        const keys = constraints.map(({ topologyKey }) => topologyKey);
        const needsAll = (pod.spec.topologySpreadConstraints ?? []).length > 0 || !systemDefaults;
        const ignored = (node: NodeInfo) => needsAll && keys.some((key) => node.labels[key] === undefined);
        const counted = needsAll ? feasible.filter((node) => !ignored(node)) : feasible;
        const parts = constraints.map((constraint) => {
          const onHost = constraint.topologyKey === HOSTNAME;
          const spec = onHost
            ? tallySpec(pod, EVERY_NODE(constraint), [])
            : tallySpec(pod, constraint, needsAll ? keys : []);
          const domains = onHost ? counted.length : valuesOf(counted, constraint.topologyKey);
          return {
            tally: cache.groups.tally(spec),
            key: constraint.topologyKey,
            weight: Math.log(domains + 2),
            base: constraint.maxSkew - 1,
          };
        });
        return (nodes, scores) => {
          let [least, most] = [Infinity, 0];
          for (let i = 0; i < nodes.length; i++) {
            const { labels } = nodes[i]!;
            if (ignored(nodes[i]!)) {
              scores[i] = -1;
              continue;
            }
            let sum = 0;
            for (const { tally, key, weight, base } of parts) {
              const value = labels[key];
              if (value !== undefined) sum += tally.podsIn(value) * weight + base;
            }
            const score = Math.round(sum);
            scores[i] = score;
            if (score < least) least = score;
            if (score > most) most = score;
          }
          for (let i = 0; i < nodes.length; i++) {
            if (scores[i] === -1) scores[i] = 0;
            else scores[i] = most === 0 ? 100 : Math.trunc((100 * (most + least - scores[i]!)) / most);
          }
        };
      },
    };
  },
});

/** On a host its own pods count, whatever the policies say of the node. */
const EVERY_NODE = (constraint: Constraint): Constraint => ({
  ...constraint,
  honorsAffinity: false,
  honorsTaints: false,
});

function parse(constraint: TopologySpreadConstraint, { metadata }: Pod): Constraint {
  const { topologyKey, maxSkew, minDomains, labelSelector, matchLabelKeys = [] } = constraint;
  const extra: Record<string, string> = {};
  for (const key of matchLabelKeys) {
    const value = metadata.labels?.[key];
    if (value !== undefined) extra[key] = value;
  }
  const selector = selectorOf(labelSelector);
  return {
    topologyKey,
    maxSkew,
    minDomains: minDomains ?? 1,
    selector: matchLabelKeys.length === 0 || selector.nothing ? selector : and(selector, selectorFromLabels(extra)),
    honorsAffinity: constraint.nodeAffinityPolicy !== "Ignore",
    honorsTaints: constraint.nodeTaintsPolicy === "Honor",
  };
}

const and = (a: LabelSelector, b: LabelSelector): LabelSelector =>
  new LabelSelector([...a.requirements, ...b.requirements]);

/** Pods of the namespace that the selector matches, on nodes with all of `keys` that the constraint's policies include. */
function tallySpec(pod: Pod, constraint: Constraint, keys: readonly string[]): TallySpec {
  const { topologyKey, selector, honorsAffinity, honorsTaints } = constraint;
  const namespace = pod.metadata.namespace ?? "";
  const required = honorsAffinity ? requiredOf(pod) : undefined;
  const { tolerations, nodeSelector, affinity } = pod.spec;
  return {
    key: JSON.stringify([
      "spread",
      namespace,
      selector.nothing ? null : selector.requirements,
      topologyKey,
      keys,
      required && [nodeSelector, affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution],
      honorsTaints && (tolerations ?? []),
    ]),
    topologyKey,
    counts: (group) => group.namespace === namespace && !group.terminating && selector.matches(group.labels),
    includes: (node) =>
      keys.every((key) => node.labels[key] !== undefined) &&
      required?.(node) !== false &&
      !(honorsTaints && untolerated(node.taints, tolerations) !== undefined),
    byNamespaceLabels: false,
  };
}

function valuesOf(nodes: readonly NodeInfo[], key: string): number {
  const values = new Set<string>();
  for (const { labels } of nodes) if (labels[key] !== undefined) values.add(labels[key]);
  return values.size;
}

/** What the pod's services and its owner select by. */
function defaultSelector({ metadata }: Pod, listers: Listers): LabelSelector {
  const namespace = metadata.namespace ?? "";
  let wanted: Record<string, string> = {};
  for (const { spec } of listers.services(namespace)) {
    const selector = spec.selector;
    if (selector === undefined || Object.keys(selector).length === 0) continue;
    if (selectorFromLabels(selector).matches(metadata.labels)) wanted = { ...wanted, ...selector };
  }
  const owner = controllerOf({ metadata });
  if (owner?.kind === "ReplicationController" && owner.apiVersion === "v1") {
    wanted = { ...wanted, ...listers.replicationController(namespace, owner.name)?.spec.selector };
  }
  const selector = selectorFromLabels(wanted);
  if (owner === undefined || !owner.apiVersion.startsWith("apps/")) return selector;
  const set =
    owner.kind === "ReplicaSet"
      ? listers.replicaSet(namespace, owner.name)
      : owner.kind === "StatefulSet"
        ? listers.statefulSet(namespace, owner.name)
        : undefined;
  return set === undefined ? selector : and(selector, selectorOf(set.spec.selector));
}

function retries(constraintsOf: (pod: Pod, action: string) => readonly Constraint[]) {
  const hard = (pod: Pod) => constraintsOf(pod, "DoNotSchedule");
  const hasKeys = (pod: Pod, node: Node) => hard(pod).every((c) => node.metadata.labels?.[c.topologyKey] !== undefined);
  const queue = "queue" as const;
  const skip = "skip" as const;
  const podHint = (pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined) => {
    const seen = (object ?? old)!;
    if (seen.metadata.uid === pod.metadata.uid) return queue;
    if (seen.metadata.namespace !== pod.metadata.namespace) return skip;
    const matters = hard(pod).some(({ selector }) => {
      if (old === undefined || object === undefined) return selector.matches(seen.metadata.labels);
      return selector.matches(old.metadata.labels) !== selector.matches(object.metadata.labels);
    });
    return matters ? queue : skip;
  };
  return [
    { resource: "AssignedPod", actions: ADD | DELETE | UPDATE_POD_LABEL, hint: podHint },
    {
      resource: "UnschedulablePod",
      actions: UPDATE_POD_LABEL | UPDATE_POD_TOLERATION,
      hint: (pod: Pod, _old: unknown, object: Node | Pod | undefined) =>
        object?.metadata.uid === pod.metadata.uid ? queue : skip,
    },
    {
      resource: "Node",
      actions: ADD | DELETE | UPDATE_NODE_LABEL | UPDATE_NODE_TAINT,
      hint(pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined) {
        if (old === undefined || object === undefined) return hasKeys(pod, (object ?? old) as Node) ? queue : skip;
        const [before, after] = [hasKeys(pod, old as Node), hasKeys(pod, object as Node)];
        if (before !== after) return queue;
        if (!after) return skip;
        const changed =
          hard(pod).some((c) => old.metadata.labels?.[c.topologyKey] !== object.metadata.labels?.[c.topologyKey]) ||
          !jsonEqual((old as Node).spec?.taints ?? [], (object as Node).spec?.taints ?? []);
        return changed ? queue : skip;
      },
    },
  ] as const;
}
