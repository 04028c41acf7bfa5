/**
 * What kubelets and controllers write about a pod.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodStatusUpdate)
 */
import { parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { checkText } from "../../../../../machinery/validation/checks.ts";
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  internalError,
  invalid,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import { isIp, parseIp } from "../../../../../machinery/validation/ip.ts";
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from "../../../../../machinery/validation/names.ts";
import { immutableField, sortedEntries } from "../../../../../machinery/validation/object-meta.ts";
import type { Pod, PodCondition, PodSpec, PodStatus } from "../../../../generated/core.v1.ts";
import { validateAnnotationsUpdate } from "./annotations.ts";
import { validateContainerStatuses, validateTransitions } from "./container-statuses.ts";
import { type PodContext, rulesOfWrite } from "./pod.ts";
import { isNativeResource } from "./resources.ts";

export function validatePodStatusUpdate(pod: Pod, old: Pod, context: PodContext): FieldError[] {
  const status = pod.status ?? {};
  const before = old.status ?? {};
  return [
    ...validateAnnotationsUpdate(pod, old, rulesOfWrite(pod, old, context)),
    ...validateConditions(status.conditions ?? []),
    ...validateNominatedNode(status, old),
    ...checkGeneration(status.observedGeneration, "status.observedGeneration"),
    ...immutableField(status.qosClass ?? "", before.qosClass ?? "", "status.qosClass"),
    ...validateTransitions(status, old),
    ...validateClaimStatuses(status, pod.spec),
    ...validateExtendedResources(status, pod.spec),
    ...validateNodeAllocatable(status, pod.spec),
    ...validateAddresses(status.podIPs ?? [], before.podIPs ?? [], "status.podIPs"),
    ...validateHostAddress(status),
    ...validateAddresses(status.hostIPs ?? [], before.hostIPs ?? [], "status.hostIPs"),
    ...validateContainerStatuses(status, pod.spec, {
      checkImages: context.featureGates.get("ImageVolumeWithDigest") === true,
    }),
  ];
}

const SYSTEM_CONDITIONS: readonly string[] = ["PodScheduled", "Ready", "Initialized"];

function validateConditions(conditions: readonly PodCondition[]): FieldError[] {
  return conditions.flatMap(({ type = "", observedGeneration }, i) => [
    ...checkGeneration(observedGeneration, `status.conditions[${i}].observedGeneration`),
    ...(SYSTEM_CONDITIONS.includes(type) ? [] : checkText(type, `status.conditions[${i}].Type`, isQualifiedName)),
  ]);
}

function checkGeneration(generation: number | undefined, path: string): FieldError[] {
  return (generation ?? 0) < 0 ? [invalid(path, generation, "must be a non-negative integer")] : [];
}

function validateNominatedNode({ nominatedNodeName: name }: PodStatus, old: Pod): FieldError[] {
  const path = "status.nominatedNodeName";
  if (!name || name === (old.status?.nominatedNodeName ?? "")) return [];
  const errors = checkText(name, path, isDns1123Subdomain);
  if (old.spec.nodeName) errors.push(fieldForbidden(path, "may not be set on pods that are already bound to a node"));
  return errors;
}

function validateClaimStatuses(
  { resourceClaimStatuses = [] }: PodStatus,
  { resourceClaims = [] }: PodSpec,
): FieldError[] {
  const seen = new Set<string>();
  return resourceClaimStatuses.flatMap(({ name, resourceClaimName }, i) => {
    const at = `status.resourceClaimStatuses[${i}]`;
    const errors: FieldError[] = [];
    if (!resourceClaims.some((claim) => claim.name === name))
      errors.push(invalid(`${at}.name`, name ?? "", "must match the name of an entry in `spec.resourceClaims`"));
    if (seen.has(name)) errors.push(duplicate(`${at}.name`, name));
    seen.add(name);
    if (resourceClaimName !== undefined)
      errors.push(...checkText(resourceClaimName, `${at}.resourceClaimName`, isDns1123Subdomain));
    return errors;
  });
}

const NO_SUCH_RESOURCE =
  "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
const NO_SUCH_CONTAINER = "must match the name of an entry in spec.initContainers.name or spec.containers.name";

function validateExtendedResources({ extendedResourceClaimStatus: status }: PodStatus, spec: PodSpec): FieldError[] {
  if (status === undefined) return [];
  const path = "status.extendedResourceClaimStatus";
  const { requestMappings = [], resourceClaimName } = status;
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const errors: FieldError[] = [];
  if (requestMappings.length === 0)
    errors.push(required(`${path}.requestMappings`, "at least one request mapping is required"));
  const seen = new Set<string>();
  for (const [i, { containerName = "", resourceName = "", requestName = "" }] of requestMappings.entries()) {
    const at = `${path}.requestMappings[${i}]`;
    const container = containers.findLast(({ name }) => name === containerName);
    if (container === undefined) errors.push(invalid(`${at}.containerName`, containerName, NO_SUCH_CONTAINER));
    else if (container.resources?.requests?.[resourceName] === undefined)
      errors.push(invalid(`${at}.resourceName`, resourceName, NO_SUCH_RESOURCE));
    errors.push(...checkText(requestName, `${path}.requestName`, isDns1123Label));
    const all = JSON.stringify([containerName, resourceName, requestName]);
    if (seen.has(all))
      errors.push(
        duplicate(`${at}.containerName`, containerName),
        duplicate(`${at}.resourceName`, resourceName),
        duplicate(`${at}.requestName`, requestName),
      );
    seen.add(all);
  }
  const at = `${path}.resourceClaimName`;
  return [...errors, ...(resourceClaimName ? checkText(resourceClaimName, at, isDns1123Subdomain) : [required(at)])];
}

function validateNodeAllocatable(status: PodStatus, { resourceClaims = [] }: PodSpec): FieldError[] {
  return (status.nodeAllocatableResourceClaimStatuses ?? []).flatMap((one, i) => {
    const at = `status.nodeAllocatableResourceClaimStatuses[${i}]`;
    const { resourceClaimName: name = "", containers = [], resources } = one;
    const errors: FieldError[] = [];
    if (name === "") errors.push(required(`${at}.resourceClaimName`, "must not be empty"));
    if (![...resourceClaims, ...(status.resourceClaimStatuses ?? [])].some((claim) => claim.resourceClaimName === name))
      errors.push(invalid(`${at}.resourceClaimName`, name, "no mapping found in pod reference"));
    if (containers.length === 0) errors.push(required(`${at}.containers`, "must not be empty"));
    const amounts = sortedEntries(resources);
    if (amounts.length === 0) errors.push(required(`${at}.resources`, "must not be empty"));
    for (const [resource, text] of amounts) {
      const key = `${at}.resources[${resource}]`;
      if (!isNativeResource(resource)) errors.push(invalid(key, resource, "must be a node allocatable resource name"));
      if ((parseQuantity(text)?.nano ?? 0n) < 0n) errors.push(invalid(key, text, "must be non-negative"));
    }
    return errors;
  });
}

interface Address {
  readonly ip?: string;
}

function validateHostAddress({ hostIP = "", hostIPs = [] }: PodStatus): FieldError[] {
  if (hostIPs.length === 0 || hostIPs[0]!.ip === hostIP) return [];
  return [invalid("status.hostIPs[0].ip", hostIPs[0]!.ip ?? "", "must be equal to `hostIP`")];
}

/** One address, or one of each family; what is stored stays good. */
function validateAddresses(now: readonly Address[], before: readonly Address[], path: string): FieldError[] {
  const known = new Set(before.map(({ ip }) => ip));
  const errors = now.flatMap(({ ip = "" }, i) => (known.has(ip) ? [] : checkText(ip, `${path}[${i}]`, isIp)));
  if (now.length < 2) return errors;
  const parsed = now.map(({ ip }) => parseIp(ip ?? ""));
  const bad = parsed.indexOf(undefined);
  if (bad >= 0) {
    const words = `invalid IP[${bad}]: ${now[bad]!.ip ?? ""}`;
    errors.push(internalError(path, `failed to check for dual stack with error:${words}`));
  }
  const families = new Set(parsed.map((ip) => ip?.family));
  if (bad >= 0 || families.size < 2 || now.length > 2)
    errors.push(
      invalid(
        path,
        now.map(({ ip = "" }) => ({ IP: ip })),
        "may specify no more than one IP for each IP family",
      ),
    );
  return errors;
}
