/**
 * Which nodes a pod selects: `spec.nodeSelector` and the terms of `spec.affinity.nodeAffinity`.
 * Upstream: staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity
 */
import type {
  Node,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  PodSpec,
} from "../../../generated/core.v1.ts";

export interface SelectableNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type NodeMatcher = (node: SelectableNode) => boolean;

/** Whether a pod of this spec may be on the node, as far as its own wishes go. */
export function admitsNode(spec: PodSpec, { metadata }: Node): boolean {
  return requiredOf({ spec })?.({ name: metadata.name, labels: metadata.labels ?? {} }) ?? true;
}

/** What the pod asks of nodes; undefined where it asks nothing. */
export function requiredOf({ spec }: Pick<Pod, "spec">): NodeMatcher | undefined {
  const { nodeSelector } = spec;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const pairs = Object.entries(nodeSelector ?? {});
  if (pairs.length === 0) return required && anyOf(required);
  const hasPairs: NodeMatcher = ({ labels }) => {
    for (const [key, value] of pairs) if (labels[key] !== value) return false;
    return true;
  };
  if (required === undefined) return hasPairs;
  const affine = anyOf(required);
  return (node) => hasPairs(node) && affine(node);
}

/** Any of the terms; none at all matches nothing. */
export function anyOf({ nodeSelectorTerms }: NodeSelector): NodeMatcher {
  const terms = nodeSelectorTerms.map(allOf);
  if (terms.length === 1) return terms[0]!;
  return (node) => {
    for (const term of terms) if (term(node)) return true;
    return false;
  };
}

/** All requirements of a term; without any it matches nothing. */
export function allOf({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm): NodeMatcher {
  const expressions = matchExpressions.map((requirement) => ({
    key: requirement.key,
    meets: valueMatcher(requirement),
  }));
  const fields = matchFields.map((requirement) => ({ key: requirement.key, meets: valueMatcher(requirement) }));
  if (expressions.length === 0 && fields.length === 0) return () => false;
  return ({ name, labels }) => {
    for (const { key, meets } of expressions) if (!meets(labels[key])) return false;
    for (const { key, meets } of fields) if (!meets(key === "metadata.name" ? name : undefined)) return false;
    return true;
  };
}

const INTEGER = /^[+-]?\d+$/;

function valueMatcher({ operator, values = [] }: NodeSelectorRequirement): (value: string | undefined) => boolean {
  switch (operator) {
    case "In":
      return (value) => value !== undefined && values.includes(value);
    case "NotIn":
      return (value) => value === undefined || !values.includes(value);
    case "Exists":
      return (value) => value !== undefined;
    case "DoesNotExist":
      return (value) => value === undefined;
    case "Gt":
    case "Lt": {
      const [bound] = values;
      if (values.length !== 1 || !INTEGER.test(bound!)) return () => false;
      const limit = BigInt(bound!);
      return (value) => {
        if (value === undefined || !INTEGER.test(value)) return false;
        return operator === "Gt" ? BigInt(value) > limit : BigInt(value) < limit;
      };
    }
    default:
      return () => false;
  }
}
