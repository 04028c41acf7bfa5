/**
 * Pods as they are made, and what every write of them is checked for.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodCreate, validatePodMetadataAndSpec)
 */
import { type FieldError, fieldForbidden } from "../../../../../machinery/validation/field-error.ts";
import type { HookContext } from "../../../../../machinery/resource.ts";
import type { Pod } from "../../../../generated/core.v1.ts";
import {
  type AnnotationRules,
  isDeletionCost,
  MIRROR,
  validateAppArmorAgreement,
  validatePodAnnotations,
  validateSeccompAgreement,
} from "./annotations.ts";
import { checkImage } from "./containers.ts";
import { podRules, type PodRules } from "./rules.ts";
import { validatePodSpec } from "./spec.ts";

export type PodContext = Pick<HookContext, "featureGates" | "allowPrivileged">;
export type WriteRules = PodRules & AnnotationRules;

export function rulesOfWrite(pod: Pod, old: Pod | undefined, context: PodContext): WriteRules {
  const { metadata } = pod;
  const rules = podRules({
    isPod: true,
    ...(metadata.name !== undefined && { podName: metadata.name }),
    isMirror: MIRROR in (metadata.annotations ?? {}),
    old: old?.spec,
    gates: context.featureGates,
    allowPrivileged: context.allowPrivileged,
  });
  return { ...rules, allowInvalidCost: old !== undefined && !isDeletionCost(old.metadata.annotations) };
}

export function validateAnyPod({ metadata, spec }: Pod, rules: WriteRules): FieldError[] {
  return [
    ...validatePodAnnotations(metadata.annotations ?? {}, spec, "metadata.annotations", rules),
    ...validatePodSpec(spec, "spec", rules),
    ...(spec.serviceAccountName ? [] : refuseTokens({ metadata, spec })),
    ...(["containers", "initContainers"] as const).flatMap((list) =>
      (spec[list] ?? []).flatMap(({ image }, i) => checkImage(image, `spec.${list}[${i}]`)),
    ),
  ];
}

/** Whose token would it be? */
function refuseTokens({ spec }: Pick<Pod, "metadata" | "spec">): FieldError[] {
  return (spec.volumes ?? []).flatMap(({ projected }, i) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }, j) =>
      serviceAccountToken === undefined
        ? []
        : [
            fieldForbidden(
              `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`,
              "must not be specified when serviceAccountName is not set",
            ),
          ],
    ),
  );
}

export function validatePod(pod: Pod, context: PodContext): FieldError[] {
  const { metadata, spec } = pod;
  const annotations = metadata.annotations ?? {};
  const errors = validateAnyPod(pod, rulesOfWrite(pod, undefined, context));
  if ((spec.ephemeralContainers ?? []).length > 0)
    errors.push(fieldForbidden("spec.ephemeralContainers", "cannot be set on create"));
  if (spec.nodeName && (spec.schedulingGates ?? []).length > 0)
    errors.push(fieldForbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
  return [
    ...errors,
    ...validateSeccompAgreement(annotations, spec, "spec"),
    ...validateAppArmorAgreement(annotations, spec, "spec"),
  ];
}
