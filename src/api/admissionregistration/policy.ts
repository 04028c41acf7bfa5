/**
 * What admission policies, their bindings and webhooks have in common in all versions.
 * Upstream: pkg/apis/admissionregistration/v1/defaults.go, pkg/printers
 */
import type { Mutable } from "../../base/mutable.ts";
import type { LabelSelector } from "../../machinery/meta/types.ts";
import { ifAbsent } from "../defaulting.ts";
import type { MatchResources, ParamKind, ParamRef, RuleWithOperations } from "../generated/admissionregistration.v1.ts";

type Rule = Mutable<Pick<RuleWithOperations, "scope">>;

export function defaultRules(rules: readonly Rule[] | undefined): void {
  for (const rule of rules ?? []) ifAbsent(rule, "scope", "*");
}

export function defaultMatchResources(match: Mutable<MatchResources> | undefined): void {
  if (match === undefined) return;
  ifAbsent(match, "matchPolicy", "Equivalent");
  ifAbsent(match, "namespaceSelector", {});
  ifAbsent(match, "objectSelector", {});
  defaultRules(match.resourceRules);
  defaultRules(match.excludeResourceRules);
}

export function paramKindText(kind: ParamKind | undefined): string {
  return kind === undefined ? "<unset>" : `${kind.apiVersion ?? ""}/${kind.kind ?? ""}`;
}

export function paramRefText(reference: ParamRef | undefined): string {
  if (reference?.name) return `${reference.namespace || "*"}/${reference.name}`;
  return reference?.selector === undefined ? "<unset>" : goSelector(reference.selector);
}

/** A selector as Go prints the struct. */
function goSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.keys(matchLabels)
    .sort()
    .map((key) => `${key}: ${matchLabels[key]},`)
    .join("");
  const expressions = matchExpressions
    .map(
      ({ key, operator, values = [] }) =>
        `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(" ")}],},`,
    )
    .join("");
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${expressions}},}`;
}
