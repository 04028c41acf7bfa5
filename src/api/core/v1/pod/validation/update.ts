/**
 * The very few changes that a pod allows once it is made.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodUpdate)
 */
import { type FieldError, fieldForbidden, invalid, required } from "../../../../../machinery/validation/field-error.ts";
import type { Affinity, Container, NodeSelectorTerm, Pod, PodSpec, Toleration } from "../../../../generated/core.v1.ts";
import { internalDiff, internalValue } from "../../../../internal-value.ts";
import { semanticEqual } from "../../../../semantic-equal.ts";
import { validateAnnotationsUpdate } from "./annotations.ts";
import { checkImage } from "./containers.ts";
import { type PodContext, rulesOfWrite, validateAnyPod } from "./pod.ts";
import type { PodRules } from "./rules.ts";
import { validateTolerations } from "./scheduling.ts";

export function validatePodUpdate(pod: Pod, old: Pod, context: PodContext): FieldError[] {
  const rules = rulesOfWrite(pod, old, context);
  return [
    ...validateAnyPod(pod, rules),
    ...validateAnnotationsUpdate(pod, old, rules),
    ...validateSpecUpdate(pod.spec, old.spec, rules),
  ];
}

const IMMUTABLE =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

function validateSpecUpdate(spec: PodSpec, old: PodSpec, rules: PodRules): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ["containers", "initContainers"] as const) {
    if ((spec[list] ?? []).length !== (old[list] ?? []).length)
      return [...errors, fieldForbidden(`spec.${list}`, "pod updates may not add or remove containers")];
    for (const [i, { image }] of (spec[list] ?? []).entries()) {
      if (!image) errors.push(required(`spec.${list}[${i}].image`));
      else errors.push(...checkImage(image, `spec.${list}[${i}]`));
    }
  }
  const [deadline, before] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds];
  const at = "spec.activeDeadlineSeconds";
  if (deadline !== undefined) {
    if (deadline < 0 || deadline > 2147483647)
      return [...errors, invalid(at, deadline, "must be between 0 and 2147483647, inclusive")];
    if (before !== undefined && before < deadline)
      return [...errors, invalid(at, deadline, "must be less than or equal to previous value")];
  } else if (before !== undefined)
    errors.push(invalid(at, null, "must not update from a positive integer to nil value"));
  errors.push(
    ...validateTolerationsUpdate(spec.tolerations ?? [], old.tolerations ?? [], rules),
    ...validateGatesUpdate(spec, old),
  );
  if (semanticEqual(spec, old)) return errors;
  const gated = (old.schedulingGates ?? []).length > 0;
  if (gated) errors.push(...validateGatedUpdate(spec, old));
  const allowed = withMutableFieldsOf(spec, old, gated);
  if (!semanticEqual(allowed, old)) {
    const diff = internalDiff(old, allowed, "io.k8s.api.core.v1.PodSpec");
    errors.push(fieldForbidden("spec", `${IMMUTABLE}${diff}`));
  }
  return errors;
}

/** The new spec with the old one's values wherever a change is allowed. */
function withMutableFieldsOf(spec: PodSpec, old: PodSpec, gated: boolean): PodSpec {
  const images = (list: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    // An empty list of containers becomes none on the way.
    list?.length === 0
      ? undefined
      : list?.map((container, i) => {
          const { image: _, ...rest } = container;
          const image = before?.[i]?.image;
          return image === undefined ? rest : { ...rest, image };
        });
  const take: (keyof PodSpec)[] = ["activeDeadlineSeconds", "tolerations", "schedulingGates"];
  if (gated) take.push("nodeSelector");
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1)
    take.push("terminationGracePeriodSeconds");
  return {
    ...spec,
    ...Object.fromEntries(take.map((field) => [field, old[field]])),
    ...(gated && { affinity: affinityOfGated(spec.affinity, old.affinity) }),
    containers: images(spec.containers, old.containers),
    initContainers: images(spec.initContainers, old.initContainers),
  } as PodSpec;
}

/** Where the nodes that a gated pod prefers have changed, the old ones. */
function affinityOfGated(affinity: Affinity | undefined, old: Affinity | undefined): Affinity | undefined {
  const before = old?.nodeAffinity;
  if (semanticEqual(affinity?.nodeAffinity, before)) return affinity;
  if (affinity === undefined) return { nodeAffinity: before! };
  if (old === undefined && affinity.podAffinity === undefined && affinity.podAntiAffinity === undefined)
    return undefined;
  const { nodeAffinity: _, ...rest } = affinity;
  return before === undefined ? rest : { ...rest, nodeAffinity: before };
}

function validateGatesUpdate({ schedulingGates = [] }: PodSpec, old: PodSpec): FieldError[] {
  // Of gates of one name the last is told.
  const added = new Map(schedulingGates.map(({ name }, i) => [name, i]));
  for (const { name } of old.schedulingGates ?? []) added.delete(name);
  return [...added].map(([name, i]) =>
    fieldForbidden(
      `spec.schedulingGates[${i}].name`,
      `only deletion is allowed, but found new scheduling gate '${name}'`,
    ),
  );
}

const TERM = "io.k8s.api.core.v1.NodeSelectorTerm";
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";

/** Nobody has placed a gated pod yet, so where it may go can still be narrowed. */
function validateGatedUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const lost = Object.entries(old.nodeSelector ?? {}).some(([key, value]) => spec.nodeSelector?.[key] !== value);
  const errors = lost
    ? [
        invalid(
          "spec.nodeSelector",
          spec.nodeSelector ?? null,
          "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ),
      ]
    : [];
  const termsOf = ({ affinity }: PodSpec) => affinity?.nodeAffinity?.[REQUIRED]?.nodeSelectorTerms;
  const [now, before = []] = [termsOf(spec), termsOf(old)];
  const path = `spec.affinity.nodeAffinity.${REQUIRED}.nodeSelectorTerms`;
  if (before.length === 0 || semanticEqual(spec.affinity?.nodeAffinity, old.affinity?.nodeAffinity)) return errors;
  if ((now ?? []).length !== before.length)
    return [
      ...errors,
      invalid(
        path,
        now?.map((term) => internalValue(term, TERM)) ?? null,
        "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
      ),
    ];
  for (const [i, term] of before.entries())
    if (!onlyGrows(now![i]!, term))
      errors.push(
        invalid(
          `${path}[${i}]`,
          internalValue(now![i], TERM),
          "only additions are allowed (no mutations or deletions)",
        ),
      );
  return errors;
}

/** A term that asks nothing matches nothing: to add to it would widen it. */
function onlyGrows(now: NodeSelectorTerm, before: NodeSelectorTerm): boolean {
  const sizeOf = ({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm) =>
    matchExpressions.length + matchFields.length;
  if (sizeOf(before) === 0) return sizeOf(now) === 0;
  return (["matchExpressions", "matchFields"] as const).every((list) =>
    (before[list] ?? []).every((entry, j) => semanticEqual(entry, now[list]?.[j])),
  );
}

function validateTolerationsUpdate(
  now: readonly Toleration[],
  before: readonly Toleration[],
  rules: PodRules,
): FieldError[] {
  const still = ({ tolerationSeconds: _, ...rest }: Toleration) => rest;
  const kept = before.every((old) => now.some((toleration) => semanticEqual(still(toleration), still(old))));
  if (!kept)
    return [fieldForbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
  return validateTolerations(now, "spec.tolerations", rules);
}
