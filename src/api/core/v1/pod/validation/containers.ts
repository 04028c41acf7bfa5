/**
 * Containers of all three kinds: ports, environment, mounts, probes, hooks.
 * Upstream: pkg/apis/core/validation/validation.go (validateContainers, validateInitContainers, validateEphemeralContainers)
 */
import {
  checkPortNumber,
  checkRequiredText,
  checkText,
  checkWord,
} from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  fieldNotFound,
  invalid,
  notSupported,
  required,
  tooMany,
} from "../../../../../machinery/validation/field-error.ts";
import {
  isConfigMapKey,
  isDns1123Label,
  isDns1123Subdomain,
  isEnvVarName,
  isPortName,
  maskTrailingDash,
} from "../../../../../machinery/validation/names.ts";
import type {
  Container,
  ContainerPort,
  EnvFromSource,
  EnvVar,
  PodSpec,
  VolumeDevice,
  VolumeMount,
} from "../../../../generated/core.v1.ts";
import { isSidecar } from "../resources.ts";
import { ENV_FIELDS, validateFieldRef, validateResourceFieldRef } from "./downward-api.ts";
import { claimNamesOf, validateResourceRequirements } from "./resources.ts";
import { validateSecurityContext } from "./security.ts";
import type { PodRules } from "./rules.ts";
import { validateLifecycle } from "./lifecycle.ts";
import { validateLivenessProbe, validateReadinessProbe } from "./probes.ts";
import { isDescendingPath, isPathWithoutBacksteps } from "./volume-sources.ts";
import type { KnownVolumes } from "./volumes.ts";

/** What containers are judged against. */
export interface PodContext {
  readonly spec: PodSpec;
  readonly volumes: KnownVolumes;
  readonly rules: PodRules;
}

export function validateContainers(context: PodContext, path: string): FieldError[] {
  const containers = context.spec.containers ?? [];
  if (containers.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [i, container] of containers.entries()) {
    const at = `${path}[${i}]`;
    errors.push(...validateContainer(container, at, context));
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    errors.push(
      ...validateLifecycleAndProbes(container, at, context),
      ...validateRestartPolicy(container, at, context.rules),
    );
  }
  return [...errors, ...validateHostPorts(containers, path)];
}

export function validateInitContainers(context: PodContext, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set((context.spec.containers ?? []).map(({ name }) => name));
  for (const [i, container] of (context.spec.initContainers ?? []).entries()) {
    const at = `${path}[${i}]`;
    errors.push(
      ...validateContainer(container, at, context),
      ...validateInitRestartPolicy(container, at, context.rules),
    );
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    if (container.name) names.add(container.name);
    errors.push(...validateHostPorts([container], path));
    if (isSidecar(container)) errors.push(...validateLifecycleAndProbes(container, at, context));
    else
      for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const)
        if (container[field] !== undefined)
          errors.push(
            fieldForbidden(`${at}.${field}`, "may not be set for init containers without restartPolicy=Always"),
          );
    if (isSidecar(container) || context.rules.allowRestartOfInitContainers) continue;
    for (const [j, { restartPolicy }] of (container.resizePolicy ?? []).entries())
      if (restartPolicy === "RestartContainer")
        errors.push(
          invalid(
            `${at}.resizePolicy[${j}].restartPolicy`,
            restartPolicy,
            "must not be set to 'RestartContainer' for non-sidecar initContainers",
          ),
        );
  }
  return errors;
}

/** Rules without a policy are told at once, and not looked at. */
function validateInitRestartPolicy(container: Container, path: string, rules: PodRules): FieldError[] {
  const hasRules = (container.restartPolicyRules ?? []).length > 0;
  if (isSidecar(container) && !rules.allowRestartOfAll)
    return hasRules
      ? [
          fieldForbidden(
            `${path}.restartPolicyRules`,
            "restartPolicyRules are not allowed for init containers with restart policy Always",
          ),
        ]
      : [];
  if (container.restartPolicy !== undefined) return validateRestartPolicy(container, path, rules);
  return hasRules ? [required(`${path}.restartPolicy`, "must specify restartPolicy when restart rules are used")] : [];
}

const NOT_FOR_EPHEMERAL = [
  "ports",
  "resources",
  "resizePolicy",
  "restartPolicy",
  "restartPolicyRules",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
] as const;

export function validateEphemeralContainers(context: PodContext, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { spec } = context;
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name));
  const names = new Set(others);
  for (const [i, container] of (spec.ephemeralContainers ?? []).entries()) {
    const at = `${path}[${i}]`;
    errors.push(...validateContainer(container, at, context), ...checkImage(container.image, at));
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    const target = container.targetContainerName;
    if (target && !others.has(target)) errors.push(fieldNotFound(`${at}.targetContainerName`, target));
    for (const field of NOT_FOR_EPHEMERAL) {
      const value: unknown = container[field];
      // Resources that say nothing are as good as none.
      const none = field === "resources" && Object.keys(value ?? {}).length === 0;
      if (value !== undefined && !none)
        errors.push(fieldForbidden(`${at}.${field}`, "cannot be set for an Ephemeral Container"));
    }
    for (const [j, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries()) {
      const mount = `${at}.volumeMounts[${j}]`;
      if (subPath) errors.push(fieldForbidden(`${mount}.subPath`, "cannot be set for an Ephemeral Container"));
      if (subPathExpr) errors.push(fieldForbidden(`${mount}.subPathExpr`, "cannot be set for an Ephemeral Container"));
    }
  }
  return errors;
}

function validateContainer(container: Container, path: string, context: PodContext): FieldError[] {
  const { spec } = context;
  const errors = checkRequiredText(container.name, `${path}.name`, isDns1123Label);
  if (!container.image) errors.push(required(`${path}.image`));
  errors.push(
    ...checkWord(container.terminationMessagePolicy, `${path}.terminationMessagePolicy`, [
      "File",
      "FallbackToLogsOnError",
    ]),
    ...validatePorts(container.ports ?? [], `${path}.ports`),
    ...(container.env ?? []).flatMap((variable, i) => validateEnv(variable, `${path}.env[${i}]`, context.rules)),
    ...(container.envFrom ?? []).flatMap((source, i) => validateEnvFrom(source, `${path}.envFrom`, i)),
    ...validateMounts(container, path, context),
    ...validateDevices(container, path, context),
    ...checkWord(container.imagePullPolicy, `${path}.imagePullPolicy`, ["Always", "IfNotPresent", "Never"]),
    ...validateResourceRequirements(container.resources, `${path}.resources`, {
      level: "container",
      claimNames: claimNamesOf(spec),
      allowOddHugePages: context.rules.allowOddHugePages,
    }),
    ...validateResizePolicy(container, `${path}.resizePolicy`, spec.restartPolicy),
    ...validateSecurityContext(container.securityContext, `${path}.securityContext`, {
      hostUsers: spec.hostUsers !== false,
      allowPrivileged: context.rules.allowPrivileged,
    }),
  );
  return errors;
}

export function checkImage(image: string | undefined, path: string): FieldError[] {
  if (image === undefined || image === image.trim()) return [];
  return [invalid(`${path}.image`, image, "must not have leading or trailing whitespace")];
}

function validatePorts(ports: readonly ContainerPort[], path: string): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap(({ name, containerPort, hostPort, protocol }, i) => {
    const at = `${path}[${i}]`;
    const errors: FieldError[] = [];
    if (name) {
      const messages = checkText(name, `${at}.name`, isPortName);
      if (messages.length > 0) errors.push(...messages);
      else if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
      else names.add(name);
    }
    if (!containerPort) errors.push(required(`${at}.containerPort`));
    else errors.push(...checkPortNumber(containerPort, `${at}.containerPort`));
    if (hostPort) errors.push(...checkPortNumber(hostPort, `${at}.hostPort`));
    return [...errors, ...checkWord(protocol, `${at}.protocol`, ["SCTP", "TCP", "UDP"])];
  });
}

/** Two containers can't listen on the same port of the node. */
function validateHostPorts(containers: readonly Container[], path: string): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap(({ ports = [] }, i) =>
    ports.flatMap(({ protocol, hostIP = "", hostPort = 0 }, j) => {
      if (hostPort === 0) return [];
      const key = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(key)) return [duplicate(`${path}[${i}].ports[${j}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}

function validateEnv({ name, value, valueFrom }: EnvVar, path: string, { allowEnvFiles }: PodRules): FieldError[] {
  const errors = checkRequiredText(name, `${path}.name`, isEnvVarName);
  if (valueFrom === undefined) return errors;
  const at = `${path}.valueFrom`;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom;
  if (fieldRef !== undefined) errors.push(...validateFieldRef(fieldRef, `${at}.fieldRef`, ENV_FIELDS));
  if (resourceFieldRef !== undefined)
    errors.push(...validateResourceFieldRef(resourceFieldRef, `${at}.resourceFieldRef`, false));
  for (const [field, reference] of [
    ["configMapKeyRef", configMapKeyRef],
    ["secretKeyRef", secretKeyRef],
  ] as const) {
    if (reference === undefined) continue;
    errors.push(...checkText(reference.name ?? "", `${at}.${field}.name`, isDns1123Subdomain));
    errors.push(...checkRequiredText(reference.key, `${at}.${field}.key`, isConfigMapKey));
  }
  if (fileKeyRef !== undefined) {
    errors.push(...checkRequiredText(fileKeyRef.key, `${at}.fileKeyRef.key`, isEnvVarName));
    errors.push(...checkRequiredText(fileKeyRef.volumeName, `${at}.fileKeyRef.volumeName`, isDns1123Label));
    errors.push(...checkRequiredText(fileKeyRef.path, `${at}.fileKeyRef.path`, isPathWithoutBacksteps));
  }
  const sources = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(
    (source) => source !== undefined,
  ).length;
  if (sources === 0)
    errors.push(
      invalid(
        at,
        "",
        allowEnvFiles
          ? "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
          : "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
      ),
    );
  else if (value) errors.push(invalid(at, "", "may not be specified when `value` is not empty"));
  else if (sources > 1) errors.push(invalid(at, "", "may not have more than one field specified at a time"));
  return errors;
}

function validateEnvFrom({ prefix, configMapRef, secretRef }: EnvFromSource, path: string, i: number): FieldError[] {
  const errors: FieldError[] = [];
  if (prefix) errors.push(...checkText(prefix, `${path}[${i}].prefix`, isEnvVarName));
  for (const [field, reference] of [
    ["configMapRef", configMapRef],
    ["secretRef", secretRef],
  ] as const)
    if (reference !== undefined)
      errors.push(
        ...checkRequiredText(reference.name, `${path}[${i}].${field}.name`, (name) =>
          isDns1123Subdomain(maskTrailingDash(name)),
        ),
      );
  if (configMapRef === undefined && secretRef === undefined)
    errors.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
  else if (configMapRef !== undefined && secretRef !== undefined)
    errors.push(invalid(path, "", "may not have more than one field specified at a time"));
  return errors;
}

function validateMounts(container: Container, path: string, { volumes }: PodContext): FieldError[] {
  const mounts = container.volumeMounts ?? [];
  const devices = container.volumeDevices ?? [];
  const at = `${path}.volumeMounts`;
  const seen = new Set<string>();
  return mounts.flatMap((mount, i) => {
    const one = `${at}[${i}]`;
    const errors: FieldError[] = [];
    if (!mount.name) errors.push(required(`${one}.name`));
    if (!volumes.has(mount.name)) errors.push(fieldNotFound(`${one}.name`, mount.name ?? ""));
    if (!mount.mountPath) errors.push(required(`${one}.mountPath`));
    if (seen.has(mount.mountPath)) errors.push(invalid(`${one}.mountPath`, mount.mountPath, "must be unique"));
    seen.add(mount.mountPath);
    if (devices.some(({ name }: VolumeDevice) => name === mount.name))
      errors.push(invalid(`${one}.name`, mount.name, "must not already exist in volumeDevices"));
    // Of devices of one name the last counts.
    const paths = new Map(devices.map(({ name, devicePath }: VolumeDevice) => [name, devicePath]));
    if ([...paths.values()].includes(mount.mountPath))
      errors.push(invalid(`${one}.mountPath`, mount.mountPath, "must not already exist as a path in volumeDevices"));
    if (mount.subPath) errors.push(...checkText(mount.subPath, `${at}.subPath`, isDescendingPath));
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.push(invalid(`${one}.subPathExpr`, mount.subPathExpr, "subPathExpr and subPath are mutually exclusive"));
      errors.push(...checkText(mount.subPathExpr, `${at}.subPathExpr`, isDescendingPath));
    }
    return [...errors, ...validatePropagation(mount, container, at)];
  });
}

function validatePropagation(mount: VolumeMount, container: Container, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { mountPropagation, recursiveReadOnly, readOnly } = mount;
  if (mountPropagation !== undefined) {
    const known = ["Bidirectional", "HostToContainer", "None"];
    if (!known.includes(mountPropagation))
      errors.push(notSupported(`${path}.mountPropagation`, mountPropagation, known));
    if (mountPropagation === "Bidirectional" && container.securityContext?.privileged !== true)
      errors.push(
        fieldForbidden(
          `${path}.mountPropagation`,
          "Bidirectional mount propagation is available only to privileged containers",
        ),
      );
  }
  const at = `${path}.recursiveReadOnly`;
  if (recursiveReadOnly === "Enabled" || recursiveReadOnly === "IfPossible") {
    if (readOnly !== true) errors.push(fieldForbidden(at, "may only be specified when readOnly is true"));
    if (mountPropagation !== undefined && mountPropagation !== "None")
      errors.push(fieldForbidden(at, "may only be specified when mountPropagation is None or not specified"));
  } else if (recursiveReadOnly !== undefined && recursiveReadOnly !== "Disabled")
    errors.push(notSupported(at, recursiveReadOnly, ["Disabled", "Enabled", "IfPossible"]));
  return errors;
}

function validateDevices(container: Container, path: string, { volumes }: PodContext): FieldError[] {
  const mounts = container.volumeMounts ?? [];
  const names = new Set<string>();
  const paths = new Set<string>();
  return (container.volumeDevices ?? []).flatMap(({ name, devicePath }, i) => {
    const at = `${path}.volumeDevices[${i}]`;
    const errors: FieldError[] = [];
    const volume = volumes.get(name);
    if (!name) errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, "must be unique"));
    if (volume === undefined) errors.push(fieldNotFound(`${at}.name`, name ?? ""));
    else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined)
      errors.push(
        invalid(
          `${at}.name`,
          name,
          "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
        ),
      );
    if (!devicePath) errors.push(required(`${at}.devicePath`));
    if (paths.has(devicePath)) errors.push(invalid(`${at}.devicePath`, devicePath, "must be unique"));
    if (devicePath && isPathWithoutBacksteps(devicePath).length > 0)
      errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    else paths.add(devicePath);
    if (mounts.some((mount) => mount.name === name))
      errors.push(invalid(`${at}.name`, name, "must not already exist in volumeMounts"));
    // Of mounts of one name the last counts.
    if ([...new Map(mounts.map((mount) => [mount.name, mount.mountPath])).values()].includes(devicePath))
      errors.push(invalid(`${at}.devicePath`, devicePath, "must not already exist as a path in volumeMounts"));
    if (name) names.add(name);
    return errors;
  });
}

function validateResizePolicy(container: Container, path: string, podPolicy: string | undefined): FieldError[] {
  const seen = new Set<string>();
  return (container.resizePolicy ?? []).flatMap(({ resourceName, restartPolicy }, i) => {
    const errors: FieldError[] = [];
    if (seen.has(resourceName)) errors.push(duplicate(`${path}[${i}]`, resourceName));
    seen.add(resourceName);
    errors.push(...checkWord(resourceName, path, ["cpu", "memory"]));
    errors.push(...checkWord(restartPolicy, path, ["NotRequired", "RestartContainer"]));
    if (podPolicy === "Never" && restartPolicy !== "NotRequired")
      errors.push(invalid(path, restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
    return errors;
  });
}

function validateRestartPolicy(container: Container, path: string, { allowRestartOfAll }: PodRules): FieldError[] {
  const { restartPolicy, restartPolicyRules = [] } = container;
  const errors: FieldError[] = [];
  if (restartPolicy === undefined) {
    if (restartPolicyRules.length > 0)
      errors.push(required(`${path}.restartPolicy`, "must specify restartPolicy when restart rules are used"));
  } else if (!["Always", "Never", "OnFailure"].includes(restartPolicy))
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, ["Always", "Never", "OnFailure"]));
  const at = `${path}.restartPolicyRules`;
  if (restartPolicyRules.length > 20) errors.push(tooMany(at, restartPolicyRules.length, 20));
  for (const [i, { action, exitCodes }] of restartPolicyRules.entries()) {
    const actions = allowRestartOfAll ? ["Restart", "RestartAllContainers"] : ["Restart"];
    if (!actions.includes(action)) errors.push(notSupported(`${at}[${i}].action`, action ?? "", actions));
    if (exitCodes === undefined) {
      errors.push(required(`${at}[${i}].exitCodes`, "must be specified"));
      continue;
    }
    if (exitCodes.operator !== "In" && exitCodes.operator !== "NotIn")
      errors.push(notSupported(`${at}[${i}].exitCodes.operator`, exitCodes.operator ?? "", ["In", "NotIn"]));
    if ((exitCodes.values ?? []).length > 255)
      errors.push(tooMany(`${at}[${i}].exitCodes.values`, exitCodes.values!.length, 255));
  }
  return errors;
}

function validateLifecycleAndProbes(container: Container, path: string, { spec }: PodContext): FieldError[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  const grace = spec.terminationGracePeriodSeconds;
  return [
    ...validateLifecycle(lifecycle, `${path}.lifecycle`, grace, spec.os?.name),
    ...validateLivenessProbe(livenessProbe, `${path}.livenessProbe`),
    ...validateReadinessProbe(readinessProbe, `${path}.readinessProbe`),
    ...validateLivenessProbe(startupProbe, `${path}.startupProbe`),
  ];
}
