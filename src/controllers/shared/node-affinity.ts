/** Whether a pod's node selector and required affinity admit a node. Upstream: staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity */
import type { Node, NodeSelectorTerm, PodSpec } from "../../api/generated/core.v1.ts";
import { matchesLabels } from "./selector.ts";

export function admitsNode({ nodeSelector, affinity }: PodSpec, node: Node): boolean {
  if (!matchesLabels(nodeSelector ?? {}, node.metadata.labels)) return false;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || (required.nodeSelectorTerms ?? []).some((term) => termMatches(term, node));
}

function termMatches({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { metadata }: Node): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matchExpressions.every(({ key, operator, values = [] }) => meets(metadata.labels?.[key], operator, values)) &&
    matchFields.every(
      ({ key, operator, values = [] }) => key === "metadata.name" && meets(metadata.name, operator, values),
    )
  );
}

function meets(value: string | undefined, operator: string, values: readonly string[]): boolean {
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
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
