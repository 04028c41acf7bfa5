/** Upstream: pkg/apis/autoscaling/validation/validation.go */
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
import { checkNonNegative, checkOptionalWord, checkRequiredText } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isPathSegmentName } from "../../../../machinery/validation/names.ts";
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from "../../../generated/autoscaling.v2.ts";
import { validateContainerResourceName } from "../../../core/v1/pod/validation/resources.ts";

/** Zero is for those who have the gate, or had it. */
export function validateAutoscaler({ spec }: HorizontalPodAutoscaler, { gate, old }: Leniency): FieldError[] {
  const errors: FieldError[] = [];
  const { minReplicas, maxReplicas = 0, metrics = [], behavior } = spec;
  const least = gate || old?.spec.minReplicas === 0 ? 0 : 1;
  if (minReplicas !== undefined && minReplicas < least)
    errors.push(invalid("spec.minReplicas", minReplicas, `must be greater than or equal to ${least}`));
  if (maxReplicas === 0) errors.push(required("spec.maxReplicas", "must be set and greater than 0"));
  else if (maxReplicas < 1) errors.push(invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to 1"));
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`"));
  errors.push(...validateReference(spec.scaleTargetRef, "spec.scaleTargetRef"));
  const { apiVersion = "", kind } = spec.scaleTargetRef ?? {};
  if (!apiVersion.includes("/") && kind !== "ReplicationController")
    errors.push(invalid("spec.scaleTargetRef.apiVersion", apiVersion, "apiVersion must specify API group"));
  for (const [i, metric] of metrics.entries()) errors.push(...validateMetric(metric, `spec.metrics[${i}]`));
  if (minReplicas === 0 && !metrics.some(({ type }) => type === "Object" || type === "External"))
    errors.push(
      fieldForbidden(
        "spec.metrics",
        "must specify at least one Object or External metric to support scaling to zero replicas",
      ),
    );
  errors.push(...validateRules(behavior?.scaleUp, "spec.behavior.scaleUp"));
  errors.push(...validateRules(behavior?.scaleDown, "spec.behavior.scaleDown"));
  return errors;
}

interface Leniency {
  /** HPAScaleToZero. */
  readonly gate: boolean;
  readonly old?: HorizontalPodAutoscaler;
}

export function validateAutoscalerStatus({ status }: HorizontalPodAutoscaler): FieldError[] {
  return [
    ...checkNonNegative(status?.currentReplicas, "status.currentReplicas"),
    ...checkNonNegative(status?.desiredReplicas, "status.desiredReplicas"),
  ];
}

function validateReference(reference: CrossVersionObjectReference, path: string): FieldError[] {
  const errors = [
    ...checkRequiredText(reference?.kind, `${path}.kind`, isPathSegmentName),
    ...checkRequiredText(reference?.name, `${path}.name`, isPathSegmentName),
  ];
  const apiVersion = reference?.apiVersion ?? "";
  if (apiVersion.split("/").length > 2)
    errors.push(invalid(`${path}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  return errors;
}

const SOURCES = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;
type Source = (typeof SOURCES)[keyof typeof SOURCES];
/** The order in which they are looked at. */
const SEEN: readonly Source[] = ["object", "external", "pods", "resource", "containerResource"];

function validateMetric(metric: MetricSpec, path: string): FieldError[] {
  const known = metric.type in SOURCES;
  const errors: FieldError[] = [];
  const unknown = () => notSupported(`${path}.type`, metric.type ?? "", Object.keys(SOURCES));
  if (!metric.type) errors.push(required(`${path}.type`, "must specify a metric source type"));
  if (!known) errors.push(unknown());
  const wanted = known ? SOURCES[metric.type as keyof typeof SOURCES] : undefined;
  const given = SEEN.filter((source) => metric[source] !== undefined);
  // Only the first is looked into.
  errors.push(...given.slice(0, 1).flatMap((source) => validateSource(metric, source, `${path}.${source}`)));
  if (wanted === undefined) errors.push(unknown());
  else if (metric[wanted] === undefined)
    errors.push(required(`${path}.${wanted}`, "must populate information for the given metric source"));
  if (given.length > 1)
    for (const source of given)
      if (source !== wanted)
        errors.push(fieldForbidden(`${path}.${source}`, "must populate the given metric source only"));
  return errors;
}

function validateSource(metric: MetricSpec, source: Source, path: string): FieldError[] {
  if (source === "resource" && metric.resource !== undefined)
    return [
      ...checkRequiredText(metric.resource.name, `${path}.name`, () => [], "must specify a resource name"),
      ...validateTarget(metric.resource.target, `${path}.target`),
      ...eitherUtilizationOrValue(metric.resource.target, `${path}.target`),
    ];
  if (source === "containerResource" && metric.containerResource !== undefined) {
    const { name, container, target } = metric.containerResource;
    return [
      ...(name
        ? validateContainerResourceName(name, `${path}.name`)
        : [required(`${path}.name`, "must specify a resource name")]),
      ...checkRequiredText(container, `${path}.container`, isDns1123Label, "must specify a container"),
      ...validateTarget(target, `${path}.target`),
      ...eitherUtilizationOrValue(target, `${path}.target`),
    ];
  }
  if (source === "pods" && metric.pods !== undefined)
    return [
      ...validateIdentifier(metric.pods.metric, `${path}.metric`),
      ...validateTarget(metric.pods.target, `${path}.target`),
      ...(metric.pods.target?.averageValue !== undefined
        ? []
        : [required(`${path}.target.averageValue`, "must specify a positive target averageValue")]),
    ];
  if (source === "object" && metric.object !== undefined) {
    const { describedObject, metric: identifier, target } = metric.object;
    return [
      ...validateReference(describedObject, `${path}.describedObject`),
      ...validateIdentifier(identifier, `${path}.metric`),
      ...validateTarget(target, `${path}.target`),
      ...(target?.value === undefined && target?.averageValue === undefined
        ? [required(`${path}.target.averageValue`, "must set either a target value or averageValue")]
        : []),
    ];
  }
  if (source === "external" && metric.external !== undefined) {
    const { metric: identifier, target } = metric.external;
    const errors = [...validateIdentifier(identifier, `${path}.metric`), ...validateTarget(target, `${path}.target`)];
    if (target?.value === undefined && target?.averageValue === undefined)
      errors.push(
        required(`${path}.target.averageValue`, "must set either a target value for metric or a per-pod target"),
      );
    if (target?.value !== undefined && target.averageValue !== undefined)
      errors.push(
        fieldForbidden(`${path}.target.value`, "may not set both a target value for metric and a per-pod target"),
      );
    return errors;
  }
  return [];
}

function validateIdentifier(identifier: MetricIdentifier, path: string): FieldError[] {
  return checkRequiredText(identifier?.name, `${path}.name`, isPathSegmentName, "must specify a metric name");
}

const isPositive = (text: string | undefined): boolean => text !== undefined && (parseQuantity(text)?.nano ?? 0n) > 0n;

function validateTarget(target: MetricTarget | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const type = target?.type ?? "";
  if (type === "") errors.push(required(`${path}.type`, "must specify a metric target type"));
  if (!["Utilization", "Value", "AverageValue"].includes(type))
    errors.push(invalid(`${path}.type`, type, "must be either Utilization, Value, or AverageValue"));
  if (target?.value !== undefined && !isPositive(target.value))
    errors.push(invalid(`${path}.value`, target.value, "must be positive"));
  if (target?.averageUtilization !== undefined && target.averageUtilization < 1)
    errors.push(invalid(`${path}.averageUtilization`, target.averageUtilization, "must be greater than 0"));
  if (target?.averageValue !== undefined && !isPositive(target.averageValue))
    errors.push(invalid(`${path}.averageValue`, target.averageValue, "must be positive"));
  return errors;
}

function eitherUtilizationOrValue(target: MetricTarget | undefined, path: string): FieldError[] {
  const { averageUtilization, averageValue } = target ?? {};
  if (averageUtilization === undefined && averageValue === undefined)
    return [required(`${path}.averageUtilization`, "must set either a target raw value or a target utilization")];
  if (averageUtilization !== undefined && averageValue !== undefined)
    return [fieldForbidden(`${path}.averageValue`, "may not set both a target raw value and a target utilization")];
  return [];
}

function validateRules(rules: HPAScalingRules | undefined, path: string): FieldError[] {
  if (rules === undefined) return [];
  const errors: FieldError[] = [];
  const { stabilizationWindowSeconds: seconds = 0, policies = [] } = rules;
  if (seconds < 0)
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, seconds, "must be greater than or equal to zero"));
  if (seconds > 3600)
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, seconds, "must be less than or equal to 3600"));
  errors.push(...checkOptionalWord(rules.selectPolicy, `${path}.selectPolicy`, ["Disabled", "Max", "Min"]));
  if (policies.length === 0) errors.push(required(`${path}.policies`, "must specify at least one Policy"));
  if (rules.tolerance !== undefined && (parseQuantity(rules.tolerance)?.nano ?? 0n) < 0n)
    errors.push(invalid(`${path}.tolerance`, rules.tolerance, "must be greater than or equal to 0"));
  for (const [i, { type, value, periodSeconds }] of policies.entries()) {
    const at = `${path}.policies[${i}]`;
    if (type !== "Pods" && type !== "Percent") errors.push(notSupported(`${at}.type`, type, ["Percent", "Pods"]));
    if (value <= 0) errors.push(invalid(`${at}.value`, value, "must be greater than zero"));
    if (periodSeconds <= 0) errors.push(invalid(`${at}.periodSeconds`, periodSeconds, "must be greater than zero"));
    if (periodSeconds > 1800)
      errors.push(invalid(`${at}.periodSeconds`, periodSeconds, "must be less than or equal to 1800"));
  }
  return errors;
}
