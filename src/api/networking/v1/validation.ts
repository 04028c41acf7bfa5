/** The small kinds of this group. Upstream: pkg/apis/networking/validation/validation.go */
import {
  checkDomainPrefixedPath,
  checkOptionalWord,
  checkRequiredText,
  checkText,
} from "../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  required,
  tooLong,
} from "../../../machinery/validation/field-error.ts";
import { isCanonicalCidr, parseCidr } from "../../../machinery/validation/ip.ts";
import { isDns1123Label, isDns1123Subdomain, isPathSegmentName } from "../../../machinery/validation/names.ts";
import { immutableField } from "../../../machinery/validation/object-meta.ts";
import type { IngressClass, IPAddress, ServiceCIDR } from "../../generated/networking.v1.ts";
import { internalValue } from "../../internal-value.ts";
import { semanticEqual } from "../../semantic-equal.ts";

export function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const controller = spec?.controller ?? "";
  const errors: FieldError[] = [];
  if (controller.length > 250) errors.push(tooLong("spec.controller", 250));
  errors.push(...checkDomainPrefixedPath(controller, "spec.controller"));
  const parameters = spec?.parameters;
  if (parameters === undefined) return errors;
  const path = "spec.parameters";
  if (parameters.apiGroup !== undefined)
    errors.push(...checkText(parameters.apiGroup, `${path}.apiGroup`, isDns1123Subdomain));
  errors.push(...checkRequiredText(parameters.kind, `${path}.kind`, isPathSegmentName));
  errors.push(...checkRequiredText(parameters.name, `${path}.name`, isPathSegmentName));
  if (parameters.scope === undefined) errors.push(required(`${path}.scope`));
  else errors.push(...checkOptionalWord(parameters.scope, `${path}.scope`, ["Cluster", "Namespace"]));
  if (parameters.scope === "Namespace") {
    if (parameters.namespace === undefined)
      errors.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    else errors.push(...checkText(parameters.namespace, `${path}.namespace`, isDns1123Label));
  }
  if (parameters.scope === "Cluster" && parameters.namespace !== undefined)
    errors.push(fieldForbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  return errors;
}

export function validateIngressClassUpdate(object: IngressClass, old: IngressClass): FieldError[] {
  return [
    ...immutableField(object.spec?.controller ?? "", old.spec?.controller ?? "", "spec.controller"),
    ...validateIngressClass(object),
  ];
}

export function validateServiceCidr({ spec }: ServiceCIDR): FieldError[] {
  const cidrs = spec?.cidrs ?? [];
  const path = "spec.cidrs";
  if (cidrs.length === 0) return [required(path, "at least one CIDR required")];
  if (cidrs.length > 2)
    return [
      invalid(path, internalValue(spec, "io.k8s.api.networking.v1.ServiceCIDRSpec"), "may only hold up to 2 values"),
    ];
  const errors = cidrs.flatMap((cidr, i) => checkText(cidr, `${path}[${i}]`, isCanonicalCidr));
  const [first, second] = cidrs.map((cidr) => parseCidr(cidr)?.family);
  if (first !== undefined && first === second)
    errors.push(
      invalid(path, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"),
    );
  return errors;
}

/** A second family may be added; nothing else changes. */
export function validateServiceCidrUpdate(object: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const [now, before] = [object.spec?.cidrs ?? [], old.spec?.cidrs ?? []];
  const grows = before.length === 1 && now.length === 2;
  if (now.length !== before.length && !grows)
    return [invalid("spec.cidrs", object.spec?.cidrs ?? null, "field is immutable")];
  return [
    ...before.flatMap((cidr, i) => immutableField(now[i], cidr, `spec.cidrs[${i}]`)),
    ...(grows ? validateServiceCidr(object) : []),
  ];
}

export function validateIpAddress({ spec }: IPAddress): FieldError[] {
  const parent = spec?.parentRef;
  const path = "spec.parentRef";
  if (parent === undefined) return [required(path)];
  return [
    ...(parent.group ? checkText(parent.group, `${path}.group`, isDns1123Subdomain) : []),
    ...checkRequiredText(parent.resource, `${path}.resource`, isPathSegmentName),
    ...checkRequiredText(parent.name, `${path}.name`, isPathSegmentName),
    ...(parent.namespace ? checkText(parent.namespace, `${path}.namespace`, isPathSegmentName) : []),
  ];
}

export function validateIpAddressUpdate(object: IPAddress, old: IPAddress): FieldError[] {
  const parent = object.spec?.parentRef;
  if (semanticEqual(parent, old.spec?.parentRef)) return validateIpAddress(object);
  const shown = parent === undefined ? null : internalValue(parent, "io.k8s.api.networking.v1.ParentReference");
  return [...validateIpAddress(object), invalid("spec.parentRef", shown, "field is immutable")];
}
