/**
 * Rejects nodes that do not match the pod's node selector and required node affinity; prefers those that match its preferred terms.
 * Upstream: pkg/scheduler/framework/plugins/nodeaffinity
 */
import type { Node, NodeSelector, PreferredSchedulingTerm } from "../../api/generated/core.v1.ts";
import { ADD, UPDATE_NODE_LABEL } from "../events.ts";
import { definePlugin, unresolvable } from "../framework.ts";
import { allOf, anyOf, requiredOf } from "../../api/core/v1/node/affinity.ts";
import { byLargest } from "./normalize.ts";

const MISMATCH = unresolvable("node(s) didn't match Pod's node affinity/selector");
const ENFORCED = unresolvable("node(s) didn't match scheduler-enforced node affinity");
const CONFLICT = unresolvable("pod affinity terms conflict");

export interface NodeAffinityArgs {
  readonly addedAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector;
    readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly PreferredSchedulingTerm[];
  };
}

export const nodeAffinity = definePlugin<NodeAffinityArgs>({
  name: "NodeAffinity",
  weight: 2,
  create(_handle, { addedAffinity }) {
    const required = addedAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    const enforced = required && anyOf(required);
    const matches = (pod: Parameters<typeof requiredOf>[0], node: Node): boolean => {
      const seen = { name: node.metadata.name, labels: node.metadata.labels ?? {} };
      return enforced?.(seen) !== false && requiredOf(pod)?.(seen) !== false;
    };
    return {
      retryOn: [
        {
          resource: "Node",
          actions: ADD | UPDATE_NODE_LABEL,
          hint: (pod, old, object) =>
            matches(pod, object as Node) && (old === undefined || !matches(pod, old as Node)) ? "queue" : "skip",
        },
      ],
      filter({ pod }) {
        const required = requiredOf(pod);
        if (required === undefined && enforced === undefined) return undefined;
        const only = namesOf(pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution);
        if (only?.size === 0) return { refused: CONFLICT };
        return {
          ...(only !== undefined && { only }),
          check(node) {
            if (enforced?.(node) === false) return ENFORCED;
            return required?.(node) === false ? MISMATCH : undefined;
          },
        };
      },
      score({ pod }) {
        const terms = [
          ...(pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
          ...(addedAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
        ]
          .filter(({ weight }) => weight !== 0)
          .map(({ weight, preference }) => ({ weight, matches: allOf(preference) }));
        if (terms.length === 0) return undefined;
        return (nodes, scores) => {
          for (let i = 0; i < nodes.length; i++) {
            let sum = 0;
            for (const { weight, matches } of terms) if (matches(nodes[i]!)) sum += weight;
            scores[i] = sum;
          }
          byLargest(scores, nodes.length);
        };
      },
    };
  },
});

/** The nodes that come into question at all, where every term names its own by `metadata.name`. */
function namesOf(required: NodeSelector | undefined): ReadonlySet<string> | undefined {
  if (required === undefined || required.nodeSelectorTerms.length === 0) return undefined;
  const names = new Set<string>();
  for (const { matchFields = [] } of required.nodeSelectorTerms) {
    const named = matchFields.filter(({ key, operator }) => key === "metadata.name" && operator === "In");
    if (named.length === 0) return undefined;
    const [first, ...rest] = named.map(({ values = [] }) => values);
    for (const name of first!) if (rest.every((values) => values.includes(name))) names.add(name);
  }
  return names;
}
