/** Upstream: pkg/apis/certificates/validation/validation.go */
import { checkSignerName } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "../../../generated/certificates.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

type Request = CertificateSigningRequest;

const USAGES: readonly string[] = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];

export function validateSigningRequest({ spec, status }: Request): FieldError[] {
  const errors: FieldError[] = [];
  const pem = Buffer.from(spec?.request ?? "", "base64").toString();
  // Whether it parses, and is signed by its own key, is for who signs: the words of the parser are Go's.
  if (!/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem))
    errors.push(invalid("spec.request", spec?.request ?? "", "PEM block type must be CERTIFICATE REQUEST"));
  const usages = spec?.usages ?? [];
  if (usages.length === 0) errors.push(required("spec.usages"));
  for (const [i, usage] of usages.entries()) {
    if (!USAGES.includes(usage)) errors.push(notSupported(`spec.usages[${i}]`, usage, USAGES));
    if (usages.indexOf(usage) < i) errors.push(duplicate(`spec.usages[${i}]`, usage));
  }
  if (spec?.signerName === "kubernetes.io/legacy-unknown")
    errors.push(
      invalid("spec.signerName", spec.signerName, "the legacy signerName is not allowed via this API version"),
    );
  else errors.push(...checkSignerName(spec?.signerName ?? "", "spec.signerName"));
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < 600)
    errors.push(
      invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"),
    );
  return [...errors, ...validateConditions(status?.conditions ?? [])];
}

const DECISIONS: readonly string[] = ["Approved", "Denied", "Failed"];

function validateConditions(conditions: readonly CertificateSigningRequestCondition[]): FieldError[] {
  const path = "status.conditions";
  const types = conditions.map(({ type }) => type);
  const errors: FieldError[] = [];
  for (const [i, { type, status }] of conditions.entries()) {
    if (!type) errors.push(required(`${path}[${i}].type`));
    if (!status) errors.push(required(`${path}[${i}].status`));
    else if (DECISIONS.includes(type)) {
      if (status !== "True") errors.push(notSupported(`${path}[${i}].status`, status, ["True"]));
    } else if (!["False", "True", "Unknown"].includes(status))
      errors.push(notSupported(`${path}[${i}].status`, status, ["False", "True", "Unknown"]));
    const opposite = { Approved: "Denied", Denied: "Approved" }[type];
    if (opposite !== undefined && types.slice(0, i).includes(opposite))
      errors.push(invalid(path, type, "Approved and Denied conditions are mutually exclusive"));
    if (types.indexOf(type) < i) errors.push(duplicate(`${path}[${i}].type`, type));
  }
  return errors;
}

/** Decisions last: they come through `approval` alone, and nothing takes them back. */
function validateDecisions({ status }: Request, old: Request, approving: boolean): FieldError[] {
  const path = "status.conditions";
  const [now, before] = [status?.conditions ?? [], old.status?.conditions ?? []];
  const errors: FieldError[] = [];
  for (const type of DECISIONS) {
    const [is, was] = [now, before].map((list) => list.filter((condition) => condition.type === type));
    if (is!.length < was!.length)
      errors.push(fieldForbidden(path, `updates may not remove a condition of type "${type}"`));
    if (approving || type === "Failed") continue;
    if (is!.length > was!.length)
      errors.push(fieldForbidden(path, `updates may not add a condition of type "${type}"`));
    else if (is!.length === was!.length && !semanticEqual(is, was))
      errors.push(fieldForbidden(path, `updates may not modify a condition of type "${type}"\n`));
  }
  return errors;
}

export function validateSigningRequestUpdate(request: Request, old: Request): FieldError[] {
  return [...validateConditions(request.status?.conditions ?? []), ...validateDecisions(request, old, false)];
}

export function validateSigningRequestStatus(request: Request, old: Request): FieldError[] {
  const errors = validateSigningRequestUpdate(request, old);
  const before = old.status?.certificate;
  if (before && request.status?.certificate !== before)
    errors.push(fieldForbidden("status.certificate", "updates may not modify existing certificate content"));
  return errors;
}

export function validateApproval(request: Request, old: Request): FieldError[] {
  return [...validateConditions(request.status?.conditions ?? []), ...validateDecisions(request, old, true)];
}
