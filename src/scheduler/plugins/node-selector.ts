/**
 * Node selector terms, as `spec.affinity.nodeAffinity` has them, and `spec.nodeSelector`.
 *
 * Upstream: staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity
 */
import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from "../../api/generated/core.v1.ts";

export interface SelectableNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type NodeMatcher = (node: SelectableNode) => boolean;

/** What the pod asks of nodes; undefined where it asks nothing. */
export function requiredOf({ spec }: Pod): NodeMatcher | undefined {
  const pairs = Object.entries(spec.nodeSelector ?? {});
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (pairs.length === 0 && required === undefined) return undefined;
  return (node) =>
    pairs.every(([key, value]) => node.labels[key] === value) && (required === undefined || matchesAny(required, node));
}

/** Any of the terms; none at all matches nothing. */
export function matchesAny({ nodeSelectorTerms }: NodeSelector, node: SelectableNode): boolean {
  return nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

export function matchesTerm(
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
  node: SelectableNode,
): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => meets(requirement, node.labels[requirement.key])) &&
    matchFields.every((requirement) => meets(requirement, requirement.key === "metadata.name" ? node.name : undefined))
  );
}

const INTEGER = /^[+-]?\d+$/;

function meets({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      if (value === undefined || values.length !== 1 || !INTEGER.test(value) || !INTEGER.test(values[0]!)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === "Gt" ? left > right : left < right;
    }
    default:
      return false;
  }
}
