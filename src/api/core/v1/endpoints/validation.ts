/** Upstream: pkg/apis/core/validation/validation.go (ValidateEndpoints) */
import { checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, required } from "../../../../machinery/validation/field-error.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isPortNumber,
  isQualifiedName,
} from "../../../../machinery/validation/names.ts";
import { isEndpointIp, isIp } from "../../../../machinery/validation/ip.ts";
import type { Endpoints, EndpointSubset } from "../../../generated/core.v1.ts";
import { invalid } from "../../../../machinery/validation/field-error.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

export function validateEndpoints({ subsets }: Endpoints): FieldError[] {
  return (subsets ?? []).flatMap((subset, i) => validateSubset(subset, `subsets[${i}]`));
}

/** Subsets that are as they were are not judged by rules that came later. */
export function validateEndpointsUpdate(object: Endpoints, old: Endpoints): FieldError[] {
  return semanticEqual(object.subsets, old.subsets) ? [] : validateEndpoints(object);
}

function validateSubset(subset: EndpointSubset, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
  if (addresses.length === 0 && notReadyAddresses.length === 0)
    errors.push(required(path, "must specify `addresses` or `notReadyAddresses`"));
  for (const [name, list] of [
    ["addresses", addresses],
    ["notReadyAddresses", notReadyAddresses],
  ] as const)
    for (const [i, { ip, hostname, nodeName }] of list.entries()) {
      const at = `${path}.${name}[${i}]`;
      errors.push(...checkText(ip ?? "", `${at}.ip`, isIp));
      if (hostname) errors.push(...checkText(hostname, `${at}.hostname`, isDns1123Label));
      if (nodeName !== undefined) errors.push(...checkText(nodeName, `${at}.nodeName`, isDns1123Subdomain));
      errors.push(...checkText(ip ?? "", `${at}.ip`, isEndpointIp));
    }
  for (const [i, port] of ports.entries()) {
    const at = `${path}.ports[${i}]`;
    if (!port.name) {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else errors.push(...checkText(port.name, `${at}.name`, isDns1123Label));
    for (const message of isPortNumber(port.port ?? 0)) errors.push(invalid(`${at}.port`, port.port ?? 0, message));
    errors.push(...checkWord(port.protocol, `${at}.protocol`, ["SCTP", "TCP", "UDP"]));
    if (port.appProtocol !== undefined)
      errors.push(...checkText(port.appProtocol, `${at}.appProtocol`, isQualifiedName));
  }
  return errors;
}
