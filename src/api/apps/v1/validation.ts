/**
 * What the workloads of this group share: a selector that matches the template, counts that can't be negative, fields that can't change.
 * Upstream: pkg/apis/apps/validation/validation.go
 */
import {
  checkAtMostAll,
  checkIntOrPercent,
  checkNonNegative,
  checkText,
  validateLabelSelector,
} from "../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../machinery/validation/field-error.ts";
import { isDns1123Label } from "../../../machinery/validation/names.ts";
import { immutableField } from "../../../machinery/validation/object-meta.ts";
import type { LabelSelector } from "../../../machinery/meta/types.ts";
import { selectorOf } from "../../../machinery/selector/labels.ts";
import { validateClaimSpec } from "../../core/v1/persistentvolumeclaim/validation.ts";
import {
  type TemplateOrigin,
  validateTemplateMetadata,
  validateAlwaysRunning,
  validatePodTemplate,
} from "../../core/v1/pod/validation/spec.ts";
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from "../../generated/apps.v1.ts";
import type { PodTemplateSpec } from "../../generated/core.v1.ts";
import { internalValue, selectorValue, sorted } from "../../internal-value.ts";
import { semanticEqual } from "../../semantic-equal.ts";

/** Whether a selector wants these labels; a broken one has errors of its own, and is not judged here. An absent one wants nothing. */
export function matchesLabels(selector: LabelSelector | undefined, labels: Readonly<Record<string, string>>): boolean {
  try {
    return selectorOf(selector).matches(labels);
  } catch {
    return true;
  }
}

const APPS = "io.k8s.api.apps.v1.";

/** What differs between the kinds in how they see their selector. */
interface SelectorRules {
  /** In "empty selector is invalid for …"; ReplicaSets speak of deployments. */
  readonly kind: string;
  /** What is said when no selector can be made of it; undefined where that is not looked at. */
  readonly unusable: string | undefined;
  /** Whether the template isn't looked at: the stored one was no better. */
  readonly skipTemplate?: boolean;
}

/** A workload that doesn't select its own pods would make them without end. A template is looked at only beside a selector that can be used. */
function validateSelectorAndTemplate(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  owner: string,
  { kind, unusable, skipTemplate = false }: SelectorRules,
  origin: TemplateOrigin,
): FieldError[] {
  const path = "spec.selector";
  const errors: FieldError[] = [];
  if (selector === undefined) errors.push(required(path));
  else {
    errors.push(...validateLabelSelector(selector, path));
    const broken = errors.length > 0;
    if (isEmpty(selector)) errors.push(invalid(path, selectorValue(selector), `empty selector is invalid for ${kind}`));
    if (broken)
      return [
        ...errors,
        invalid(path, selectorValue(selector), unusable),
        ...(owner === "StatefulSet" ? validateAlwaysRunning(template, "spec.template", owner) : []),
      ];
  }
  if ((selector === undefined || !isEmpty(selector)) && !matchesLabels(selector, template?.metadata?.labels ?? {}))
    errors.push(mismatch(template));
  return [
    ...errors,
    ...(skipTemplate ? [] : validatePodTemplate(template, "spec.template", origin)),
    // Upstream's StatefulSets look at these twice.
    ...(owner === "StatefulSet" && template !== undefined
      ? validateTemplateMetadata(template, "spec.template", origin)
      : []),
    ...validateAlwaysRunning(template, "spec.template", owner),
  ];
}

/** The error of a template that its selector doesn't want. */
export const mismatch = (template: PodTemplateSpec | undefined): FieldError => {
  const labels = template?.metadata?.labels;
  return invalid(
    "spec.template.metadata.labels",
    labels === undefined ? null : sorted(labels),
    "`selector` does not match template `labels`",
  );
};

const isEmpty = ({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean =>
  Object.keys(matchLabels).length + matchExpressions.length === 0;

const counts = (object: object | undefined, fields: readonly string[], path: string): FieldError[] =>
  fields.flatMap((field) =>
    checkNonNegative((object as Readonly<Record<string, number | undefined>> | undefined)?.[field], `${path}.${field}`),
  );

/** The second of each pair can't be less than the first: fewer are ready than exist. */
function notAbove(
  status: object | undefined,
  pairs: readonly (readonly [field: string, limit: string, words: string])[],
): FieldError[] {
  const of = (field: string) => (status as Readonly<Record<string, number | undefined>> | undefined)?.[field] ?? 0;
  return pairs
    .filter(([field, limit]) => of(field) > of(limit))
    .map(([field, , words]) => invalid(`status.${field}`, of(field), `cannot be greater than ${words}`));
}

function notDecremented(now: number | undefined, before: number | undefined): FieldError[] {
  if (before === undefined || (now !== undefined && now >= before)) return [];
  return [invalid("status.collisionCount", now ?? 0, "cannot be decremented")];
}

export function validateDeployment({ spec }: Deployment, origin: TemplateOrigin = {}): FieldError[] {
  const rules = { kind: "deployment", unusable: "invalid label selector" };
  const errors = [
    ...counts(spec, ["replicas"], "spec"),
    ...validateSelectorAndTemplate(spec.selector, spec.template, "ReplicaSet", rules, origin),
  ];
  const strategy = spec.strategy;
  if (strategy?.type === "Recreate") {
    if (strategy.rollingUpdate !== undefined)
      errors.push(
        fieldForbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"),
      );
  } else if (strategy?.type === "RollingUpdate") {
    const path = "spec.strategy.rollingUpdate";
    if (strategy.rollingUpdate === undefined) errors.push(required(path, "this should be defaulted and never be nil"));
    else {
      const { maxUnavailable, maxSurge } = strategy.rollingUpdate;
      errors.push(...checkIntOrPercent(maxUnavailable, `${path}.maxUnavailable`));
      errors.push(...checkIntOrPercent(maxSurge, `${path}.maxSurge`));
      if (isZero(maxUnavailable) && isZero(maxSurge))
        errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
      errors.push(...checkAtMostAll(maxUnavailable, `${path}.maxUnavailable`));
    }
  } else
    errors.push(
      notSupported("spec.strategy", internalValue(strategy, `${APPS}DeploymentStrategy`), [
        "Recreate",
        "RollingUpdate",
      ]),
    );
  errors.push(...counts(spec, ["minReadySeconds", "revisionHistoryLimit"], "spec"));
  const { progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  errors.push(...checkNonNegative(deadline, "spec.progressDeadlineSeconds"));
  if (deadline !== undefined && deadline <= minReadySeconds)
    errors.push(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  return errors;
}

/** What is neither a number nor a percentage counts for nothing. */
const isZero = (value: number | string | undefined): boolean =>
  value === undefined || (typeof value === "number" ? value === 0 : !/^[+-]?[0-9]*[1-9][0-9]*%?$/.test(value));

export function validateDeploymentUpdate(
  deployment: Deployment,
  old: Deployment,
  origin: TemplateOrigin = {},
): FieldError[] {
  return [
    ...validateDeployment(deployment, { ...origin, oldTemplate: old.spec.template }),
    ...(semanticEqual(deployment.spec.selector, old.spec.selector)
      ? []
      : immutableField(selectorValue(deployment.spec.selector), selectorValue(old.spec.selector), "spec.selector")),
  ];
}

const REPLICA_LIMITS = [
  ["readyReplicas", "replicas", "status.replicas"],
  ["availableReplicas", "replicas", "status.replicas"],
] as const;

export function validateDeploymentStatus({ status }: Deployment, old: Deployment): FieldError[] {
  return [
    ...counts(
      status,
      [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
      ],
      "status",
    ),
    ...notAbove(status, [
      ["updatedReplicas", "replicas", "status.replicas"],
      ...REPLICA_LIMITS,
      ["availableReplicas", "readyReplicas", "readyReplicas"],
    ]),
    ...notDecremented(status?.collisionCount, old.status?.collisionCount),
  ];
}

export function validateReplicaSet({ spec }: ReplicaSet, origin: TemplateOrigin = {}): FieldError[] {
  const rules = { kind: "deployment", unusable: "invalid label selector" };
  return [
    ...counts(spec, ["replicas", "minReadySeconds"], "spec"),
    ...validateSelectorAndTemplate(spec.selector, spec.template, "ReplicaSet", rules, origin),
  ];
}

export function validateReplicaSetUpdate(set: ReplicaSet, old: ReplicaSet, origin: TemplateOrigin = {}): FieldError[] {
  return [
    ...validateReplicaSet(set, { ...origin, oldTemplate: old.spec.template }),
    ...(semanticEqual(set.spec.selector, old.spec.selector)
      ? []
      : immutableField(selectorValue(set.spec.selector), selectorValue(old.spec.selector), "spec.selector")),
  ];
}

export function validateReplicaSetStatus({ status }: ReplicaSet): FieldError[] {
  return [
    ...counts(
      status,
      [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
      ],
      "status",
    ),
    ...notAbove(status, [
      ["fullyLabeledReplicas", "replicas", "status.replicas"],
      ...REPLICA_LIMITS,
      ["availableReplicas", "readyReplicas", "readyReplicas"],
    ]),
  ];
}

export function validateDaemonSet({ spec }: DaemonSet, origin: TemplateOrigin = {}): FieldError[] {
  const { selector, template } = spec;
  const errors = validateLabelSelector(selector, "spec.selector");
  if (errors.length === 0 && !matchesLabels(selector, template?.metadata?.labels ?? {}))
    errors.push(mismatch(template));
  if (selector !== undefined && isEmpty(selector))
    errors.push(invalid("spec.selector", selectorValue(selector), "empty selector is invalid for daemonset"));
  errors.push(
    ...validatePodTemplate(template, "spec.template", origin),
    ...validateAlwaysRunning(template, "spec.template", "DaemonSet"),
    ...counts(spec, ["minReadySeconds"], "spec"),
  );
  const strategy = spec.updateStrategy;
  const path = "spec.updateStrategy.rollingUpdate";
  if (strategy?.type === "RollingUpdate") {
    if (strategy.rollingUpdate === undefined) errors.push(required(path));
    else {
      const { maxUnavailable, maxSurge } = strategy.rollingUpdate;
      for (const [field, value] of [
        ["maxUnavailable", maxUnavailable],
        ["maxSurge", maxSurge],
      ] as const)
        errors.push(...checkIntOrPercent(value, `${path}.${field}`), ...checkAtMostAll(value, `${path}.${field}`));
      if (!isZero(maxUnavailable) && !isZero(maxSurge))
        errors.push(invalid(`${path}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"));
      if (isZero(maxUnavailable) && isZero(maxSurge))
        errors.push(required(`${path}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
    }
  } else if (strategy?.type !== "OnDelete")
    errors.push(
      notSupported("spec.updateStrategy", internalValue(strategy, `${APPS}DaemonSetUpdateStrategy`), [
        "RollingUpdate",
        "OnDelete",
      ]),
    );
  return [...errors, ...counts(spec, ["revisionHistoryLimit"], "spec")];
}

export function validateDaemonSetUpdate(set: DaemonSet, old: DaemonSet, origin: TemplateOrigin = {}): FieldError[] {
  return [
    ...(semanticEqual(set.spec.selector, old.spec.selector)
      ? []
      : immutableField(selectorValue(set.spec.selector), selectorValue(old.spec.selector), "spec.selector")),
    ...validateDaemonSet(set, { ...origin, oldTemplate: old.spec.template }),
  ];
}

export function validateDaemonSetStatus({ status }: DaemonSet, old: DaemonSet): FieldError[] {
  return [
    ...counts(
      status,
      [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
      ],
      "status",
    ),
    ...notDecremented(status?.collisionCount, old.status?.collisionCount),
  ];
}

export function validateStatefulSet(set: StatefulSet, origin: TemplateOrigin = {}): FieldError[] {
  return validateStatefulSetSpec(set, { created: true, skipTemplate: false }, origin);
}

interface StatefulSetRules {
  readonly created: boolean;
  readonly skipTemplate: boolean;
}

function validateStatefulSetSpec(
  { spec }: StatefulSet,
  { created, skipTemplate }: StatefulSetRules,
  origin: TemplateOrigin,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.podManagementPolicy) errors.push(required("spec.podManagementPolicy"));
  else if (spec.podManagementPolicy !== "OrderedReady" && spec.podManagementPolicy !== "Parallel")
    errors.push(invalid("spec.podManagementPolicy", spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  const strategy = spec.updateStrategy;
  const path = "spec.updateStrategy";
  if (!strategy?.type) errors.push(required(path));
  else if (strategy.type === "OnDelete") {
    if (strategy.rollingUpdate !== undefined)
      errors.push(
        invalid(
          `${path}.rollingUpdate`,
          internalValue(strategy.rollingUpdate, `${APPS}RollingUpdateStatefulSetStrategy`),
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      );
  } else if (strategy.type === "RollingUpdate") {
    const { partition, maxUnavailable } = strategy.rollingUpdate ?? {};
    errors.push(...checkNonNegative(partition, `${path}.rollingUpdate.partition`));
    if (maxUnavailable !== undefined) {
      const at = `${path}.rollingUpdate.maxUnavailable`;
      errors.push(...checkIntOrPercent(maxUnavailable, at));
      if (isZero(maxUnavailable)) errors.push(invalid(at, maxUnavailable, "cannot be 0"));
      errors.push(...checkAtMostAll(maxUnavailable, at));
    }
  } else
    errors.push(
      invalid(
        path,
        internalValue(strategy, `${APPS}StatefulSetUpdateStrategy`),
        "must be 'RollingUpdate' or 'OnDelete'",
      ),
    );
  for (const field of ["whenDeleted", "whenScaled"] as const) {
    const value = spec.persistentVolumeClaimRetentionPolicy?.[field];
    if (value !== undefined && value !== "Retain" && value !== "Delete")
      errors.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${field}`, value, ["Retain", "Delete"]));
  }
  if (created)
    for (const [i, claim] of (spec.volumeClaimTemplates ?? []).entries())
      errors.push(...validateClaimSpec(claim.spec, `spec.volumeClaimTemplates[${i}].spec`));
  errors.push(
    ...counts(spec, ["replicas", "minReadySeconds"], "spec"),
    ...checkNonNegative(spec.ordinals?.start, "spec.ordinals.start"),
    ...(created && spec.serviceName ? checkText(spec.serviceName, "spec.serviceName", isDns1123Label) : []),
    ...validateSelectorAndTemplate(
      spec.selector,
      asPodOf(spec),
      "StatefulSet",
      { kind: "statefulset", unusable: "", skipTemplate },
      origin,
    ),
  );
  return errors;
}

/** The template as the controller will make pods of it: named by itself, and with a volume for each claim in front of those of the same name. */
function asPodOf({ template, volumeClaimTemplates = [] }: StatefulSet["spec"]): PodTemplateSpec | undefined {
  if (template?.spec === undefined) return template;
  const { hostname: _, subdomain: __, ...spec } = template.spec;
  if (volumeClaimTemplates.length === 0) return { ...template, spec };
  const names = [...new Set(volumeClaimTemplates.map(({ metadata }) => metadata?.name ?? ""))];
  const claims = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  const own = (spec.volumes ?? []).filter(({ name }) => !claims.some((claim) => claim.name === name));
  return { ...template, spec: { ...spec, volumes: [...claims, ...own] } };
}

const MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

export function validateStatefulSetUpdate(
  set: StatefulSet,
  old: StatefulSet,
  context: TemplateOrigin = {},
): FieldError[] {
  const origin = { ...context, oldTemplate: old.spec.template };
  const check = (one: StatefulSet, skipTemplate: boolean) =>
    validateStatefulSetSpec(one, { created: false, skipTemplate }, origin);
  const errors = check(set, check(old, false).length > 0);
  const taken = Object.fromEntries(MUTABLE.map((field) => [field, old.spec[field]]));
  if (!semanticEqual({ ...set.spec, ...taken }, old.spec))
    errors.push(
      fieldForbidden(
        "spec",
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ),
    );
  return errors;
}

export function validateStatefulSetStatus({ status }: StatefulSet, old: StatefulSet): FieldError[] {
  return [
    ...counts(
      status,
      [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
      ],
      "status",
    ),
    ...notAbove(status, [
      ["readyReplicas", "replicas", "status.replicas"],
      ["currentReplicas", "replicas", "status.replicas"],
      ["updatedReplicas", "replicas", "status.replicas"],
      ["availableReplicas", "replicas", "status.replicas"],
      ["availableReplicas", "readyReplicas", "status.readyReplicas"],
    ]),
    ...notDecremented(status?.collisionCount, old.status?.collisionCount),
  ];
}

export function validateControllerRevision({ data, revision }: ControllerRevision): FieldError[] {
  return [
    ...checkNonNegative(revision, "revision"),
    ...(data === undefined || data === null
      ? [required("data", "data is mandatory")]
      : typeof data !== "object" || Array.isArray(data)
        ? [required("data", "data must be a valid JSON object")]
        : []),
  ];
}

export function validateControllerRevisionUpdate(object: ControllerRevision, old: ControllerRevision): FieldError[] {
  return [
    ...checkNonNegative(object.revision, "revision"),
    ...(semanticEqual(object.data, old.data) ? [] : immutableField(object.data, old.data, "data")),
  ];
}
