/** Upstream: pkg/apis/networking/validation/validation.go (ValidateIngress) */
import { checkPortNumber, checkRequiredText, checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isIp, parseIp } from "../../../../machinery/validation/ip.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isPathSegmentName,
  isPortName,
  isWildcardDns1123Subdomain,
} from "../../../../machinery/validation/names.ts";
import type { HTTPIngressPath, Ingress, IngressBackend, IngressRule } from "../../../generated/networking.v1.ts";

const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDINGS = ["/..", "/."];

export function validateIngress(ingress: Ingress): FieldError[] {
  const annotation = ingress.metadata.annotations?.["kubernetes.io/ingress.class"];
  const field = ingress.spec?.ingressClassName;
  const mismatch = annotation !== undefined && field !== undefined && annotation !== field;
  return [
    ...validateSpec(ingress),
    ...(mismatch
      ? [
          invalid(
            "annotations.kubernetes.io/ingress.class",
            annotation,
            "must match `ingressClassName` when both are specified",
          ),
        ]
      : []),
  ];
}

export function validateIngressUpdate(ingress: Ingress): FieldError[] {
  return validateSpec(ingress);
}

/** An address that was let in before stays. */
export function validateIngressStatus({ status }: Ingress, old: Ingress): FieldError[] {
  const known = (old.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }, i) => {
    const path = `status.loadBalancer.ingress[${i}]`;
    const errors = ip && !known.includes(ip) ? checkText(ip, `${path}.ip`, isIp) : [];
    if (!hostname) return errors;
    errors.push(...checkText(hostname, `${path}.hostname`, isDns1123Subdomain));
    if (parseIp(hostname) !== undefined)
      errors.push(invalid(`${path}.hostname`, hostname, "must be a DNS name, not an IP address"));
    return errors;
  });
}

function validateSpec({ spec }: Ingress): FieldError[] {
  const errors: FieldError[] = [];
  const rules = spec?.rules ?? [];
  if (rules.length === 0 && spec?.defaultBackend === undefined)
    errors.push(invalid("spec", spec?.rules ?? null, "either `defaultBackend` or `rules` must be specified"));
  if (spec?.defaultBackend !== undefined) errors.push(...validateBackend(spec.defaultBackend, "spec.defaultBackend"));
  for (const [i, rule] of rules.entries()) errors.push(...validateRule(rule, `spec.rules[${i}]`));
  for (const [i, { hosts, secretName }] of (spec?.tls ?? []).entries()) {
    for (const [j, host] of (hosts ?? []).entries()) errors.push(...validateHost(host, `spec.tls[${i}].hosts[${j}]`));
    if (secretName) errors.push(...checkText(secretName, `spec.tls[${i}].secretName`, isDns1123Subdomain));
  }
  if (spec?.ingressClassName !== undefined)
    errors.push(...checkText(spec.ingressClassName, "spec.ingressClassName", isDns1123Subdomain));
  return errors;
}

const validateHost = (host: string, path: string): FieldError[] =>
  checkText(host, path, host.includes("*") ? isWildcardDns1123Subdomain : isDns1123Subdomain);

function validateRule({ host, http }: IngressRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (host) {
    if (parseIp(host) !== undefined)
      errors.push(invalid(`${path}.host`, host, "must be a DNS name, not an IP address"));
    errors.push(...validateHost(host, `${path}.host`));
  }
  if (http === undefined) return errors;
  if ((http.paths ?? []).length === 0) errors.push(required(`${path}.http.paths`));
  for (const [i, entry] of (http.paths ?? []).entries())
    errors.push(...validatePath(entry, `${path}.http.paths[${i}]`));
  return errors;
}

function validatePath({ path: text = "", pathType, backend }: HTTPIngressPath, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!pathType) return [required(`${path}.pathType`, "pathType must be specified")];
  if (pathType === "Exact" || pathType === "Prefix") {
    if (!text.startsWith("/")) errors.push(invalid(`${path}.path`, text, "must be an absolute path"));
    if (text !== "") {
      for (const sequence of BAD_SEQUENCES)
        if (text.includes(sequence)) errors.push(invalid(`${path}.path`, text, `must not contain '${sequence}'`));
      for (const ending of BAD_ENDINGS)
        if (text.endsWith(ending)) errors.push(invalid(`${path}.path`, text, `cannot end with '${ending}'`));
    }
  } else if (pathType === "ImplementationSpecific") {
    if (text !== "" && !text.startsWith("/")) errors.push(invalid(`${path}.path`, text, "must be an absolute path"));
  } else errors.push(...checkWord(pathType, `${path}.pathType`, ["Exact", "ImplementationSpecific", "Prefix"]));
  return [...errors, ...validateBackend(backend ?? {}, `${path}.backend`)];
}

function validateBackend(backend: IngressBackend, path: string): FieldError[] {
  const { resource, service } = backend;
  if (resource !== undefined && service !== undefined)
    return [invalid(path, "", "cannot set both resource and service backends")];
  if (resource !== undefined)
    return [
      ...(resource.apiGroup !== undefined
        ? checkText(resource.apiGroup, `${path}.resource.apiGroup`, isDns1123Subdomain)
        : []),
      ...checkRequiredText(resource.kind, `${path}.resource.kind`, isPathSegmentName),
      ...checkRequiredText(resource.name, `${path}.resource.name`, isPathSegmentName),
    ];
  if (service === undefined) return [invalid(path, "", "resource or service backend is required")];
  const errors = checkRequiredText(service.name, `${path}.service.name`, isDns1123Label);
  const { name, number } = service.port ?? {};
  if (name && number) errors.push(invalid(path, "", "cannot set both port name & port number"));
  else if (name) errors.push(...checkText(name, `${path}.service.port.name`, isPortName));
  else if (number) errors.push(...checkPortNumber(number, `${path}.service.port.number`));
  else errors.push(required(path, "port name or number is required"));
  return errors;
}
