/**
 * What is said about containers: who they run as, what they have, and that one that has ended stays ended unless it may run again.
 * Upstream: pkg/apis/core/validation/validation.go (ValidateContainerStateTransition, validateContainerStatusUsers,
 * validateContainerStatusAllocatedResourcesStatus, validateVolumeStatus), pkg/api/v1/pod/util.go
 */
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../../../machinery/validation/field-error.ts";
import type { Container, ContainerStatus, Pod, PodSpec, PodStatus } from "../../../../generated/core.v1.ts";
import { isId } from "./security.ts";

const LISTS = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] as const;

/** A container that has ended and may not run again stays ended. */
export function validateTransitions(status: PodStatus, { spec, status: before = {} }: Pod): FieldError[] {
  const all = restartsAll(spec);
  const mayRestart = (containers: readonly Container[] | undefined) => (name: string, exitCode: number) => {
    const container = containers?.find((one) => one.name === name);
    return all || (container !== undefined && shouldRestart(container, spec, exitCode));
  };
  const check = (list: (typeof LISTS)[number], allowed: (name: string, exitCode: number) => boolean) =>
    (before[list] ?? []).flatMap(({ name, state }, i) => {
      const ended = state?.terminated;
      const now = status[list]?.find((one) => one.name === name && one.state?.terminated === undefined);
      return ended === undefined || now === undefined || allowed(name, ended.exitCode ?? 0)
        ? []
        : [fieldForbidden(`status.${list}[${i}].state`, "may not be transitioned to non-terminated state")];
    });
  return [
    ...check("containerStatuses", mayRestart(spec.containers)),
    ...check("initContainerStatuses", mayRestart(spec.initContainers)),
    ...check("ephemeralContainerStatuses", () => false),
  ];
}

function restartsAll({ initContainers = [], containers = [] }: PodSpec): boolean {
  return [...initContainers, ...containers].some((container) =>
    container.restartPolicyRules?.some(({ action }) => action === "RestartAllContainers"),
  );
}

function shouldRestart(container: Container, spec: PodSpec, exitCode: number): boolean {
  if (
    container.restartPolicy !== undefined &&
    (container.restartPolicyRules ?? []).some((rule) => matches(rule, exitCode))
  )
    return true;
  switch (container.restartPolicy ?? spec.restartPolicy) {
    case "OnFailure":
      return exitCode !== 0;
    case "Never":
      return false;
    default:
      return true;
  }
}

type Rule = NonNullable<Container["restartPolicyRules"]>[number];

function matches({ exitCodes }: Rule, exitCode: number): boolean {
  const listed = exitCodes?.values?.includes(exitCode) === true;
  if (exitCodes?.operator === "In") return listed;
  return exitCodes?.operator === "NotIn" && !listed;
}

/** `checkImages`: whether the images of volumes are told with their digests. */
export function validateContainerStatuses(
  status: PodStatus,
  spec: PodSpec,
  { checkImages }: { readonly checkImages: boolean },
): FieldError[] {
  const each = (check: (one: ContainerStatus, at: string, list: (typeof LISTS)[number]) => readonly FieldError[]) =>
    LISTS.flatMap((list) => (status[list] ?? []).flatMap((one, i) => check(one, `status.${list}[${i}]`, list)));
  return [
    ...each(({ user }, at) => validateUser(user, `${at}.user.linux`, spec.os?.name ?? "linux")),
    ...each((one, at, list) => {
      if (list !== "ephemeralContainerStatuses")
        return validateAllocated(one, at, (list === "containerStatuses" ? spec.containers : spec.initContainers) ?? []);
      return (one.allocatedResourcesStatus ?? []).length === 0
        ? []
        : [fieldForbidden(`${at}.allocatedResourcesStatus`, "must not be specified in container status")];
    }),
    ...each(({ volumeMounts = [] }, at) =>
      volumeMounts.flatMap(({ volumeStatus }, j) =>
        !checkImages || volumeStatus?.image === undefined
          ? []
          : checkImageRef(
              volumeStatus.image.imageRef ?? "",
              `${at}.volumeMounts[${j}].volumeStatus.imageVolumeStatus.imageRef`,
            ),
      ),
    ),
  ];
}

function validateUser(user: ContainerStatus["user"], path: string, os: string): FieldError[] {
  const linux = user?.linux;
  if (linux === undefined) return [];
  if (os === "windows") return [fieldForbidden(path, "cannot be set for a windows pod")];
  if (os !== "linux") return [];
  const check = (id: number, at: string) => isId(id).map((message) => invalid(at, id, message));
  return [
    ...check(linux.uid ?? 0, `${path}.uid`),
    ...check(linux.gid ?? 0, `${path}.gid`),
    ...(linux.supplementalGroups ?? []).flatMap((group, i) => check(group, `${path}.supplementalGroups[${i}]`)),
  ];
}

const HEALTH: readonly string[] = ["Healthy", "Unhealthy", "Unknown"];
const MAX_MESSAGE = 1024;

function validateAllocated(one: ContainerStatus, path: string, containers: readonly Container[]): FieldError[] {
  const container = containers.find(({ name }) => name === one.name);
  return (one.allocatedResourcesStatus ?? []).flatMap(({ name = "", resources = [] }, j) => {
    const at = `${path}.allocatedResourcesStatus[${j}]`;
    const errors = container === undefined ? [] : checkAllocatedName(name, `${at}.name`, container);
    const seen = new Set<string>();
    for (const [k, { health = "", message, resourceID }] of resources.entries()) {
      const resource = `${at}.resources[${k}]`;
      if (!HEALTH.includes(health)) errors.push(notSupported(`${resource}.health`, health, HEALTH));
      if (message === "") errors.push(required(`${resource}.message`, "must be non-empty if specified"));
      else if (message !== undefined && Buffer.byteLength(message) > MAX_MESSAGE)
        errors.push(tooLong(`${resource}.message`, MAX_MESSAGE));
      if (seen.has(resourceID)) errors.push(duplicate(`${resource}.resourceID`, resourceID));
      seen.add(resourceID);
    }
    return errors;
  });
}

const NO_CLAIM =
  "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";

function checkAllocatedName(name: string, path: string, { resources }: Container): FieldError[] {
  if (!name.startsWith("claim:"))
    return resources?.requests?.[name] === undefined
      ? [invalid(path, name, "must match one of the container's resource requests")]
      : [];
  const known = (resources?.claims ?? []).some(
    ({ name: claim, request }) => name === `claim:${claim}${request ? `/${request}` : ""}`,
  );
  return known ? [] : [invalid(path, name, NO_CLAIM)];
}

const MAX_IMAGE_REF = 256;

function checkImageRef(reference: string, path: string): FieldError[] {
  if (reference === "") return [required(path, "imageRef must not be empty")];
  return Buffer.byteLength(reference) > MAX_IMAGE_REF ? [tooLong(path, MAX_IMAGE_REF)] : [];
}
