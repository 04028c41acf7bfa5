/**
 * Which fields of a pod its own containers may read.
 * Upstream: pkg/apis/core/validation/validation.go (validateObjectFieldSelector), pkg/apis/core/pods/helpers.go
 */
import { formatQuantity, parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { type FieldError, invalid, notSupported, required } from "../../../../../machinery/validation/field-error.ts";
import { isQualifiedName } from "../../../../../machinery/validation/names.ts";
import type { ObjectFieldSelector, ResourceFieldSelector } from "../../../../generated/core.v1.ts";

const CONVERTIBLE: readonly string[] = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.restartPolicy",
  "spec.serviceAccountName",
  "spec.schedulerName",
  "spec.host",
  "status.phase",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const ENV_FIELDS: readonly string[] = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const VOLUME_FIELDS: readonly string[] = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

export function validateFieldRef(
  { apiVersion, fieldPath }: ObjectFieldSelector,
  path: string,
  allowed: readonly string[],
): FieldError[] {
  if (!apiVersion) return [required(`${path}.apiVersion`)];
  if (!fieldPath) return [required(`${path}.fieldPath`)];
  const at = `${path}.fieldPath`;
  const wrong = (why: string) => [invalid(at, fieldPath, `error converting fieldPath: ${why}`)];
  if (apiVersion !== "v1") return wrong(`unsupported pod version: ${apiVersion}`);
  const subscript = /^(.+?)\['(.*)'\]$/s.exec(fieldPath);
  if (subscript !== null) {
    const [, base, key = ""] = subscript;
    if (base !== "metadata.annotations" && base !== "metadata.labels")
      return wrong(`field label does not support subscript: ${fieldPath}`);
    const checked = base === "metadata.annotations" ? key.toLowerCase() : key;
    return isQualifiedName(checked).map((message) => invalid(path, checked, message));
  }
  if (!CONVERTIBLE.includes(fieldPath)) return wrong(`field label not supported: ${fieldPath}`);
  const field = fieldPath === "spec.host" ? "spec.nodeName" : fieldPath;
  return allowed.includes(field) ? [] : [notSupported(at, field, allowed)];
}

const RESOURCES: readonly string[] = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];
const BYTE_DIVISORS = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

export function validateResourceFieldRef(
  { containerName, resource, divisor }: ResourceFieldSelector,
  path: string,
  needsContainer: boolean,
): FieldError[] {
  if (needsContainer && !containerName) return [required(`${path}.containerName`)];
  if (!resource) return [required(`${path}.resource`)];
  const hugePages = /^(requests|limits)\.hugepages-/.test(resource);
  if (!RESOURCES.includes(resource) && !hugePages) return [notSupported(`${path}.resource`, resource, RESOURCES)];
  const quantity = parseQuantity(divisor ?? "0");
  if (quantity === undefined || quantity.nano === 0n) return [];
  const text = formatQuantity(quantity);
  const only = (list: readonly string[], what: string) =>
    list.includes(text)
      ? []
      : [
          invalid(
            `${path}.divisor`,
            resource,
            `only divisor's values ${list.length === 2 ? list.join(" and ") : list.join(", ")} are supported with the ${what} resource`,
          ),
        ];
  if (resource.endsWith(".cpu")) return only(["1m", "1"], "cpu");
  if (hugePages) return only(BYTE_DIVISORS, "hugepages");
  return only(BYTE_DIVISORS, resource.endsWith(".memory") ? "memory" : "local ephemeral storage");
}
