/**
 * The rules of a pod's spec, for pods and for the templates of all workloads.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodSpec, ValidatePodTemplateSpec)
 */
import { compareQuantities, parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { checkText, checkWord } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  fieldNotFound,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../../../machinery/validation/field-error.ts";
import { isIp } from "../../../../../machinery/validation/ip.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isDns1123SubdomainWithUnderscore,
  isQualifiedName,
} from "../../../../../machinery/validation/names.ts";
import { validateAnnotations, validateLabels } from "../../../../../machinery/validation/object-meta.ts";
import type { PodSpec, PodTemplateSpec } from "../../../../generated/core.v1.ts";
import { sumOfContainers } from "../resources.ts";
import {
  type PodContext,
  validateContainers,
  validateEphemeralContainers,
  validateInitContainers,
} from "./containers.ts";
import { claimNamesOf, isHugePages, validateResourceRequirements } from "./resources.ts";
import { validateAffinity, validateTolerations, validateTopologySpread } from "./scheduling.ts";
import {
  isDeletionCost,
  NOWHERE,
  validateAppArmorAgreement,
  validatePodAnnotations,
  validateSeccompAgreement,
} from "./annotations.ts";
import { containersOf } from "./containers-of.ts";
import type { HookContext } from "../../../../../machinery/resource.ts";
import { internalValue } from "../../../../internal-value.ts";
import { validateOperatingSystem } from "./operating-system.ts";
import { podRules, type PodRules } from "./rules.ts";
import { validatePodSecurityContext } from "./security.ts";
import { validateHostProcesses } from "./windows.ts";
import { validateVolumes } from "./volumes.ts";

/** What a write of a template is judged by, beside the template. */
export interface TemplateOrigin extends Partial<Pick<HookContext, "featureGates" | "allowPrivileged">> {
  readonly oldTemplate?: PodTemplateSpec | undefined;
}

export function validatePodTemplate(
  template: PodTemplateSpec | undefined,
  path: string,
  origin: TemplateOrigin = {},
): FieldError[] {
  if (template === undefined) return [required(path)];
  const annotations = template.metadata?.annotations ?? {};
  const spec = template.spec ?? ({} as PodSpec);
  return [
    ...validateTemplateMetadata(template, path, origin),
    ...validatePodSpec(spec, `${path}.spec`, templateRules(origin)),
    ...validateSeccompAgreement(annotations, spec, `${path}.spec`),
    ...validateAppArmorAgreement(annotations, spec, `${path}.spec`),
    ...((spec.ephemeralContainers ?? []).length > 0
      ? [fieldForbidden(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template")]
      : []),
  ];
}

const templateRules = ({ oldTemplate, featureGates, allowPrivileged }: TemplateOrigin): PodRules =>
  podRules({ isPod: false, old: oldTemplate?.spec, gates: featureGates, allowPrivileged });

/** Labels and annotations, those that speak of the pod included. */
export function validateTemplateMetadata(
  template: PodTemplateSpec,
  path: string,
  origin: TemplateOrigin,
): FieldError[] {
  const annotations = template.metadata?.annotations;
  const { oldTemplate } = origin;
  return [
    ...validateLabels(template.metadata?.labels, `${path}.labels`),
    ...validateAnnotations(annotations, `${path}.annotations`),
    ...validatePodAnnotations(annotations ?? {}, template.spec ?? ({} as PodSpec), `${path}.annotations`, {
      allowComparison: templateRules(origin).allowComparison,
      allowInvalidCost: oldTemplate !== undefined && !isDeletionCost(oldTemplate.metadata?.annotations),
    }),
  ];
}

export function validatePodSpec(spec: PodSpec, path: string, rules: PodRules): FieldError[] {
  const errors: FieldError[] = [];
  const check = (value: string | undefined, field: string, rule: (value: string) => readonly string[]) => {
    if (value) errors.push(...checkText(value, `${path}.${field}`, rule));
  };
  if (spec.terminationGracePeriodSeconds === undefined) errors.push(required(`${path}.terminationGracePeriodSeconds`));
  const volumes = validateVolumes(spec.volumes ?? [], `${path}.volumes`, rules);
  errors.push(...volumes.errors, ...validateResourceClaims(spec, `${path}.resourceClaims`, rules));
  const context: PodContext = { spec, volumes: volumes.known, rules };
  errors.push(
    ...validateContainers(context, `${path}.containers`),
    ...validateInitContainers(context, `${path}.initContainers`),
    ...validateEphemeralContainers(context, `${path}.ephemeralContainers`),
    ...validatePodResources(spec, `${path}.resources`, rules),
    ...validateHostNetworkPorts(spec, path, rules),
    ...checkWord(spec.restartPolicy, `${path}.restartPolicy`, ["Always", "OnFailure", "Never"]),
    ...checkWord(spec.dnsPolicy, `${path}.dnsPolicy`, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validatePodSecurityContext(spec, `${path}.securityContext`, rules),
    ...validateAffinity(spec.affinity, `${path}.affinity`, rules),
    ...validateDnsConfig(spec, `${path}.dnsConfig`),
  );
  for (const [i, { conditionType }] of (spec.readinessGates ?? []).entries())
    errors.push(...checkText(conditionType ?? "", `${path}.readinessGates[${i}].conditionType`, isQualifiedName));
  const gates = new Set<string>();
  for (const [i, { name }] of (spec.schedulingGates ?? []).entries()) {
    const at = `${path}.schedulingGates[${i}]`;
    errors.push(...checkText(name ?? "", at, isQualifiedName));
    if (gates.has(name)) errors.push(duplicate(at, name));
    gates.add(name);
  }
  errors.push(
    ...validateTopologySpread(spec.topologySpreadConstraints ?? [], `${path}.topologySpreadConstraints`, rules),
    ...validateHostProcesses(spec, path, rules),
    ...validateHostUsers(spec, path, rules),
    ...validateHostnameOverride(spec, path),
  );
  check(spec.serviceAccountName, "serviceAccountName", isDns1123Subdomain);
  check(spec.nodeName, "nodeName", isDns1123Subdomain);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2147483647))
    errors.push(invalid(`${path}.activeDeadlineSeconds`, deadline, "must be between 1 and 2147483647, inclusive"));
  check(spec.hostname, "hostname", isDns1123Label);
  check(spec.subdomain, "subdomain", isDns1123Label);
  errors.push(...validateTolerations(spec.tolerations ?? [], `${path}.tolerations`, rules));
  for (const [i, { ip, hostnames }] of (spec.hostAliases ?? []).entries()) {
    errors.push(...checkText(ip ?? "", `${path}.hostAliases[${i}].ip`, isIp));
    for (const [j, name] of (hostnames ?? []).entries())
      errors.push(...checkText(name, `${path}.hostAliases[${i}].hostnames[${j}]`, isDns1123Subdomain));
  }
  check(spec.priorityClassName, "priorityClassName", isDns1123Subdomain);
  if (spec.runtimeClassName !== undefined)
    errors.push(...checkText(spec.runtimeClassName, `${path}.runtimeClassName`, isDns1123Subdomain));
  if (spec.preemptionPolicy !== undefined)
    errors.push(...checkWord(spec.preemptionPolicy, `${path}.preemptionPolicy`, ["PreemptLowerPriority", "Never"]));
  if (spec.overhead !== undefined)
    errors.push(
      ...validateResourceRequirements({ limits: spec.overhead }, `${path}.overhead`, {
        level: "container",
        claimNames: [],
        allowOddHugePages: rules.allowOddHugePages,
      }),
    );
  errors.push(
    ...validateOperatingSystem(spec, path),
    ...validateSchedulingGroup(spec, `${path}.schedulingGroup`),
    ...validateFileKeys(spec, path),
  );
  return errors;
}

function validateSchedulingGroup({ schedulingGroup }: PodSpec, path: string): FieldError[] {
  if (schedulingGroup === undefined) return [];
  const { podGroupName } = schedulingGroup;
  if (podGroupName === undefined) return [invalid(`${path}.podGroupName`, null, "must specify one of: `podGroupName`")];
  return checkText(podGroupName, `${path}.podGroupName`, isDns1123Subdomain);
}

function validateResourceClaims(spec: PodSpec, path: string, { isMirror }: PodRules): FieldError[] {
  const names = new Set<string>();
  return (spec.resourceClaims ?? []).flatMap((claim, i) => {
    if (isMirror) return [fieldForbidden(NOWHERE, "static pods do not support resource claims")];
    const { name, resourceClaimName, resourceClaimTemplateName } = claim;
    const at = `${path}[${i}]`;
    const errors: FieldError[] = [];
    if (!name) errors.push(required(`${at}.name`));
    else if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    else {
      errors.push(...checkText(name, `${at}.name`, isDns1123Label));
      names.add(name);
    }
    const shown = internalValue(claim, "io.k8s.api.core.v1.PodResourceClaim");
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined)
      errors.push(
        invalid(at, shown, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
      );
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined)
      errors.push(invalid(at, shown, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    if (resourceClaimName !== undefined)
      errors.push(...checkText(resourceClaimName, `${at}.resourceClaimName`, isDns1123Subdomain));
    if (resourceClaimTemplateName !== undefined)
      errors.push(...checkText(resourceClaimTemplateName, `${at}.resourceClaimTemplateName`, isDns1123Subdomain));
    return errors;
  });
}

/** Resources of the whole pod bound what its containers may ask for together. */
function validatePodResources(spec: PodSpec, path: string, rules: PodRules): FieldError[] {
  const resources = spec.resources;
  if (resources === undefined) return [];
  if (spec.os?.name === "windows") return [fieldForbidden(path, "may not be set for a windows pod")];
  const errors: FieldError[] = [];
  if (resources.claims !== undefined)
    errors.push(fieldForbidden(`${path}.claims`, "claims may not be set for Resources at pod-level"));
  errors.push(
    ...validateResourceRequirements(resources, path, {
      level: "pod",
      claimNames: claimNamesOf(spec),
      allowOddHugePages: rules.allowOddHugePages,
    }),
  );
  const below = (a: string | undefined, b: string | undefined) => {
    const [left, right] = [parseQuantity(a ?? ""), parseQuantity(b ?? "")];
    return left !== undefined && right !== undefined && compareQuantities(left, right) < 0;
  };
  const requests = sumOfContainers(spec, "requests");
  for (const [name, text] of Object.entries(resources.requests ?? {}))
    if (below(text, requests[name]))
      errors.push(
        invalid(
          `${path}.requests[${name}]`,
          text,
          `must be greater than or equal to aggregate container requests of ${requests[name]}`,
        ),
      );
  const limits = sumOfContainers(spec, "limits");
  for (const [name, text] of Object.entries(resources.limits ?? {}))
    if (isHugePages(name) && below(text, limits[name]))
      errors.push(
        invalid(
          `${path}.limits[${name}]`,
          text,
          `must be greater than or equal to aggregate container limits of ${limits[name]}`,
        ),
      );
  for (const [i, container] of (spec.containers ?? []).entries())
    for (const [name, text] of Object.entries(container.resources?.limits ?? {}))
      if (below(resources.limits?.[name], text))
        errors.push(
          invalid(
            `${path}.containers[${i}][${name}].limits`,
            text,
            `must be less than or equal to pod limits of ${resources.limits![name]}`,
          ),
        );
  return errors;
}

function validateHostNetworkPorts(spec: PodSpec, path: string, { isPod }: PodRules): FieldError[] {
  if (spec.hostNetwork !== true) return [];
  return (spec.containers ?? []).flatMap(({ ports = [] }, i) =>
    ports.flatMap(({ containerPort, hostPort = 0 }, j) =>
      hostPort !== containerPort && (isPod || hostPort !== 0)
        ? [
            invalid(
              `${path}.containers[${i}].ports[${j}].hostPort`,
              hostPort,
              "must match `containerPort` when `hostNetwork` is true",
            ),
          ]
        : [],
    ),
  );
}

function validateDnsConfig(spec: PodSpec, path: string): FieldError[] {
  const config = spec.dnsConfig;
  if (spec.dnsPolicy === "None") {
    if (config === undefined) return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if ((config.nameservers ?? []).length === 0)
      return [required(`${path}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None")];
  }
  if (config === undefined) return [];
  const { nameservers = [], searches = [], options = [] } = config;
  const errors: FieldError[] = [];
  if (nameservers.length > 3)
    errors.push(invalid(`${path}.nameservers`, nameservers, "must not have more than 3 nameservers"));
  for (const [i, server] of nameservers.entries()) errors.push(...checkText(server, `${path}.nameservers[${i}]`, isIp));
  if (searches.length > 32)
    errors.push(invalid(`${path}.searches`, searches, "must not have more than 32 search paths"));
  if (searches.join(" ").length > 2048)
    errors.push(
      invalid(
        `${path}.searches`,
        searches,
        "must not have more than 2048 characters (including spaces) in the search list",
      ),
    );
  for (const [i, search] of searches.entries())
    if (search !== ".")
      errors.push(...checkText(search.replace(/\.$/, ""), `${path}.searches[${i}]`, isDns1123SubdomainWithUnderscore));
  for (const [i, { name }] of options.entries())
    if (!name) errors.push(required(`${path}.options[${i}]`, "must not be empty"));
  return errors;
}

/** A user namespace of its own excludes sharing other namespaces of the host. */
function validateHostUsers(spec: PodSpec, path: string, rules: PodRules): FieldError[] {
  if (spec.hostUsers !== false) return [];
  const detail = "when `hostUsers` is false";
  const errors: FieldError[] = [];
  if (spec.hostNetwork === true && !rules.allowHostNetworkOfUsers)
    errors.push(fieldForbidden(`${path}.hostNetwork`, detail));
  if (spec.hostPID === true) errors.push(fieldForbidden(`${path}.HostPID`, detail));
  if (spec.hostIPC === true) errors.push(fieldForbidden(`${path}.HostIPC`, detail));
  if (rules.allowDevicesOfUsers) return errors;
  for (const { container, path: at } of containersOf(spec, path))
    if ((container.volumeDevices ?? []).length > 0) errors.push(fieldForbidden(`${at}.volumeDevices`, detail));
  return errors;
}

function validateHostnameOverride(spec: PodSpec, path: string): FieldError[] {
  const name = spec.hostnameOverride;
  if (name === undefined) return [];
  const at = `${path}.hostnameOverride`;
  const errors: FieldError[] = [];
  if (spec.setHostnameAsFQDN === true)
    errors.push(fieldForbidden(at, "may not be specified when setHostnameAsFQDN is true"));
  if (spec.hostNetwork === true) errors.push(fieldForbidden(at, "may not be specified when hostNetwork is true"));
  if (Buffer.byteLength(name) > 64) errors.push(tooLong(at, 64));
  return [...errors, ...checkText(name, at, isDns1123Subdomain)];
}

/** Files with variables are written by init containers into a volume that lives with the pod. */
function validateFileKeys(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const { container, path: place } of containersOf(spec, path))
    for (const [j, { valueFrom }] of (container.env ?? []).entries()) {
      if (valueFrom?.fileKeyRef === undefined) continue;
      const { volumeName: name = "" } = valueFrom.fileKeyRef;
      const at = `${place}.env[${j}].valueFrom.fileKeyRef.volumeName`;
      const volume = spec.volumes?.findLast((candidate) => candidate.name === name);
      if (volume === undefined) errors.push(fieldNotFound(at, name));
      else if (volume.emptyDir === undefined)
        errors.push(invalid(at, name, "referenced volume must be of type emptyDir"));
    }
  return errors;
}

/** What workloads ask of the template beyond its own rules. */
export function validateAlwaysRunning(template: PodTemplateSpec | undefined, path: string, kind: string): FieldError[] {
  const errors: FieldError[] = [];
  const policy = template?.spec?.restartPolicy;
  if (policy !== undefined && policy !== "Always")
    errors.push(notSupported(`${path}.spec.restartPolicy`, policy, ["Always"]));
  if (template?.spec?.activeDeadlineSeconds !== undefined)
    errors.push(
      fieldForbidden(`${path}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`),
    );
  return errors;
}
