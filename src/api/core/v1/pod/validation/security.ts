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
  tooLong,
} from "../../../../../machinery/validation/field-error.ts";
import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from "../../../../generated/core.v1.ts";
import { internalValue } from "../../../../internal-value.ts";
import type { PodRules } from "./rules.ts";
import { isDescendingPath } from "./volume-sources.ts";
import { validateWindowsOptions } from "./windows.ts";

export const isId = (value: number): readonly string[] =>
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
        internalValue(profile, "io.k8s.api.core.v1.SeccompProfile"),
        "can only be set when seccomp type is Localhost",
      ),
    );
  return errors;
}

const MAX_PATH = 4095;

export function validateAppArmor(profile: AppArmorProfile | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const { type, localhostProfile } = profile;
  if (!type) return [required(`${path}.type`, "type is required when appArmorProfile is set")];
  if (!PROFILE_TYPES.includes(type)) return [notSupported(`${path}.type`, type, PROFILE_TYPES)];
  const at = `${path}.localhostProfile`;
  if (type !== "Localhost")
    return localhostProfile === undefined
      ? []
      : [invalid(at, localhostProfile, "can only be set when AppArmor type is Localhost")];
  const words = "must be set when AppArmor type is Localhost";
  if (localhostProfile === undefined) return [required(at, words)];
  const errors: FieldError[] = [];
  if (localhostProfile.trim() !== localhostProfile)
    errors.push(invalid(at, localhostProfile, "must not be padded with whitespace"));
  else if (localhostProfile === "") errors.push(required(at, words));
  return Buffer.byteLength(localhostProfile) > MAX_PATH ? [...errors, tooLong(at, MAX_PATH)] : errors;
}

const SYSCTL_REGEXP = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const SYSCTL_TEXT = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const IPC_SYSCTLS: readonly string[] = [
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
  "kernel.shm",
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.msg",
];

type Sharing = Pick<PodSpec, "hostNetwork" | "hostIPC">;

/** The namespace of a sysctl that the pod has no own of. */
function sharedNamespaceOf(sysctl: string, { hostNetwork, hostIPC }: Sharing): "hostNetwork" | "hostIPC" | undefined {
  const name = dotted(sysctl).split("*", 1)[0]!;
  if (hostNetwork === true && name.startsWith("net.")) return "hostNetwork";
  const ipc = IPC_SYSCTLS.includes(name) || name.startsWith("fs.mqueue.");
  return hostIPC === true && ipc ? "hostIPC" : undefined;
}

/** Names may be written with slashes; where the first separator is one, dots and slashes change places. */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? name.replace(/[./]/g, (c) => (c === "." ? "/" : ".")) : name;
}

export const isHostSysctl = (name: string, spec: Sharing): boolean => sharedNamespaceOf(name, spec) !== undefined;

function validateSysctls(spec: PodSpec, path: string, { allowHostSysctls }: PodRules): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, { name = "" }] of (spec.securityContext?.sysctls ?? []).entries()) {
    const at = `${path}[${i}].name`;
    if (name === "") errors.push(required(at));
    else if (name.length > 253 || !SYSCTL_REGEXP.test(name))
      errors.push(invalid(at, name, `must have at most 253 characters and match regex ${SYSCTL_TEXT}`));
    else if (seen.has(name)) errors.push(duplicate(at, name));
    const shared = sharedNamespaceOf(name, spec);
    if (shared !== undefined && !allowHostSysctls)
      errors.push(invalid(at, name, `may not be specified when '${shared}' is true`));
    seen.add(name);
  }
  return errors;
}

export function validatePodSecurityContext(spec: PodSpec, path: string, rules: PodRules): FieldError[] {
  const context = spec.securityContext;
  if (context === undefined) return [];
  const { fsGroup, runAsUser, runAsGroup, supplementalGroups = [] } = context;
  const errors = checkIds({ fsGroup, runAsUser, runAsGroup }, path);
  for (const [i, group] of supplementalGroups.entries())
    for (const message of isId(group)) errors.push(invalid(`${path}.supplementalGroups[${i}]`, group, message));
  if (spec.shareProcessNamespace === true && spec.hostPID === true)
    errors.push(
      invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled"),
    );
  const { onlyRecursiveSelinux } = rules;
  errors.push(
    ...validateSysctls(spec, `${path}.sysctls`, rules),
    ...checkOptionalWord(context.fsGroupChangePolicy, `${path}.fsGroupChangePolicy`, ["Always", "OnRootMismatch"]),
    ...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`),
    ...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`),
    ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`),
    ...checkOptionalWord(context.supplementalGroupsPolicy, `${path}.supplementalGroupsPolicy`, ["Merge", "Strict"]),
    ...checkOptionalWord(
      context.seLinuxChangePolicy,
      `${path}.seLinuxChangePolicy`,
      onlyRecursiveSelinux ? ["Recursive"] : ["MountOption", "Recursive"],
    ),
  );
  return errors;
}

export function validateSecurityContext(
  context: SecurityContext | undefined,
  path: string,
  { hostUsers, allowPrivileged }: { readonly hostUsers: boolean; readonly allowPrivileged: boolean },
): FieldError[] {
  if (context === undefined) return [];
  const { runAsUser, runAsGroup, procMount, allowPrivilegeEscalation, privileged, capabilities } = context;
  const errors: FieldError[] = [];
  if (privileged === true && !allowPrivileged)
    errors.push(fieldForbidden(`${path}.privileged`, "disallowed by cluster policy"));
  errors.push(...checkIds({ runAsUser, runAsGroup }, path));
  errors.push(...checkOptionalWord(procMount, `${path}.procMount`, ["Default", "Unmasked"]));
  if (procMount === "Unmasked" && hostUsers)
    errors.push(invalid(`${path}.procMount`, procMount, "`hostUsers` must be false to use `Unmasked`"));
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  if (allowPrivilegeEscalation === false) {
    const shown = internalValue(context, "io.k8s.api.core.v1.SecurityContext");
    if (privileged === true)
      errors.push(invalid(path, shown, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    for (const capability of capabilities?.add ?? [])
      if (capability === "CAP_SYS_ADMIN")
        errors.push(
          invalid(path, shown, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
        );
  }
  return [
    ...errors,
    ...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`),
    ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`),
  ];
}
