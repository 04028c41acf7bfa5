/**
 * Some settings mean nothing on the other operating system, and are refused once the pod says which it is for.
 * Upstream: pkg/apis/core/validation/validation.go (validateOS, validateLinux, validateWindows)
 */
import {
  type FieldError,
  fieldForbidden,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import type { PodSpec, SecurityContext } from "../../../../generated/core.v1.ts";
import { containersOf } from "./containers-of.ts";

export function validateOperatingSystem(spec: PodSpec, path: string): FieldError[] {
  if (spec.os === undefined) return [];
  const { name } = spec.os;
  if (!name) return [required(`${path}.os.name`)];
  if (name === "linux") return notForLinux(spec, path);
  if (name === "windows") return notForWindows(spec, path);
  return [notSupported(`${path}.os`, name, ["linux", "windows"])];
}

function notForLinux(spec: PodSpec, path: string): FieldError[] {
  return [{ container: spec, path }, ...containersOf(spec, path)]
    .filter(({ container }) => container.securityContext?.windowsOptions !== undefined)
    .map(({ path: at }) =>
      fieldForbidden(`${at}.securityContext.windowsOptions`, "windows options cannot be set for a linux pod"),
    );
}

/** What a pod says in its own fields about sharing is looked at among the fields of its security context. */
const POD_FIELDS = [
  "securityContext.appArmorProfile",
  "securityContext.seLinuxOptions",
  "hostUsers",
  "hostPID",
  "hostIPC",
  "securityContext.seccompProfile",
  "securityContext.fsGroup",
  "securityContext.fsGroupChangePolicy",
  "securityContext.sysctls",
  "shareProcessNamespace",
  "securityContext.runAsUser",
  "securityContext.runAsGroup",
  "securityContext.supplementalGroups",
  "securityContext.supplementalGroupsPolicy",
  "securityContext.seLinuxChangePolicy",
] as const;
/** What counts only when it says something. */
const BLANK: Readonly<Record<string, (value: unknown) => boolean>> = {
  hostPID: (value) => value === false,
  hostIPC: (value) => value === false,
  "securityContext.sysctls": (value) => (value as readonly unknown[]).length === 0,
};
const CONTAINER_FIELDS: readonly (keyof SecurityContext)[] = [
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
];

function notForWindows(spec: PodSpec, path: string): FieldError[] {
  const fields: Readonly<Record<string, unknown>> = {
    ...spec,
    ...Object.fromEntries(
      Object.entries(spec.securityContext ?? {}).map(([name, value]) => [`securityContext.${name}`, value]),
    ),
  };
  const refused = (at: string) => fieldForbidden(at, "cannot be set for a windows pod");
  return [
    ...POD_FIELDS.filter((name) => fields[name] !== undefined && BLANK[name]?.(fields[name]) !== true).map((name) =>
      refused(`${path}.${name}`),
    ),
    ...containersOf(spec, path).flatMap(({ container: { securityContext }, path: at }) =>
      CONTAINER_FIELDS.filter((name) => securityContext?.[name] !== undefined).map((name) =>
        refused(`${at}.securityContext.${name}`),
      ),
    ),
  ];
}
