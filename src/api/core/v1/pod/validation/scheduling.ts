/**
 * Where a pod may run: tolerations, affinity, topology spread.
 * Upstream: pkg/apis/core/validation/validation.go
 */
import { checkOptionalWord, checkText, validateLabelSelector } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isQualifiedName,
} from "../../../../../machinery/validation/names.ts";
import type {
  Affinity,
  NodeSelector,
  NodeSelectorTerm,
  PodAffinityTerm,
  Taint,
  Toleration,
  TopologySpreadConstraint,
} from "../../../../generated/core.v1.ts";

import type { PodRules } from "./rules.ts";

const EFFECTS: readonly string[] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function validateTolerations(
  tolerations: readonly Toleration[],
  path: string,
  { allowComparison = false }: { readonly allowComparison?: boolean } = {},
): FieldError[] {
  return tolerations.flatMap((toleration, i) => validateToleration(toleration, `${path}[${i}]`, allowComparison));
}

function validateToleration(toleration: Toleration, path: string, allowComparison: boolean): FieldError[] {
  const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
  const errors: FieldError[] = [];
  if (key !== "") errors.push(...checkText(key, `${path}.key`, isQualifiedName));
  if (key === "" && operator !== "Exists")
    errors.push(
      invalid(
        `${path}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  if (tolerationSeconds !== undefined && effect !== "NoExecute")
    errors.push(invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  switch (operator) {
    case "":
    case "Equal": {
      const messages = isLabelValue(value);
      if (messages.length > 0) errors.push(invalid(`${path}.operator`, value, messages.join(";")));
      break;
    }
    case "Exists":
      if (value !== "")
        errors.push(invalid(`${path}.operator`, value, "value must be empty when `operator` is 'Exists'"));
      break;
    case "Lt":
    case "Gt":
      if (allowComparison) errors.push(...checkInteger(value, `${path}.value`));
      else errors.push(notSupported(`${path}.operator`, operator, ["Equal", "Exists", "Lt", "Gt"]));
      break;
    default:
      errors.push(notSupported(`${path}.operator`, operator, ["Equal", "Exists"]));
  }
  if (effect !== "" && !EFFECTS.includes(effect)) errors.push(notSupported(`${path}.effect`, effect, EFFECTS));
  return errors;
}

/** A number that fits 64 bits, written the one right way. */
function checkInteger(value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (value === "") errors.push(invalid(path, value, "must be non-empty"));
  else if (!/^(0|-?[1-9][0-9]*)$/.test(value))
    errors.push(invalid(path, value, "must be a valid decimal integer in canonical form"));
  const parsing = `strconv.ParseInt: parsing ${JSON.stringify(value)}`;
  if (!/^[+-]?[0-9]+$/.test(value)) errors.push(invalid(path, value, `${parsing}: invalid syntax`));
  else if (BigInt.asIntN(64, BigInt(value)) !== BigInt(value))
    errors.push(invalid(path, value, `${parsing}: value out of range`));
  return errors;
}

export function validateTaints(taints: readonly Taint[], path: string): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, i) => {
    const at = `${path}[${i}]`;
    const errors = checkText(taint.key ?? "", `${at}.key`, isQualifiedName);
    const messages = isLabelValue(taint.value ?? "");
    if (messages.length > 0) errors.push(invalid(`${at}.value`, taint.value, messages.join(";")));
    if (!taint.effect) errors.push(required(`${at}.effect`));
    else if (!EFFECTS.includes(taint.effect)) errors.push(notSupported(`${at}.effect`, taint.effect, EFFECTS));
    const pair = `${taint.key}:${taint.effect}`;
    if (seen.has(pair)) {
      const shown = {
        Key: taint.key,
        Value: taint.value ?? "",
        Effect: taint.effect,
        TimeAdded: taint.timeAdded ?? null,
      };
      const error = duplicate(at, shown);
      errors.push({ ...error, message: `${error.message}: taints must be unique by key and effect pair` });
    }
    seen.add(pair);
    return errors;
  });
}

export interface Leniency {
  /** The stored object has such values already. */
  readonly allowInvalidLabelValues: boolean;
}

export function validateNodeSelector(selector: NodeSelector, path: string, leniency: Leniency): FieldError[] {
  const terms = selector.nodeSelectorTerms ?? [];
  if (terms.length === 0) return [required(`${path}.nodeSelectorTerms`, "must have at least one node selector term")];
  return terms.flatMap((term, i) => validateNodeSelectorTerm(term, `${path}.nodeSelectorTerms[${i}]`, leniency));
}

function validateNodeSelectorTerm(
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
  path: string,
  { allowInvalidLabelValues }: Leniency,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, { key, operator, values = [] }] of matchExpressions.entries()) {
    const at = `${path}.matchExpressions[${i}]`;
    switch (operator) {
      case "In":
      case "NotIn":
        if (values.length === 0)
          errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case "Exists":
      case "DoesNotExist":
        if (values.length > 0)
          errors.push(
            fieldForbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        break;
      case "Gt":
      case "Lt":
        if (values.length !== 1)
          errors.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        break;
      default:
        errors.push(invalid(`${at}.operator`, operator ?? "", "not a valid selector operator"));
    }
    errors.push(...checkText(key ?? "", `${at}.key`, isQualifiedName));
    if (!allowInvalidLabelValues)
      for (const [j, value] of values.entries()) errors.push(...checkText(value, `${at}.values[${j}]`, isLabelValue));
  }
  for (const [i, { key, operator, values = [] }] of matchFields.entries()) {
    const at = `${path}.matchFields[${i}]`;
    if (operator === "In" || operator === "NotIn") {
      if (values.length !== 1)
        errors.push(
          required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
        );
    } else errors.push(invalid(`${at}.operator`, operator ?? "", "not a valid selector operator"));
    if (key !== "metadata.name") errors.push(invalid(`${at}.key`, key ?? "", "not a valid field selector key"));
    else
      for (const [j, value] of values.entries())
        errors.push(...checkText(value, `${at}.values[${j}]`, isDns1123Subdomain));
  }
  return errors;
}

export function validateAffinity(affinity: Affinity | undefined, path: string, rules: PodRules): FieldError[] {
  const leniency = { allowInvalidLabelValues: rules.allowInvalidSelectorValues };
  const errors: FieldError[] = [];
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  const requiredTerms = "requiredDuringSchedulingIgnoredDuringExecution";
  const preferredTerms = "preferredDuringSchedulingIgnoredDuringExecution";
  if (nodeAffinity !== undefined) {
    const at = `${path}.nodeAffinity`;
    if (nodeAffinity[requiredTerms] !== undefined)
      errors.push(
        ...validateNodeSelector(nodeAffinity[requiredTerms], `${at}.${requiredTerms}`, {
          allowInvalidLabelValues: rules.allowInvalidNodeSelectorValues,
        }),
      );
    for (const [i, { weight, preference }] of (nodeAffinity[preferredTerms] ?? []).entries()) {
      const term = `${at}.${preferredTerms}[${i}]`;
      if (weight <= 0 || weight > 100) errors.push(invalid(`${term}.weight`, weight, "must be in the range 1-100"));
      errors.push(
        ...validateNodeSelectorTerm(preference ?? {}, `${term}.preference`, { allowInvalidLabelValues: true }),
      );
    }
  }
  for (const [name, kind] of [
    ["podAffinity", podAffinity],
    ["podAntiAffinity", podAntiAffinity],
  ] as const) {
    const at = `${path}.${name}`;
    for (const [i, term] of (kind?.[requiredTerms] ?? []).entries())
      errors.push(...validatePodAffinityTerm(term, `${at}.${requiredTerms}[${i}]`, leniency));
    for (const [i, { weight, podAffinityTerm }] of (kind?.[preferredTerms] ?? []).entries()) {
      const term = `${at}.${preferredTerms}[${i}]`;
      if (weight <= 0 || weight > 100) errors.push(invalid(`${term}.weight`, weight, "must be in the range 1-100"));
      errors.push(...validatePodAffinityTerm(podAffinityTerm, `${term}.podAffinityTerm`, leniency));
    }
  }
  return errors;
}

function validatePodAffinityTerm(term: PodAffinityTerm, path: string, leniency: Leniency): FieldError[] {
  const allowInvalidValues = leniency.allowInvalidLabelValues;
  const errors = [
    ...validateLabelSelector(term.labelSelector, `${path}.labelSelector`, { allowInvalidValues }),
    ...validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`, { allowInvalidValues }),
    ...(term.namespaces ?? []).flatMap((name) => checkText(name, `${path}.namespace`, isDns1123Label)),
  ];
  errors.push(...validateLabelKeys(term, path));
  if (!term.topologyKey) errors.push(required(`${path}.topologyKey`, "can not be empty"));
  return [...errors, ...checkText(term.topologyKey ?? "", `${path}.topologyKey`, isQualifiedName)];
}

const UNSATISFIABLE: readonly string[] = ["DoNotSchedule", "ScheduleAnyway"];

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[],
  path: string,
  rules: PodRules,
): FieldError[] {
  return constraints.flatMap((constraint, i) => {
    const at = `${path}[${i}]`;
    const errors: FieldError[] = [];
    const { maxSkew, minDomains, topologyKey, whenUnsatisfiable, labelSelector } = constraint;
    if ((maxSkew ?? 0) <= 0) errors.push(invalid(`${at}.maxSkew`, maxSkew ?? 0, "must be greater than zero"));
    if (!topologyKey) errors.push(required(`${at}.topologyKey`, "can not be empty"));
    if (!UNSATISFIABLE.includes(whenUnsatisfiable))
      errors.push(notSupported(`${at}.whenUnsatisfiable`, whenUnsatisfiable ?? "", UNSATISFIABLE));
    const again = constraints
      .slice(i + 1)
      .some((other) => other.topologyKey === topologyKey && other.whenUnsatisfiable === whenUnsatisfiable);
    if (again)
      errors.push(
        duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, `{${topologyKey ?? ""}, ${whenUnsatisfiable ?? ""}}`),
      );
    if (minDomains !== undefined) {
      if (minDomains <= 0) errors.push(invalid(`${at}.minDomains`, minDomains, "must be greater than zero"));
      if (whenUnsatisfiable !== "DoNotSchedule")
        errors.push(
          invalid(
            `${at}.minDomains`,
            minDomains,
            `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable ?? ""}`,
          ),
        );
    }
    errors.push(...checkOptionalWord(constraint.nodeAffinityPolicy, `${at}.nodeAffinityPolicy`, ["Honor", "Ignore"]));
    errors.push(...checkOptionalWord(constraint.nodeTaintsPolicy, `${at}.nodeTaintsPolicy`, ["Honor", "Ignore"]));
    errors.push(...(rules.legacySpreadKeys ? validateLegacySpreadKeys : validateLabelKeys)(constraint, at));
    if (!rules.allowInvalidSpreadSelector) errors.push(...validateLabelSelector(labelSelector, `${at}.labelSelector`));
    return errors;
  });
}

type LabelKeys = Pick<PodAffinityTerm, "labelSelector" | "matchLabelKeys" | "mismatchLabelKeys">;

/** The keys are merged into the selector when a pod is made: there each key may then occur once. */
function validateLabelKeys(
  { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] }: LabelKeys,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, keys] of Object.entries({ matchLabelKeys, mismatchLabelKeys })) {
    if (keys.length === 0) continue;
    if (labelSelector === undefined)
      errors.push(fieldForbidden(`${path}.${field}`, "must not be specified when labelSelector is not set"));
    else
      for (const [i, key] of keys.entries()) errors.push(...checkText(key, `${path}.${field}[${i}]`, isQualifiedName));
  }
  const selected = new Set(Object.keys(labelSelector?.matchLabels ?? {}));
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const index = matchLabelKeys.lastIndexOf(key);
    if (index >= 0 && selected.has(key))
      errors.push(invalid(`${path}[${index}]`, key, "exists in both matchLabelKeys and labelSelector"));
    selected.add(key);
  }
  for (const [i, key] of matchLabelKeys.entries())
    if (mismatchLabelKeys.includes(key))
      errors.push(invalid(`${path}.matchLabelKeys[${i}]`, key, "exists in both matchLabelKeys and mismatchLabelKeys"));
  return errors;
}

export const hasRepeatedKeys = (constraint: TopologySpreadConstraint): boolean =>
  validateLabelKeys(constraint, "").length > 0;

/** Before keys were merged into the selector, it had to be without any of them. */
function validateLegacySpreadKeys({ labelSelector, matchLabelKeys = [] }: LabelKeys, path: string): FieldError[] {
  const at = `${path}.matchLabelKeys`;
  if (matchLabelKeys.length === 0) return [];
  const selected = new Set([
    ...Object.keys(labelSelector?.matchLabels ?? {}),
    ...(labelSelector?.matchExpressions ?? []).map(({ key }) => key),
  ]);
  return [
    ...(labelSelector === undefined ? [fieldForbidden(at, "must not be specified when labelSelector is not set")] : []),
    ...matchLabelKeys.flatMap((key, i) => [
      ...checkText(key, `${at}[${i}]`, isQualifiedName),
      ...(selected.has(key) ? [invalid(`${at}[${i}]`, key, "exists in both matchLabelKeys and labelSelector")] : []),
    ]),
  ];
}
