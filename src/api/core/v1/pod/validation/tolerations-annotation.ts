/**
 * Tolerations written as an annotation, with Go's words for what can't be read.
 * Upstream: pkg/apis/core/helper/helpers.go (GetTolerationsFromPodAnnotations)
 */
import { parseJson } from "../../../../../machinery/codec/json.ts";
import type { Toleration } from "../../../../generated/core.v1.ts";

const FIELDS = ["key", "operator", "value", "effect", "tolerationSeconds"] as const;

/** The tolerations, or why there are none. */
export function parseTolerations(text: string): readonly Toleration[] | string {
  let tree: unknown;
  try {
    tree = parseJson(text);
  } catch (error) {
    return (error as Error).message;
  }
  if (tree === null) return [];
  if (!Array.isArray(tree)) return `json: cannot unmarshal ${kindOf(tree)} into Go value of type []core.Toleration`;
  const tolerations: Toleration[] = [];
  for (const one of tree as unknown[]) {
    if (one !== null && kindOf(one) !== "object")
      return `json: cannot unmarshal ${kindOf(one)} into Go value of type core.Toleration`;
    const given = Object.entries(one ?? {});
    const toleration: Record<string, unknown> = {};
    for (const field of FIELDS) {
      // Go looks for its own names, in any case.
      const value: unknown = given.findLast(([name]) => name.toLowerCase() === field.toLowerCase())?.[1];
      if (value === undefined || value === null) continue;
      const wanted = field === "tolerationSeconds" ? "number" : "string";
      if (kindOf(value) !== wanted) return wrongType(kindOf(value), field);
      toleration[field] = value;
    }
    tolerations.push(toleration as Toleration);
  }
  return tolerations;
}

function wrongType(kind: string, field: string): string {
  const name = `${field[0]!.toUpperCase()}${field.slice(1)}`;
  const types: Readonly<Record<string, string>> = {
    operator: "core.TolerationOperator",
    effect: "core.TaintEffect",
    tolerationSeconds: "int64",
  };
  return `json: cannot unmarshal ${kind} into Go struct field Toleration.${name} of type ${types[field] ?? "string"}`;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
