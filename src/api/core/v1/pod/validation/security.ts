/**
 * Security contexts of pods and containers.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodSecurityContext, ValidateSecurityContext)
 */
import { checkOptionalWord, checkText } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from "../../../../generated/core.v1.ts";
import { isDescendingPath } from "./volumes.ts";

const isId = (value: number): readonly string[] =>
  value >= 0 && value <= 2147483647 ? [] : ["must be between 0 and 2147483647, inclusive"];

function checkIds(values: Readonly<Record<string, number | undefined>>, path: string): FieldError[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : isId(value).map((message) => invalid(`${path}.${name}`, value, message)),
  );
}

const PROFILE_TYPES: readonly string[] = ["Localhost", "RuntimeDefault", "Unconfined"];

function validateSeccomp(profile: SeccompProfile | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const { type, localhostProfile } = profile;
  const errors: FieldError[] = [];
  if (!type) errors.push(required(`${path}.type`, "type is required when seccompProfile is set"));
  else if (!PROFILE_TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, PROFILE_TYPES));
  if (type === "Localhost") {
    if (localhostProfile === undefined)
      errors.push(required(`${path}.localhostProfile`, "must be set when seccomp type is Localhost"));
    else errors.push(...checkText(localhostProfile, `${path}.localhostProfile`, isDescendingPath));
  } else if (localhostProfile !== undefined)
    errors.push(
      invalid(
        `${path}.localhostProfile`,
        { Type: type, LocalhostProfile: localhostProfile },
        "can only be set when seccomp type is Localhost",
      ),
    );
  return errors;
}

function validateAppArmor(profile: AppArmorProfile | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const { type, localhostProfile } = profile;
  if (!type) return [required(`${path}.type`, "type is required when appArmorProfile is set")];
  if (!PROFILE_TYPES.includes(type)) return [notSupported(`${path}.type`, type, PROFILE_TYPES)];
  const at = `${path}.localhostProfile`;
  if (type !== "Localhost")
    return localhostProfile === undefined
      ? []
      : [invalid(at, localhostProfile, "can only be set when AppArmor type is Localhost")];
  if (!localhostProfile?.trim()) return [required(at, "must be set when AppArmor type is Localhost")];
  return localhostProfile.trim() === localhostProfile
    ? []
    : [invalid(at, localhostProfile, "must not be padded with whitespace")];
}

const SYSCTL_REGEXP = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const SYSCTL_TEXT = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const IPC_SYSCTL = /^(kernel\.sem|kernel\.shm|kernel\.msg|fs\.mqueue\.)/;

export function validatePodSecurityContext(spec: PodSpec, path: string): FieldError[] {
  const context = spec.securityContext;
  if (context === undefined) return [];
  const { fsGroup, runAsUser, runAsGroup, supplementalGroups = [], sysctls = [] } = context;
  const errors = checkIds({ fsGroup, runAsUser, runAsGroup }, path);
  for (const [i, group] of supplementalGroups.entries())
    for (const message of isId(group)) errors.push(invalid(`${path}.supplementalGroups[${i}]`, group, message));
  if (spec.shareProcessNamespace === true && spec.hostPID === true)
    errors.push(
      invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled"),
    );
  const seen = new Set<string>();
  for (const [i, { name }] of sysctls.entries()) {
    const at = `${path}.sysctls[${i}].name`;
    const dotted = (name ?? "").includes("/") ? name.replaceAll("/", ".") : (name ?? "");
    if (!name) errors.push(required(at));
    else if (name.length > 253 || !SYSCTL_REGEXP.test(name))
      errors.push(invalid(at, name, `must have at most 253 characters and match regex ${SYSCTL_TEXT}`));
    else if (seen.has(name)) errors.push(duplicate(at, name));
    if (spec.hostNetwork === true && dotted.startsWith("net."))
      errors.push(invalid(at, name, "may not be specified when 'hostNetwork' is true"));
    if (spec.hostIPC === true && IPC_SYSCTL.test(dotted))
      errors.push(invalid(at, name, "may not be specified when 'hostIPC' is true"));
    seen.add(name);
  }
  errors.push(
    ...checkOptionalWord(context.fsGroupChangePolicy, `${path}.fsGroupChangePolicy`, ["Always", "OnRootMismatch"]),
    ...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`),
    ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`),
    ...checkOptionalWord(context.supplementalGroupsPolicy, `${path}.supplementalGroupsPolicy`, ["Merge", "Strict"]),
    ...checkOptionalWord(context.seLinuxChangePolicy, `${path}.seLinuxChangePolicy`, ["Recursive"]),
  );
  return errors;
}

export function validateSecurityContext(
  context: SecurityContext | undefined,
  path: string,
  { hostUsers }: { readonly hostUsers: boolean },
): FieldError[] {
  if (context === undefined) return [];
  const { runAsUser, runAsGroup, procMount, allowPrivilegeEscalation, privileged, capabilities } = context;
  const errors = checkIds({ runAsUser, runAsGroup }, path);
  errors.push(...checkOptionalWord(procMount, `${path}.procMount`, ["Default", "Unmasked"]));
  if (procMount === "Unmasked" && hostUsers)
    errors.push(invalid(`${path}.procMount`, procMount, "`hostUsers` must be false to use `Unmasked`"));
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  if (allowPrivilegeEscalation === false) {
    if (privileged === true)
      errors.push(invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    if (capabilities?.add?.includes("CAP_SYS_ADMIN") === true)
      errors.push(
        invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
      );
  }
  return [...errors, ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`)];
}

const POD_FIELDS_OF_LINUX = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "fsGroup",
  "fsGroupChangePolicy",
  "sysctls",
  "runAsUser",
  "runAsGroup",
  "supplementalGroups",
  "supplementalGroupsPolicy",
  "seLinuxChangePolicy",
] as const;
const CONTAINER_FIELDS_OF_LINUX = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "capabilities",
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
] as const;

/** Some settings mean nothing on the other operating system, and are refused once the pod says which it is for. */
export function validateOperatingSystem(spec: PodSpec, path: string): FieldError[] {
  const name = spec.os?.name;
  if (spec.os === undefined) return [];
  if (!name) return [required(`${path}.os.name`)];
  if (name !== "linux" && name !== "windows") return [notSupported(`${path}.os`, name, ["linux", "windows"])];
  const lists = (["containers", "initContainers", "ephemeralContainers"] as const).flatMap((list) =>
    (spec[list] ?? []).map(({ securityContext }, i) => ({
      securityContext,
      at: `${path}.${list}[${i}].securityContext`,
    })),
  );
  if (name === "linux") {
    const detail = "windows options cannot be set for a linux pod";
    return [
      ...(spec.securityContext?.windowsOptions === undefined
        ? []
        : [fieldForbidden(`${path}.securityContext.windowsOptions`, detail)]),
      ...lists
        .filter(({ securityContext }) => securityContext?.windowsOptions !== undefined)
        .map(({ at }) => fieldForbidden(`${at}.windowsOptions`, detail)),
    ];
  }
  const detail = "cannot be set for a windows pod";
  return [
    ...POD_FIELDS_OF_LINUX.filter((field) => spec.securityContext?.[field] !== undefined).map((field) =>
      fieldForbidden(`${path}.securityContext.${field}`, detail),
    ),
    ...(spec.hostUsers === undefined ? [] : [fieldForbidden(`${path}.hostUsers`, detail)]),
    ...(["hostPID", "hostIPC"] as const)
      .filter((field) => spec[field] === true)
      .map((field) => fieldForbidden(`${path}.${field}`, detail)),
    ...(spec.shareProcessNamespace === undefined ? [] : [fieldForbidden(`${path}.shareProcessNamespace`, detail)]),
    ...lists.flatMap(({ securityContext, at }) =>
      CONTAINER_FIELDS_OF_LINUX.filter((field) => securityContext?.[field] !== undefined).map((field) =>
        fieldForbidden(`${at}.${field}`, detail),
      ),
    ),
  ];
}
