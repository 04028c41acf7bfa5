/** Upstream: pkg/apis/networking/validation/validation.go (ValidateNetworkPolicy) */
import {
  checkOptionalWord,
  checkPortNumber,
  checkPortOrName,
  checkText,
  validateLabelSelector,
} from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isCidr, parseCidr } from "../../../../machinery/validation/ip.ts";
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../../generated/networking.v1.ts";

/** Ranges that were there before may stay as they are written. */
export const validateNetworkPolicyUpdate = (policy: NetworkPolicy, { spec }: NetworkPolicy): FieldError[] =>
  checkPolicy(
    policy,
    new Set(
      [...(spec?.ingress ?? []).map(({ from = [] }) => from), ...(spec?.egress ?? []).map(({ to = [] }) => to)]
        .flat()
        .flatMap(({ ipBlock }) => (ipBlock === undefined ? [] : [ipBlock.cidr, ...(ipBlock.except ?? [])])),
    ),
  );

export const validateNetworkPolicy = (policy: NetworkPolicy): FieldError[] => checkPolicy(policy, new Set());

function checkPolicy({ spec }: NetworkPolicy, known: ReadonlySet<string>): FieldError[] {
  const errors = validateLabelSelector(spec?.podSelector, "spec.podSelector");
  for (const [i, { ports, from }] of (spec?.ingress ?? []).entries())
    errors.push(...validateRule(ports, from, `spec.ingress[${i}]`, "from", known));
  for (const [i, { ports, to }] of (spec?.egress ?? []).entries())
    errors.push(...validateRule(ports, to, `spec.egress[${i}]`, "to", known));
  const types = spec?.policyTypes ?? [];
  if (types.length > 2)
    return [...errors, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")];
  for (const [i, type] of types.entries())
    if (type !== "Ingress" && type !== "Egress")
      errors.push(notSupported(`spec.policyTypes[${i}]`, type, ["Ingress", "Egress"]));
  return errors;
}

function validateRule(
  ports: readonly NetworkPolicyPort[] | undefined,
  peers: readonly NetworkPolicyPeer[] | undefined,
  path: string,
  direction: string,
  known: ReadonlySet<string>,
): FieldError[] {
  return [
    ...(ports ?? []).flatMap((port, i) => validatePort(port, `${path}.ports[${i}]`)),
    ...(peers ?? []).flatMap((peer, i) => validatePeer(peer, `${path}.${direction}[${i}]`, known)),
  ];
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, path: string): FieldError[] {
  const errors = checkOptionalWord(protocol, `${path}.protocol`, ["TCP", "UDP", "SCTP"]);
  if (endPort !== undefined && typeof port === "string")
    errors.push(invalid(`${path}.endPort`, endPort, "may not be specified when `port` is non-numeric"));
  if (port !== undefined) errors.push(...checkPortOrName(port, `${path}.port`));
  if (endPort === undefined) return errors;
  if (port === undefined)
    errors.push(invalid(`${path}.endPort`, endPort, "may not be specified when `port` is not specified"));
  else if (typeof port === "number") {
    if (endPort < port) errors.push(invalid(`${path}.endPort`, port, "must be greater than or equal to `port`"));
    errors.push(...checkPortNumber(endPort, `${path}.endPort`));
  }
  return errors;
}

function validatePeer(
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
  path: string,
  known: ReadonlySet<string>,
): FieldError[] {
  const checkRange = (text: string, at: string) => (known.has(text) ? [] : checkText(text, at, isCidr));
  const errors = [
    ...validateLabelSelector(podSelector, `${path}.podSelector`),
    ...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`),
  ];
  if (ipBlock !== undefined) {
    const { cidr, except = [] } = ipBlock;
    if (!cidr) errors.push(required(`${path}.ipBlock.cidr`));
    else errors.push(...checkRange(cidr, `${path}.ipBlock.cidr`));
    const outer = cidr ? parseCidr(cidr) : undefined;
    // What is excepted from no range is not looked at.
    for (const [i, text] of outer === undefined ? [] : except.entries()) {
      const at = `${path}.ipBlock.except[${i}]`;
      errors.push(...checkRange(text, at));
      const inner = parseCidr(text);
      if (inner === undefined || outer === undefined) continue;
      const rest = BigInt((outer.family === 4 ? 32 : 128) - outer.bits);
      const inside = inner.family === outer.family && inner.address >> rest === outer.address >> rest;
      if (!inside || inner.bits <= outer.bits) errors.push(invalid(at, text, "must be a strict subset of `cidr`"));
    }
  }
  const count = [podSelector, namespaceSelector, ipBlock].filter((part) => part !== undefined).length;
  if (count === 0) errors.push(required(path, "must specify a peer"));
  else if (count > 1 && ipBlock !== undefined)
    errors.push(fieldForbidden(path, "may not specify both ipBlock and another peer"));
  return errors;
}
