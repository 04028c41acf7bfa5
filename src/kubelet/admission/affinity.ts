/** Whether a node is one that a pod asks for. Pure. Upstream: component-helpers/scheduling/corev1/nodeaffinity */
import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from "../../api/generated/core.v1.ts";

export function nodeMatches(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => termMatches(term, node));
}

function termMatches(term: NodeSelectorTerm, node: Node): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false; // An empty term matches nothing.
  const labels = node.metadata.labels ?? {};
  return (
    expressions.every((requirement) => requirementHolds(requirement, labels[requirement.key])) &&
    fields.every((requirement) =>
      requirementHolds(requirement, requirement.key === "metadata.name" ? node.metadata.name : undefined),
    )
  );
}

function requirementHolds({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
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
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
