/**
 * Annotations from before there were fields: still checked, and what they say must agree with the field.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodSpecificAnnotations), pkg/apis/core/helper/helpers.go
 */
import { checkText } from "../../../../../machinery/validation/checks.ts";
import { type FieldError, fieldForbidden, invalid } from "../../../../../machinery/validation/field-error.ts";
import { sortedEntries } from "../../../../../machinery/validation/object-meta.ts";
import type { AppArmorProfile, Pod, PodSpec, SeccompProfile } from "../../../../generated/core.v1.ts";
import { containersOf } from "./containers-of.ts";
import { validateTolerations } from "./scheduling.ts";
import { parseTolerations } from "./tolerations-annotation.ts";
import { isDescendingPath } from "./volume-sources.ts";

type Annotations = Readonly<Record<string, string>>;

/** How an error about the whole object is placed. */
export const NOWHERE = "[]";
export const MIRROR = "kubernetes.io/config.mirror";
export const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
export const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";
export const APPARMOR_CONTAINER = "container.apparmor.security.beta.kubernetes.io/";
const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations";

export interface AnnotationRules {
  readonly allowComparison: boolean;
  readonly allowInvalidCost: boolean;
}

export function validatePodAnnotations(
  annotations: Annotations,
  spec: PodSpec,
  path: string,
  rules: AnnotationRules,
): FieldError[] {
  const errors: FieldError[] = [];
  if (MIRROR in annotations && !spec.nodeName)
    errors.push(
      invalid(`${path}[${MIRROR}]`, annotations[MIRROR], "must set spec.nodeName if mirror pod annotation is set"),
    );
  if (annotations[TOLERATIONS]) errors.push(...validateAnnotatedTolerations(annotations[TOLERATIONS], path, rules));
  if (!rules.allowInvalidCost && !isDeletionCost(annotations))
    errors.push(invalid(`${path}[${DELETION_COST}]`, annotations[DELETION_COST], "must be a 32bit integer"));
  for (const [key, profile] of sortedEntries(annotations))
    if (key === SECCOMP_POD) errors.push(...validateSeccompAnnotation(profile, `${path}.${key}`));
  for (const [key, profile] of sortedEntries(annotations))
    if (key.startsWith(SECCOMP_CONTAINER)) errors.push(...validateSeccompAnnotation(profile, `${path}.${key}`));
  return [...errors, ...validateAppArmorAnnotations(annotations, spec, path)];
}

function validateAnnotatedTolerations(text: string, path: string, rules: AnnotationRules): FieldError[] {
  const parsed = parseTolerations(text);
  if (typeof parsed === "string") return [invalid(path, TOLERATIONS, parsed)];
  return validateTolerations(parsed, `${path}.${TOLERATIONS}`, rules);
}

/** Whether the cost is none or a plain number; a minus sign before nothing but zeros is fine. */
export function isDeletionCost(annotations: Annotations | undefined): boolean {
  const text = annotations?.[DELETION_COST];
  if (text === undefined) return true;
  if (!/^(0|-[0-9]+|[1-9][0-9]*)$/.test(text)) return false;
  const value = Number(text);
  return value >= -2147483648 && value <= 2147483647;
}

function validateSeccompAnnotation(profile: string, path: string): FieldError[] {
  if (["runtime/default", "docker/default", "unconfined"].includes(profile)) return [];
  if (!profile.startsWith(LOCALHOST)) return [invalid(path, profile, "must be a valid seccomp profile")];
  return checkText(profile.slice(LOCALHOST.length), path, isDescendingPath);
}

const LOCALHOST = "localhost/";

function validateAppArmorAnnotations(annotations: Annotations, spec: PodSpec, path: string): FieldError[] {
  const names = new Set(containersOf(spec, "").map(({ container }) => container.name));
  return sortedEntries(annotations).flatMap(([key, profile]) => {
    if (!key.startsWith(APPARMOR_CONTAINER)) return [];
    const name = key.slice(APPARMOR_CONTAINER.length);
    const known = ["", "runtime/default", "unconfined"].includes(profile) || profile.startsWith(LOCALHOST);
    return [
      ...(names.has(name) ? [] : [invalid(`${path}[${key}]`, name, "container not found")]),
      ...(known
        ? []
        : [invalid(`${path}[${key}]`, profile, `invalid AppArmor profile name: ${JSON.stringify(profile)}`)]),
    ];
  });
}

/** When a pod is made, annotation and field must say the same. */
export function validateSeccompAgreement(annotations: Annotations, spec: PodSpec, path: string): FieldError[] {
  const check = (key: string, profile: SeccompProfile | undefined, at: string) => {
    const text = annotations[key];
    if (text === undefined || profile === undefined) return [];
    return compare(
      "seccomp",
      text,
      profile,
      ["runtime/default", "docker/default"],
      `${at}.securityContext.seccompProfile`,
    );
  };
  return [
    ...check(SECCOMP_POD, spec.securityContext?.seccompProfile, path),
    ...containersOf(spec, path).flatMap(({ container, path: at }) =>
      check(SECCOMP_CONTAINER + container.name, container.securityContext?.seccompProfile, at),
    ),
  ];
}

/** A container without a profile has its pod's. */
export function validateAppArmorAgreement(annotations: Annotations, spec: PodSpec, path: string): FieldError[] {
  if (spec.os?.name === "windows") return [];
  return containersOf(spec, path).flatMap(({ container, path: at }) => {
    const profile = container.securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile;
    const text = annotations[APPARMOR_CONTAINER + container.name];
    if (text === undefined || profile === undefined) return [];
    return compare("apparmor", text, profile, ["runtime/default"], `${at}.securityContext.appArmorProfile`);
  });
}

function compare(
  what: string,
  text: string,
  { type, localhostProfile }: SeccompProfile | AppArmorProfile,
  defaults: readonly string[],
  path: string,
): FieldError[] {
  const wrongType = [fieldForbidden(`${path}.type`, `${what} type in annotation and field must match`)];
  if (type === "Unconfined") return text === "unconfined" ? [] : wrongType;
  if (type === "RuntimeDefault") return defaults.includes(text) ? [] : wrongType;
  if (type !== "Localhost") return [];
  if (!text.startsWith(LOCALHOST)) return wrongType;
  return text.slice(LOCALHOST.length) === localhostProfile
    ? []
    : [fieldForbidden(`${path}.localhostProfile`, `${what} profile in annotation and field must match`)];
}

const FIXED: readonly (readonly [prefix: string, words: string])[] = [
  [APPARMOR_CONTAINER, "AppArmor annotations"],
  [MIRROR, "mirror pod annotation"],
];

/** Annotations that are as good as fields of the spec stay as they are. */
export function validateAnnotationsUpdate(pod: Pod, old: Pod, rules: AnnotationRules): FieldError[] {
  const [now, before] = [pod.metadata.annotations ?? {}, old.metadata.annotations ?? {}];
  const wordsOf = (key: string) =>
    FIXED.find(([prefix]) => (prefix === MIRROR ? key === prefix : key.startsWith(prefix)))?.[1];
  const told = (key: string, words: string) => {
    const what = wordsOf(key);
    return what === undefined ? [] : [fieldForbidden(`metadata.annotations[${key}]`, `${words} ${what}`)];
  };
  return [
    ...sortedEntries(before).flatMap(([key, value]) =>
      now[key] === value ? [] : told(key, "may not remove or update"),
    ),
    ...sortedEntries(now).flatMap(([key]) => (key in before ? [] : told(key, "may not add"))),
    ...validatePodAnnotations(now, pod.spec, "metadata.annotations", rules),
  ];
}
