/** Upstream: pkg/apis/core/validation/validation.go (ValidateNode, ValidateNodeUpdate) */
import { checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, duplicate, fieldForbidden, invalid } from "../../../../machinery/validation/field-error.ts";
import { isCidr, parseCidr } from "../../../../machinery/validation/ip.ts";
import type { Node } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateQuantityValue } from "../pod/validation/resources.ts";
import { validateTaints } from "../pod/validation/scheduling.ts";

export function validateNode(node: Node): FieldError[] {
  const errors = validateAny(node);
  const cidrs = node.spec?.podCIDRs ?? [];
  for (const [i, cidr] of cidrs.entries()) errors.push(...checkText(cidr, `spec.podCIDRs[${i}]`, isCidr));
  const families = cidrs.map((cidr) => parseCidr(cidr)?.family);
  if (cidrs.length > 2 || (cidrs.length === 2 && families[0] === families[1]))
    errors.push(invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"));
  return errors;
}

function validateAny({ spec, status }: Node): FieldError[] {
  // The path is upstream's.
  const errors = validateTaints(spec?.taints ?? [], "metadata.taints");
  for (const list of ["capacity", "allocatable"] as const)
    for (const [name, text] of Object.entries(status?.[list] ?? {}))
      errors.push(...validateQuantityValue(name, text, `status.${list}.${name}`));
  return errors;
}

export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  return [...validateNode(node), ...validateChanges(node, old)];
}

export function validateNodeStatus(node: Node, old: Node): FieldError[] {
  return [...validateAny(node), ...validateChanges(node, old)];
}

function validateChanges({ spec, status }: Node, old: Node): FieldError[] {
  const errors: FieldError[] = [];
  const addresses = status?.addresses ?? [];
  for (const [i, { type, address }] of addresses.entries())
    if (addresses.slice(0, i).some((before) => before.type === type && before.address === address))
      errors.push(duplicate(`status.addresses[${i}]`, { Type: type, Address: address }));
  const [cidrs, before] = [spec?.podCIDRs ?? [], old.spec?.podCIDRs ?? []];
  if (before.length > 0 && !semanticEqual(cidrs, before))
    errors.push(fieldForbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'));
  if (old.spec?.providerID && spec?.providerID !== old.spec.providerID)
    errors.push(fieldForbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'));
  return errors;
}
