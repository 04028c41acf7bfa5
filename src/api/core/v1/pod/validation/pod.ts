/**
 * Pods: creation, and the very few changes that are allowed afterwards.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodCreate, ValidatePodUpdate, ValidatePodStatusUpdate)
 */
import { checkText } from "../../../../../machinery/validation/checks.ts";
import { type FieldError, fieldForbidden, invalid, required } from "../../../../../machinery/validation/field-error.ts";
import { isIp } from "../../../../../machinery/validation/ip.ts";
import { isDns1123Subdomain, isQualifiedName } from "../../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../../machinery/validation/object-meta.ts";
import type { Container, NodeSelectorTerm, Pod, PodSpec, Toleration } from "../../../../generated/core.v1.ts";
import { semanticEqual } from "../../../../semantic-equal.ts";
import { qosClassOf } from "../resources.ts";
import { validatePodSpec } from "./spec.ts";
import { validateTolerations } from "./scheduling.ts";

const MIRROR = "kubernetes.io/config.mirror";
const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const LISTS = ["containers", "initContainers", "ephemeralContainers"] as const;

function validateAny(pod: Pod, old: Pod | undefined): FieldError[] {
  const { metadata, spec } = pod;
  const errors: FieldError[] = [];
  const annotations = metadata.annotations ?? {};
  if (MIRROR in annotations && !spec.nodeName)
    errors.push(
      invalid(
        `metadata.annotations[${MIRROR}]`,
        annotations[MIRROR],
        "must set spec.nodeName if mirror pod annotation is set",
      ),
    );
  const cost = annotations[DELETION_COST];
  if (cost !== undefined && !isInt32(cost) && isInt32(old?.metadata.annotations?.[DELETION_COST] ?? "0"))
    errors.push(invalid(`metadata.annotations[${DELETION_COST}]`, cost, "must be a 32bit integer"));
  errors.push(
    ...validatePodSpec(spec, "spec", {
      isPod: true,
      podName: metadata.name,
      // Values that an older server took stay good on the objects that have them.
      allowInvalidLabelValues: old !== undefined,
      allowOddHugePages: old !== undefined,
    }),
  );
  if (!spec.serviceAccountName)
    for (const [i, { projected }] of (spec.volumes ?? []).entries())
      for (const [j, { serviceAccountToken }] of (projected?.sources ?? []).entries())
        if (serviceAccountToken !== undefined)
          errors.push(
            fieldForbidden(
              `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`,
              "must not be specified when serviceAccountName is not set",
            ),
          );
  for (const list of LISTS)
    for (const [i, { image }] of (spec[list] ?? []).entries()) errors.push(...checkImage(image, `spec.${list}[${i}]`));
  return errors;
}

function isInt32(text: string): boolean {
  return /^(0|-?[1-9][0-9]*)$/.test(text) && Math.abs(Number(text)) <= 2147483648 && Number(text) <= 2147483647;
}

function checkImage(image: string | undefined, path: string): FieldError[] {
  if (image === undefined || image === image.trim()) return [];
  return [invalid(`${path}.image`, image, "must not have leading or trailing whitespace")];
}

export function validatePod(pod: Pod): FieldError[] {
  const errors = validateAny(pod, undefined);
  if ((pod.spec.ephemeralContainers ?? []).length > 0)
    errors.push(fieldForbidden("spec.ephemeralContainers", "cannot be set on create"));
  if (pod.spec.nodeName && (pod.spec.schedulingGates ?? []).length > 0)
    errors.push(fieldForbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
  return errors;
}

export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  return [...validateAny(pod, old), ...validateAnnotationsUpdate(pod, old), ...validateSpecUpdate(pod.spec, old.spec)];
}

function validateAnnotationsUpdate(pod: Pod, old: Pod): FieldError[] {
  const [now, before] = [pod.metadata.annotations ?? {}, old.metadata.annotations ?? {}];
  const errors: FieldError[] = [];
  const words = (key: string): string | undefined => {
    if (key === MIRROR) return "mirror pod annotation";
    return key.startsWith("container.apparmor.security.beta.kubernetes.io/") ? "AppArmor annotations" : undefined;
  };
  for (const key of Object.keys(before).sort()) {
    const what = words(key);
    if (what !== undefined && now[key] !== before[key])
      errors.push(fieldForbidden(`metadata.annotations[${key}]`, `may not remove or update ${what}`));
  }
  for (const key of Object.keys(now).sort()) {
    const what = words(key);
    if (what !== undefined && !(key in before))
      errors.push(fieldForbidden(`metadata.annotations[${key}]`, `may not add ${what}`));
  }
  return errors;
}

const IMMUTABLE =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

function validateSpecUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
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
  errors.push(...validateTolerationsUpdate(spec.tolerations ?? [], old.tolerations ?? []));
  const gates = new Set((old.schedulingGates ?? []).map(({ name }) => name));
  for (const [i, { name }] of (spec.schedulingGates ?? []).entries())
    if (!gates.has(name))
      errors.push(
        fieldForbidden(
          `spec.schedulingGates[${i}].name`,
          `only deletion is allowed, but found new scheduling gate '${name}'`,
        ),
      );
  const gated = gates.size > 0;
  if (gated) errors.push(...validateGatedUpdate(spec, old));
  if (!semanticEqual(withMutableFieldsOf(spec, old, gated), old)) errors.push(fieldForbidden("spec", IMMUTABLE));
  return errors;
}

/** The new spec with the old one's values wherever a change is allowed. */
function withMutableFieldsOf(spec: PodSpec, old: PodSpec, gated: boolean): PodSpec {
  const images = (list: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    list?.map((container, i) => {
      const { image: _, ...rest } = container;
      const image = before?.[i]?.image;
      return image === undefined ? rest : { ...rest, image };
    });
  const take: (keyof PodSpec)[] = ["activeDeadlineSeconds", "tolerations", "schedulingGates"];
  if (gated) take.push("nodeSelector");
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1)
    take.push("terminationGracePeriodSeconds");
  const kept = Object.fromEntries(take.map((field) => [field, old[field]]));
  const affinity =
    gated && spec.affinity?.nodeAffinity !== undefined
      ? { ...spec.affinity, nodeAffinity: old.affinity?.nodeAffinity }
      : spec.affinity;
  return {
    ...spec,
    ...kept,
    ...(affinity !== undefined && { affinity: without(affinity) }),
    containers: images(spec.containers, old.containers),
    initContainers: images(spec.initContainers, old.initContainers),
  } as PodSpec;
}

const without = <T extends object>(object: T): T | undefined =>
  Object.values(object).every((value) => value === undefined) ? undefined : object;

/** Nobody has placed a gated pod yet, so where it may go can still be narrowed. */
function validateGatedUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  const lost = Object.entries(old.nodeSelector ?? {}).some(([key, value]) => spec.nodeSelector?.[key] !== value);
  if (lost)
    errors.push(
      invalid(
        "spec.nodeSelector",
        spec.nodeSelector ?? {},
        "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
      ),
    );
  const required = "requiredDuringSchedulingIgnoredDuringExecution";
  const termsOf = ({ affinity }: PodSpec): readonly NodeSelectorTerm[] =>
    affinity?.nodeAffinity?.[required]?.nodeSelectorTerms ?? [];
  const [now, before] = [termsOf(spec), termsOf(old)];
  const path = `spec.affinity.nodeAffinity.${required}.nodeSelectorTerms`;
  if (before.length === 0) return errors;
  if (now.length !== before.length)
    return [...errors, invalid(path, now, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")];
  for (const [i, term] of before.entries()) {
    const kept = (["matchExpressions", "matchFields"] as const).every((list) =>
      (term[list] ?? []).every((entry, j) => semanticEqual(entry, now[i]![list]?.[j])),
    );
    const grown = (["matchExpressions", "matchFields"] as const).every((list) => (term[list] ?? []).length === 0);
    if (!kept || (grown && !semanticEqual(term, now[i])))
      errors.push(invalid(`${path}[${i}]`, now[i], "only additions are allowed (no mutations or deletions)"));
  }
  return errors;
}

function validateTolerationsUpdate(now: readonly Toleration[], before: readonly Toleration[]): FieldError[] {
  const still = ({ tolerationSeconds: _, ...rest }: Toleration) => rest;
  const kept = before.every((old) => now.some((toleration) => semanticEqual(still(toleration), still(old))));
  if (!kept)
    return [fieldForbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
  return validateTolerations(now, "spec.tolerations");
}

export function validatePodStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const errors = validateAnnotationsUpdate(pod, old);
  const status = pod.status ?? {};
  const before = old.status ?? {};
  const nominated = status.nominatedNodeName;
  if (nominated && nominated !== before.nominatedNodeName) {
    errors.push(...checkText(nominated, "status.nominatedNodeName", isDns1123Subdomain));
    if (old.spec.nodeName)
      errors.push(
        fieldForbidden("status.nominatedNodeName", "may not be set on pods that are already bound to a node"),
      );
  }
  errors.push(...validateNoResurrection(pod, old));
  const conditions = status.conditions ?? [];
  for (const [i, { type }] of conditions.entries())
    if (!["PodScheduled", "Ready", "Initialized"].includes(type))
      errors.push(...checkText(type, `status.conditions[${i}].Type`, isQualifiedName));
  const known = new Set((before.podIPs ?? []).map(({ ip }) => ip));
  for (const [i, { ip }] of (status.podIPs ?? []).entries())
    if (!known.has(ip)) errors.push(...checkText(ip, `status.podIPs[${i}]`, isIp));
  if (before.qosClass !== undefined)
    errors.push(...immutableField(status.qosClass, before.qosClass, "status.qosClass"));
  return errors;
}

/** A container that has ended and may not run again stays ended. */
function validateNoResurrection(pod: Pod, old: Pod): FieldError[] {
  const { spec } = pod;
  const errors: FieldError[] = [];
  for (const [list, containers] of [
    ["containerStatuses", spec.containers],
    ["initContainerStatuses", spec.initContainers],
  ] as const) {
    const isInit = list === "initContainerStatuses";
    for (const [i, before] of (old.status?.[list] ?? []).entries()) {
      const ended = before.state?.terminated;
      if (ended === undefined) continue;
      const container = containers?.find(({ name }) => name === before.name);
      if ((container?.restartPolicyRules ?? []).length > 0) continue;
      const policy = container?.restartPolicy ?? spec.restartPolicy;
      if (policy === "Always" && !isInit) continue;
      if (isInit && (container?.restartPolicy === "Always" || policy === "Always")) continue;
      if (policy === "OnFailure" && ended.exitCode !== 0) continue;
      const now = pod.status?.[list]?.find(({ name }) => name === before.name);
      if (now !== undefined && now.state?.terminated === undefined)
        errors.push(fieldForbidden(`status.${list}[${i}].state`, "may not be transitioned to non-terminated state"));
    }
  }
  return errors;
}

export function validateEphemeralContainersUpdate(pod: Pod, old: Pod): FieldError[] {
  if (MIRROR in (old.metadata.annotations ?? {}))
    return [fieldForbidden("", "static pods do not support ephemeral containers")];
  const errors = [...validateAny(pod, old), ...validateAnnotationsUpdate(pod, old)];
  for (const before of old.spec.ephemeralContainers ?? []) {
    const now = pod.spec.ephemeralContainers?.find(({ name }) => name === before.name);
    const path = "spec.ephemeralContainers";
    if (now === undefined)
      errors.push(fieldForbidden(path, `existing ephemeral containers "${before.name}" may not be removed\n`));
    else if (!semanticEqual(now, before))
      errors.push(fieldForbidden(path, `existing ephemeral containers "${before.name}" may not be changed\n`));
  }
  return errors;
}

export function validateResize(pod: Pod, old: Pod): FieldError[] {
  if (MIRROR in (old.metadata.annotations ?? {})) return [fieldForbidden("", "static pods cannot be resized")];
  if (old.spec.os?.name === "windows") return [fieldForbidden("", "windows pods cannot be resized")];
  const errors = validateAny(pod, old);
  for (const list of ["containers", "initContainers"] as const) {
    const [now, before] = [pod.spec[list] ?? [], old.spec[list] ?? []];
    if (now.length !== before.length)
      return [...errors, fieldForbidden(`spec.${list}`, `${list} may not be added or removed on resize`)];
    for (const [i, { name }] of now.entries())
      if (name !== before[i]!.name)
        return [
          ...errors,
          fieldForbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`),
        ];
  }
  if (old.spec.resources !== undefined) {
    const now = pod.spec.resources;
    if (now === undefined) errors.push(fieldForbidden("spec.resources", "pod-level resources cannot be removed"));
    for (const [kind, word] of [
      ["requests", "requests"],
      ["limits", "limits"],
    ] as const)
      if (Object.keys(old.spec.resources[kind] ?? {}).some((name) => now?.[kind]?.[name] === undefined))
        errors.push(fieldForbidden(`spec.resources.${kind}`, `pod-level resource ${word} cannot be removed`));
    if (!semanticEqual(otherThanCompute(now ?? {}), otherThanCompute(old.spec.resources)))
      errors.push(fieldForbidden("spec", "only cpu and memory resources are mutable at pod-level"));
  }
  if (qosClassOf(pod.spec) !== (old.status?.qosClass ?? qosClassOf(old.spec)))
    errors.push(invalid("spec", pod.status?.qosClass ?? "", "Pod QOS Class may not change as a result of resizing"));
  for (const list of ["containers", "initContainers"] as const)
    for (const [i, { resources }] of (pod.spec[list] ?? []).entries()) {
      const before = old.spec[list]![i]!.resources ?? {};
      for (const [kind, word] of [
        ["limits", "resource limits"],
        ["requests", "resource requests"],
      ] as const) {
        const gone = Object.keys(before[kind] ?? {}).some((name) => resources?.[kind]?.[name] === undefined);
        if (gone) errors.push(fieldForbidden(`spec.${list}[${i}].resources.${kind}`, `${word} cannot be removed`));
      }
      if (!semanticEqual(otherThanCompute(resources ?? {}), otherThanCompute(before)))
        errors.push(fieldForbidden("spec", "only cpu and memory resources are mutable"));
    }
  return errors;
}

function otherThanCompute({ limits = {}, requests = {}, claims = [] }: NonNullable<Partial<Container["resources"]>>) {
  const others = (list: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(list).filter(([name]) => name !== "cpu" && name !== "memory"));
  return { limits: others(limits), requests: others(requests), claims };
}
