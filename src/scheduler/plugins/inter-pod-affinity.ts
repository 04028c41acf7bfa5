/**
 * Filters and scores nodes by the pods near them: by the pod's own affinity and anti-affinity, and by that of the others. Near means the same value
 * of a node label; tallies count the matching pods for each value.
 * Upstream: pkg/scheduler/framework/plugins/interpodaffinity
 */
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { Labels } from "../../machinery/selector/labels.ts";
import type { NodeInfo } from "../cache/node-info.ts";
import type { Tally, TallySpec } from "../cache/pod-groups.ts";
import type { PodInfo, Term } from "../cache/pod-info.ts";
import { ADD, DELETE, UPDATE_NODE_LABEL, UPDATE_POD_LABEL } from "../events.ts";
import { definePlugin, unresolvable, unschedulable, type Handle } from "../framework.ts";

const NO_AFFINITY = unresolvable("node(s) didn't match pod affinity rules");
const ANTI_AFFINITY = unschedulable("node(s) didn't match pod anti-affinity rules");
const EXISTING_ANTI_AFFINITY = unschedulable("node(s) didn't satisfy existing pods anti-affinity rules");

export interface InterPodAffinityArgs {
  readonly hardPodAffinityWeight?: number;
  readonly ignorePreferredTermsOfExistingPods?: boolean;
}

/** A node label, and how much each of its values counts. */
interface Weighing {
  readonly key: string;
  readonly weight: number;
  podsIn(value: string): number;
}

export const interPodAffinity = definePlugin<InterPodAffinityArgs>({
  name: "InterPodAffinity",
  weight: 2,
  create(handle, { hardPodAffinityWeight = 1, ignorePreferredTermsOfExistingPods = false }) {
    const { cache } = handle;
    const matcher = termMatcher(handle);
    const tallyOf = (terms: readonly Term[], topologyKey: string): Tally =>
      cache.groups.tally(tallySpec(terms, topologyKey, matcher));

    return {
      retryOn: retries(handle, matcher),
      filter({ pod, affinity }) {
        const labels = pod.metadata.labels ?? {};
        const namespace = pod.metadata.namespace ?? "";
        const feared: Weighing[] = [];
        for (const { kind, term, pods } of cache.groups.placedTerms(namespace)) {
          if (kind !== "antiRequired" || !matcher(term, namespace, labels)) continue;
          feared.push({ key: term.topologyKey, weight: 1, podsIn: (value) => pods.get(value) ?? 0 });
        }
        const wanted = affinity?.required ?? [];
        const unwanted = affinity?.antiRequired ?? [];
        if (feared.length === 0 && wanted.length === 0 && unwanted.length === 0) return undefined;
        const near = wanted.map((term) => tallyOf(wanted, term.topologyKey));
        const away = unwanted.map((term) => tallyOf([term], term.topologyKey));
        // The first pod of a group that wants its own kind has nobody to join.
        const first =
          near.every(({ total }) => total === 0) && wanted.every((term) => matcher(term, namespace, labels));
        return {
          check(node) {
            for (const tally of near) if (node.labels[tally.spec.topologyKey] === undefined) return NO_AFFINITY;
            if (!first && near.some((tally) => tally.podsIn(node.labels[tally.spec.topologyKey]!) <= 0)) {
              return NO_AFFINITY;
            }
            for (const tally of away) {
              const value = node.labels[tally.spec.topologyKey];
              if (value !== undefined && tally.podsIn(value) > 0) return ANTI_AFFINITY;
            }
            for (const { key, podsIn } of feared) {
              const value = node.labels[key];
              if (value !== undefined && podsIn(value) > 0) return EXISTING_ANTI_AFFINITY;
            }
            return undefined;
          },
        };
      },
      score(info) {
        const weighings = [...ownWeighings(info), ...othersWeighings(info)].filter(({ weight }) => weight !== 0);
        if (weighings.length === 0) return undefined;
        return (nodes, scores) => {
          let [least, most] = [Infinity, -Infinity];
          for (let i = 0; i < nodes.length; i++) {
            const sum = weigh(nodes[i]!, weighings);
            scores[i] = sum;
            if (sum < least) least = sum;
            if (sum > most) most = sum;
          }
          const range = most - least;
          for (let i = 0; i < nodes.length; i++) {
            scores[i] = range === 0 ? 0 : Math.trunc((100 * (scores[i]! - least)) / range);
          }
        };
      },
    };

    function ownWeighings({ affinity }: PodInfo): readonly Weighing[] {
      if (affinity === undefined) return [];
      const weighing = (term: Term, weight: number): Weighing => {
        const tally = tallyOf([term], term.topologyKey);
        return { key: term.topologyKey, weight, podsIn: (value) => tally.podsIn(value) };
      };
      return [
        ...affinity.preferred.map((term) => weighing(term, term.weight)),
        ...affinity.antiPreferred.map((term) => weighing(term, -term.weight)),
      ];
    }

    function othersWeighings({ pod }: PodInfo): readonly Weighing[] {
      const labels = pod.metadata.labels ?? {};
      const namespace = pod.metadata.namespace ?? "";
      const weighings: Weighing[] = [];
      for (const { kind, term, weight, pods } of cache.groups.placedTerms(namespace)) {
        if (kind === "antiRequired") continue;
        if (kind !== "required" && ignorePreferredTermsOfExistingPods) continue;
        if (!matcher(term, namespace, labels)) continue;
        const counts = kind === "required" ? hardPodAffinityWeight : kind === "preferred" ? weight : -weight;
        weighings.push({ key: term.topologyKey, weight: counts, podsIn: (value) => pods.get(value) ?? 0 });
      }
      return weighings;
    }
  },
});

function weigh({ labels }: NodeInfo, weighings: readonly Weighing[]): number {
  let sum = 0;
  for (const { key, weight, podsIn } of weighings) {
    const value = labels[key];
    if (value !== undefined) sum += weight * podsIn(value);
  }
  return sum;
}

type TermMatcher = (term: Term, namespace: string, labels: Labels) => boolean;

function termMatcher({ listers }: Handle): TermMatcher {
  return ({ namespaces, namespaceSelector, selector }, namespace, labels) =>
    (namespaces.has(namespace) ||
      namespaceSelector?.matches(listers.namespace(namespace)?.metadata.labels ?? {}) === true) &&
    selector.matches(labels);
}

/** Pods that match all of the terms. */
function tallySpec(terms: readonly Term[], topologyKey: string, matcher: TermMatcher): TallySpec {
  return {
    key: `affinity\0${topologyKey}\0${terms.map(({ key }) => key).join("\0")}`,
    topologyKey,
    counts: ({ namespace, labels }) => terms.every((term) => matcher(term, namespace, labels)),
    includes: () => true,
    byNamespaceLabels: terms.some(({ namespaceSelector }) => namespaceSelector !== undefined),
  };
}

function retries({ cache }: Handle, matcher: TermMatcher) {
  const queue = "queue" as const;
  const skip = "skip" as const;
  const matchesAll = (terms: readonly Term[], pod: Pod) =>
    terms.length > 0 && terms.every((term) => matcher(term, pod.metadata.namespace ?? "", pod.metadata.labels ?? {}));
  return [
    {
      resource: "UnschedulablePod",
      actions: UPDATE_POD_LABEL,
      hint: (pod: Pod, _old: unknown, object: Node | Pod | undefined) =>
        object?.metadata.uid === pod.metadata.uid ? queue : skip,
    },
    {
      resource: "AssignedPod",
      actions: ADD | DELETE | UPDATE_POD_LABEL,
      hint(pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined) {
        const { required = [], antiRequired = [] } = cache.podInfo(pod).affinity ?? {};
        const [before, after] = [old as Pod | undefined, object as Pod | undefined];
        if (before !== undefined && after !== undefined) {
          if (!matchesAll(required, before) && matchesAll(required, after)) return queue;
          return matchesAll(antiRequired, before) && !matchesAll(antiRequired, after) ? queue : skip;
        }
        if (after !== undefined) return matchesAll(required, after) ? queue : skip;
        if (matchesAll(antiRequired, before!)) return queue;
        return matchesAll(cache.podInfo(before!).affinity?.antiRequired ?? [], pod) ? queue : skip;
      },
    },
    {
      resource: "Node",
      actions: ADD | UPDATE_NODE_LABEL,
      hint(pod: Pod, old: Node | Pod | undefined, object: Node | Pod | undefined) {
        const { required = [], antiRequired = [] } = cache.podInfo(pod).affinity ?? {};
        const labels = object!.metadata.labels ?? {};
        if (old === undefined) {
          return antiRequired.length > 0 || required.some((term) => labels[term.topologyKey] !== undefined)
            ? queue
            : skip;
        }
        const before = old.metadata.labels ?? {};
        const changed = (term: Term) => labels[term.topologyKey] !== before[term.topologyKey];
        const gained = required.some((term) => labels[term.topologyKey] !== undefined && changed(term));
        return gained || antiRequired.some(changed) ? queue : skip;
      },
    },
  ] as const;
}
