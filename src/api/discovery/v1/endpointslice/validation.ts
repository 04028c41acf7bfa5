/** Upstream: pkg/apis/discovery/validation/validation.go */
import { checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  invalid,
  required,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import { isEndpointIp, isCanonicalIp, isIp, parseIp } from "../../../../machinery/validation/ip.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isQualifiedName,
} from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import type { Endpoint, EndpointPort, EndpointSlice } from "../../../generated/discovery.v1.ts";

const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;
const MAX_HINTS = 8;

export function validateEndpointSlice(slice: EndpointSlice, old?: EndpointSlice): FieldError[] {
  const { addressType, endpoints, ports } = slice;
  return [
    ...checkWord(addressType, "addressType", ["FQDN", "IPv4", "IPv6"]),
    ...validatePorts(ports ?? []),
    // What was let in once may stay as it is.
    ...(old !== undefined && semanticEqual(endpoints, old.endpoints)
      ? []
      : validateEndpoints(endpoints ?? [], addressType)),
  ];
}

export function validateEndpointSliceUpdate(slice: EndpointSlice, old: EndpointSlice): FieldError[] {
  return [...validateEndpointSlice(slice, old), ...immutableField(slice.addressType, old.addressType, "addressType")];
}

function validateEndpoints(endpoints: readonly Endpoint[], type: string): FieldError[] {
  if (endpoints.length > MAX_ENDPOINTS) return [tooMany("endpoints", endpoints.length, MAX_ENDPOINTS)];
  return endpoints.flatMap((endpoint, i) => {
    const path = `endpoints[${i}]`;
    const addresses = endpoint.addresses ?? [];
    const errors: FieldError[] = [];
    if (addresses.length === 0) errors.push(required(`${path}.addresses`, "must contain at least 1 address"));
    else if (addresses.length > MAX_ADDRESSES)
      errors.push(tooMany(`${path}.addresses`, addresses.length, MAX_ADDRESSES));
    for (const [j, address] of addresses.entries()) errors.push(...validateAddress(address, type, path, j));
    if (endpoint.nodeName !== undefined)
      errors.push(...checkText(endpoint.nodeName, `${path}.nodeName`, isDns1123Subdomain));
    if (endpoint.hostname !== undefined)
      errors.push(...checkText(endpoint.hostname, `${path}.hostname`, isDns1123Label));
    for (const [list, rule] of [
      ["forZones", isLabelValue],
      ["forNodes", isDns1123Subdomain],
    ] as const) {
      const hints = endpoint.hints?.[list] ?? [];
      if (hints.length > MAX_HINTS) {
        errors.push(tooMany(`${path}.hints.${list}`, hints.length, MAX_HINTS));
        break;
      }
      const seen = new Set<string>();
      for (const [j, { name }] of hints.entries()) {
        const at = `${path}.hints.${list}[${j}].name`;
        if (seen.has(name)) errors.push(duplicate(at, name));
        seen.add(name);
        errors.push(...checkText(name, at, rule));
      }
    }
    return errors;
  });
}

function validateAddress(address: string, type: string, path: string, j: number): FieldError[] {
  const at = `${path}.addresses[${j}]`;
  if (type === "FQDN") return checkFullyQualifiedDomain(address, at);
  if (type !== "IPv4" && type !== "IPv6") return [];
  const errors = checkText(address, at, type === "IPv6" ? isCanonicalIp : isIp);
  if (errors.length > 0) return errors;
  const family = parseIp(address)!.family === 4 ? "IPv4" : "IPv6";
  if (family !== type) errors.push(invalid(`${path}.addresses`, address, `must be an ${type} address`));
  return [...errors, ...checkText(address, at, isEndpointIp)];
}

/** `a.example.com`, with or without the last dot; an error shows what it is about. */
function checkFullyQualifiedDomain(address: string, path: string): FieldError[] {
  if (address === "") return [required(path)];
  const name = address.replace(/\.$/, "");
  const problems = isDns1123Subdomain(name);
  if (problems.length > 0) return [invalid(path, name, problems.join(","))];
  const labels = name.split(".");
  if (labels.length < 2)
    return [invalid(path, name, "should be a domain with at least two segments separated by dots")];
  for (const label of labels) {
    const wrong = isDns1123Label(label);
    if (wrong.length > 0) return [invalid(path, label, wrong.join(","))];
  }
  return [];
}

function validatePorts(ports: readonly EndpointPort[]): FieldError[] {
  if (ports.length > MAX_PORTS) return [tooMany("ports", ports.length, MAX_PORTS)];
  const seen = new Set<string>();
  return ports.flatMap(({ name = "", protocol, appProtocol }, i) => {
    const path = `ports[${i}]`;
    const errors: FieldError[] = [];
    if (name !== "") errors.push(...checkText(name, `${path}.name`, isDns1123Label));
    if (seen.has(name)) errors.push(duplicate(`${path}.name`, name));
    seen.add(name);
    errors.push(...checkWord(protocol, `${path}.protocol`, ["SCTP", "TCP", "UDP"]));
    if (appProtocol !== undefined) errors.push(...checkText(appProtocol, `${path}.appProtocol`, isQualifiedName));
    return errors;
  });
}
