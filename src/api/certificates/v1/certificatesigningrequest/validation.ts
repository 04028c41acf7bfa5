/** Upstream: pkg/apis/certificates/validation/validation.go */
import { X509Certificate } from "node:crypto";
import { checkSignerName } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { unifiedDiff } from "../../../../machinery/validation/unified-diff.ts";
import type { CertificateSigningRequest } from "../../../generated/certificates.v1.ts";
import { internalValue } from "../../../internal-value.ts";
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

export function validateSigningRequest(request: Request): FieldError[] {
  const { spec } = request;
  const errors: FieldError[] = [];
  const pem = Buffer.from(spec?.request ?? "", "base64").toString();
  // Whether it parses, and is signed by its own key, is for who signs: the words of the parser are Go's.
  if (!/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem))
    errors.push(invalid("spec.request", spec?.request ?? null, "PEM block type must be CERTIFICATE REQUEST"));
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
  return [...errors, ...validateConditions(request)];
}

const CONDITION = "io.k8s.api.certificates.v1.CertificateSigningRequestCondition";
const DECISIONS: readonly string[] = ["Approved", "Denied", "Failed"];

/** What an older server let in may stay. */
function validateConditions(request: Request, old?: Request): FieldError[] {
  const conditions = request.status?.conditions ?? [];
  const path = "status.conditions";
  const typesBefore = (old?.status?.conditions ?? []).map(({ type }) => type);
  const mayRepeat = new Set(typesBefore).size < typesBefore.length;
  const mayContradict = typesBefore.includes("Approved") && typesBefore.includes("Denied");
  const types = conditions.map(({ type }) => type);
  const errors: FieldError[] = [];
  for (const [i, { type, status }] of conditions.entries()) {
    if (!type && !typesBefore.includes("")) errors.push(required(`${path}[${i}].type`));
    if (!status) errors.push(required(`${path}[${i}].status`));
    else if (DECISIONS.includes(type)) {
      if (status !== "True") errors.push(notSupported(`${path}[${i}].status`, status, ["True"]));
    } else if (!["False", "True", "Unknown"].includes(status))
      errors.push(notSupported(`${path}[${i}].status`, status, ["False", "True", "Unknown"]));
    const opposite = { Approved: "Denied", Denied: "Approved" }[type];
    if (!mayContradict && opposite !== undefined && types.slice(0, i).includes(opposite))
      errors.push(invalid(path, type, "Approved and Denied conditions are mutually exclusive"));
    if (!mayRepeat && types.indexOf(type) < i) errors.push(duplicate(`${path}[${i}].type`, type));
  }
  return errors;
}

/** Decisions last: they come through `approval` alone, and nothing takes them back. */
function validateDecisions({ status }: Request, old: Request, approving: boolean): FieldError[] {
  const path = "status.conditions";
  const [now, before] = [status?.conditions ?? [], old.status?.conditions ?? []];
  const errors: FieldError[] = [];
  const of = (type: string) => [now, before].map((list) => list.filter((condition) => condition.type === type));
  for (const type of DECISIONS) {
    const [is, was] = of(type);
    if (is!.length < was!.length)
      errors.push(fieldForbidden(path, `updates may not remove a condition of type "${type}"`));
  }
  for (const type of approving ? [] : ["Approved", "Denied"]) {
    const [is, was] = of(type);
    if (is!.length > was!.length)
      errors.push(fieldForbidden(path, `updates may not add a condition of type "${type}"`));
    else if (is!.length === was!.length && !semanticEqual(is, was))
      errors.push(fieldForbidden(path, `updates may not modify a condition of type "${type}"\n${diffOf(was, is)}`));
  }
  return errors;
}

/** The lines in which two lists of conditions differ. */
function diffOf(was: unknown, is: unknown): string {
  const shown = (list: unknown) =>
    JSON.stringify(
      (list as readonly object[]).map((one) => internalValue(one, CONDITION)),
      undefined,
      1,
    );
  return unifiedDiff(shown(was), shown(is));
}

export function validateSigningRequestUpdate(request: Request, old: Request): FieldError[] {
  return [...validateConditions(request, old), ...validateDecisions(request, old, false)];
}

export function validateSigningRequestStatus(request: Request, old: Request): FieldError[] {
  const before = old.status?.certificate;
  const wellFormed = certificateProblem(before) === undefined;
  const problem = wellFormed ? certificateProblem(request.status?.certificate) : undefined;
  const errors = [
    ...validateConditions(request, old),
    ...(problem === undefined ? [] : [invalid("status.certificate", "<certificate data>", problem)]),
    ...validateDecisions(request, old, false),
  ];
  if (before && request.status?.certificate !== before)
    errors.push(fieldForbidden("status.certificate", "updates may not modify existing certificate content"));
  return errors;
}

export function validateApproval(request: Request, old: Request): FieldError[] {
  return [...validateConditions(request, old), ...validateDecisions(request, old, true)];
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/g;

/** Why what a signer gave isn't a chain of certificates, in Go's words. */
function certificateProblem(base64: string | undefined): string | undefined {
  if (!base64) return undefined;
  const blocks = [...Buffer.from(base64, "base64").toString().matchAll(BLOCK)];
  for (const [, type, text = ""] of blocks) {
    if (type !== "CERTIFICATE") return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (text.includes(":")) return "no PEM block headers are permitted";
    const der = Buffer.from(text, "base64");
    if (der.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    try {
      new X509Certificate(der);
    } catch {
      return "x509: malformed certificate";
    }
  }
  return blocks.length === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}
