/** Upstream: pkg/apis/certificates/validation/validation.go (ValidatePodCertificateRequestCreate and the others) */
import { constants, createPublicKey, type KeyObject, verify, X509Certificate } from "node:crypto";
import { readSigningRequest } from "../../../../machinery/pki/signing-request.ts";
import type { HookContext } from "../../../../machinery/resource.ts";
import { checkSignerName, checkText } from "../../../../machinery/validation/checks.ts";
import { validateConditions } from "../../../../machinery/validation/conditions.ts";
import {
  type FieldError,
  invalid,
  invalidOmitted,
  notSupported,
  required,
  tooLong,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { PodCertificateRequest, PodCertificateRequestSpec } from "../../../generated/certificates.v1beta1.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MAX_UID_BYTES = 128;
const MAX_ANNOTATION_BYTES = 256 * 1024;
const MAX_KEY_BYTES = 10 * 1024;
const MAX_CHAIN_BYTES = 100 * 1024;
const MIN_SECONDS = 60 * 60;
const MAX_SECONDS = 91 * 24 * 60 * 60;
/** Of upstream's own signers. */
const KUBERNETES_MAX_SECONDS = 24 * 60 * 60;
const MINUTE = 60_000;

export function validatePodCertificateRequest({ spec }: PodCertificateRequest): FieldError[] {
  const errors = checkSignerName(spec.signerName ?? "", "spec.signerName");
  errors.push(...validateUserAnnotations(spec.unverifiedUserAnnotations));
  for (const [owner, uid] of [
    ["podName", "podUID"],
    ["serviceAccountName", "serviceAccountUID"],
    ["nodeName", "nodeUID"],
  ] as const) {
    errors.push(...checkText(spec[owner] ?? "", `spec.${owner}`, isDns1123Subdomain));
    if (!spec[uid]) errors.push(invalid(`spec.${uid}`, "", "must not be empty"));
    else if (Buffer.byteLength(spec[uid]) > MAX_UID_BYTES) errors.push(tooLong(`spec.${uid}`, MAX_UID_BYTES));
  }
  const seconds = spec.maxExpirationSeconds;
  if (seconds === undefined) return [...errors, required("spec.maxExpirationSeconds", "must be set")];
  const most = isKubernetesSigner(spec.signerName ?? "") ? KUBERNETES_MAX_SECONDS : MAX_SECONDS;
  if (seconds < MIN_SECONDS || seconds > most)
    errors.push(invalid("spec.maxExpirationSeconds", seconds, `must be in the range [${MIN_SECONDS}, ${most}]`));
  return [...errors, ...validateKey(spec)];
}

function isKubernetesSigner(name: string): boolean {
  const [host = ""] = name.split("/");
  return host === "kubernetes.io" || host.endsWith(".kubernetes.io");
}

function validateUserAnnotations(annotations: Readonly<Record<string, string>> | undefined): FieldError[] {
  const path = "spec.unverifiedUserAnnotations";
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of sortedEntries(annotations)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    errors.push(...checkDomainPrefixedKey(key.toLowerCase(), path));
  }
  return bytes > MAX_ANNOTATION_BYTES ? [...errors, tooLong(path, MAX_ANNOTATION_BYTES)] : errors;
}

function checkDomainPrefixedKey(key: string, path: string): FieldError[] {
  if (key === "") return [required(path)];
  const errors = checkText(key, path, isQualifiedName);
  if (errors.length > 0 || key.includes("/")) return errors;
  return [invalid(path, key, 'must be a domain-prefixed key (such as "acme.io/foo")')];
}

/** Whoever asks shows that the private key is there: by signing the pod's UID, or an empty request. */
function validateKey(spec: PodCertificateRequestSpec): FieldError[] {
  const { stubPKCS10Request: stub, pkixPublicKey, proofOfPossession } = spec;
  if (stub && !pkixPublicKey && !proofOfPossession) return validateStub(Buffer.from(stub, "base64"));
  if (!stub && pkixPublicKey && proofOfPossession)
    return validateProof(spec.podUID ?? "", pkixPublicKey, Buffer.from(proofOfPossession, "base64"));
  return [
    invalidOmitted("spec", "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"),
  ];
}

const CURVES: Readonly<Record<string, string>> = {
  secp224r1: "P-224",
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};
const KEY_TYPES = "unknown public key type; supported types are Ed25519, ECDSA, and RSA";

/** What is wrong with the kind of key: what to show of it, and why; undefined where nothing is. */
function weaknessOf(key: KeyObject, curves: string): readonly [shown: string | undefined, detail: string] | undefined {
  const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return undefined;
    case "ec":
      if (["prime256v1", "secp384r1", "secp521r1"].includes(namedCurve)) return undefined;
      return [`curve ${CURVES[namedCurve] ?? namedCurve}`, `elliptic public keys must use curve ${curves}`];
    case "rsa":
      if (modulusLength === 3072 || modulusLength === 4096) return undefined;
      return [`${modulusLength}-bit modulus`, "RSA keys must have modulus size 3072 or 4096"];
    default:
      return [undefined, KEY_TYPES];
  }
}

/** Of DER; undefined for what isn't a key. */
function publicKeyOf(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

function validateProof(podUid: string, base64: string, proof: Buffer): FieldError[] {
  const path = "spec.pkixPublicKey";
  const der = Buffer.from(base64, "base64");
  if (der.length > MAX_KEY_BYTES) return [tooLong(path, MAX_KEY_BYTES)];
  if (proof.length > MAX_KEY_BYTES) return [tooLong("spec.proofOfPossession", MAX_KEY_BYTES)];
  const key = publicKeyOf(der);
  if (key === undefined) return [invalid(path, base64, "must be a valid PKIX-serialized public key")];
  const weakness = weaknessOf(key, "P256 or P384");
  if (weakness !== undefined) return [invalid(path, weakness[0] ?? base64, weakness[1])];
  return isSignedBy(key, Buffer.from(podUid), proof)
    ? []
    : [invalidOmitted("spec.proofOfPossession", "could not verify proof-of-possession signature")];
}

function isSignedBy(key: KeyObject, text: Buffer, signature: Buffer): boolean {
  if (key.asymmetricKeyType === "ed25519") return verify(null, text, key, signature);
  // Upstream signs the hash, and for RSA once more hashes nothing: the same as signing the text.
  if (key.asymmetricKeyType === "ec") return verify("sha256", text, key, signature);
  return verify(
    "sha256",
    text,
    { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
    signature,
  );
}

function validateStub(der: Buffer): FieldError[] {
  const path = "spec.stubPKCS10Request";
  if (der.length > MAX_KEY_BYTES) return [tooLong(path, MAX_KEY_BYTES)];
  const request = requestOf(der);
  const key = request === undefined ? undefined : publicKeyOf(request.publicKey);
  if (request === undefined || key === undefined) return [invalidOmitted(path, "must be a valid PKCS#10 CSR")];
  const weakness = weaknessOf(key, "P256, P384, or P521");
  if (weakness !== undefined)
    return [weakness[0] === undefined ? invalidOmitted(path, weakness[1]) : invalid(path, weakness[0], weakness[1])];
  return request.isSignedByItself() ? [] : [invalidOmitted(path, "invalid signature")];
}

function requestOf(der: Buffer): ReturnType<typeof readSigningRequest> | undefined {
  try {
    return readSigningRequest(der);
  } catch {
    return undefined;
  }
}

export function validatePodCertificateRequestUpdate(
  { spec }: PodCertificateRequest,
  old: PodCertificateRequest,
): FieldError[] {
  if (semanticEqual(spec, old.spec)) return [];
  const shown = internalValue(spec, "io.k8s.api.certificates.v1beta1.PodCertificateRequestSpec");
  return [invalid("spec", shown, "field is immutable")];
}

const ENDS = ["Issued", "Denied", "Failed"];

const has = ({ status }: PodCertificateRequest, ...types: readonly string[]): boolean =>
  (status?.conditions ?? []).some((condition) => types.includes(condition.type) && condition.status === "True");

export function validatePodCertificateRequestStatus(
  request: PodCertificateRequest,
  old: PodCertificateRequest,
  { now }: Pick<HookContext, "now">,
): FieldError[] {
  const { conditions } = request.status ?? {};
  const errors = [...validateEnds(request), ...validateConditions(conditions, "status.conditions")];
  if (errors.length > 0) return errors;
  const unlessEqual = (wanted: unknown, detail: string): FieldError[] =>
    semanticEqual(request.status ?? {}, wanted) ? [] : [invalidOmitted("status", detail)];
  if (has(old, ...ENDS))
    return unlessEqual(old.status ?? {}, "immutable after PodCertificateRequest is issued, denied, or failed");
  if (has(request, "Denied", "Failed"))
    return unlessEqual(
      { conditions },
      "non-condition status fields must be empty when denying or failing the PodCertificateRequest",
    );
  if (has(request, "Issued")) return validateIssued(request, old, Date.parse(now));
  return unlessEqual(old.status ?? {}, 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"');
}

/** At most one of the ends that a request can have, which then is true. */
function validateEnds({ status }: PodCertificateRequest): FieldError[] {
  let known = 0;
  return (status?.conditions ?? []).flatMap((condition, i) => {
    const path = `status.conditions.[${i}]`;
    if (!ENDS.includes(condition.type)) return [notSupported(`${path}.type`, condition.type, ENDS)];
    const errors: FieldError[] = [];
    if (++known > 1)
      errors.push(
        invalid(
          `${path}.type`,
          condition.type,
          'There may be at most one condition with type "Issued", "Denied", or "Failed"',
        ),
      );
    if (condition.status !== "True") errors.push(notSupported(`${path}.status`, condition.status, ["True"]));
    return errors;
  });
}

const CHAIN = "status.certificateChain";

function validateIssued(request: PodCertificateRequest, old: PodCertificateRequest, now: number): FieldError[] {
  const chain = request.status?.certificateChain ?? "";
  const wrong = (detail: string): FieldError[] => [invalid(CHAIN, chain, detail)];
  if (Buffer.byteLength(chain) > MAX_CHAIN_BYTES) return [tooLong(CHAIN, MAX_CHAIN_BYTES)];
  const [leafBlock, ...rest] = blocksOf(chain);
  if (leafBlock === undefined) return wrong("issued certificate chain must contain at least one certificate");
  if (leafBlock.type !== "CERTIFICATE")
    return wrong("issued certificate chain must consist entirely of CERTIFICATE PEM blocks");
  const leaf = certificateOf(leafBlock.der);
  if (leaf === undefined) return wrong("leaf certificate does not parse as valid X.509");
  const errors = validateNames(leaf);
  const { stubPKCS10Request: stub, pkixPublicKey } = old.spec;
  const wanted = stub
    ? requestOf(Buffer.from(stub, "base64"))?.publicKey
    : publicKeyOf(Buffer.from(pkixPublicKey ?? "", "base64"))?.export({ format: "der", type: "spki" });
  if (wanted === undefined)
    return [
      ...errors,
      stub
        ? invalidOmitted("spec.stubPKCS10Request", "must be a valid PKCS#10 CSR")
        : invalidOmitted("spec.pkixPublicKey", "must be a valid PKIX-serialized public key"),
    ];
  if (!leaf.publicKey.export({ format: "der", type: "spki" }).equals(wanted))
    return [...errors, ...wrong("leaf certificate was not issued to the requested public key")];
  errors.push(...validateTimes(request, leaf, now));
  if (errors.length > 0) return errors;
  for (const block of rest) {
    if (block.type !== "CERTIFICATE")
      return wrong("issued certificate chain must consist entirely of CERTFICATE PEM blocks");
    if (certificateOf(block.der) === undefined) return wrong("intermediate certificate does not parse as valid X.509");
  }
  return [];
}

function blocksOf(pem: string): readonly { readonly type: string; readonly der: Buffer }[] {
  return [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]+?)-----END \1-----/g)].map(([, type, text]) => ({
    type: type!,
    der: Buffer.from(text!, "base64"),
  }));
}

function certificateOf(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

/** What else it is good for, which some software stumbles over. */
function validateNames(leaf: X509Certificate): FieldError[] {
  const names = (leaf.subjectAltName ?? "").split(", ").map((name): readonly [string, string] => {
    const colon = name.indexOf(":");
    const value = name.slice(colon + 1);
    return [name.slice(0, colon), value.startsWith('"') ? String(JSON.parse(value)) : value];
  });
  return names.flatMap(([kind, name]) => {
    const wrong = (detail: string) => invalid(CHAIN, name, detail);
    if (kind === "DNS")
      return [
        ...(name === "" ? [wrong("leaf certificate should not contain empty DNSName")] : []),
        ...(name.includes("..") ? [wrong("leaf certificate's DNSName should not contain '..'")] : []),
        ...(name.startsWith(".") || name.endsWith(".")
          ? [wrong("leaf certificate's DNSName should not start or end with '.'")]
          : []),
      ];
    if (kind === "email" && !/^[^\s@<>()",;:\\[\]]+@[^\s@<>()",;:\\]+$/.test(name))
      return [wrong("leaf certificate should not contain invalid EmailAddress")];
    return [];
  });
}

/** The times of the status are those of the certificate, which starts now and is as long as was asked for. */
function validateTimes({ spec, status }: PodCertificateRequest, leaf: X509Certificate, now: number): FieldError[] {
  const { notBefore, notAfter, beginRefreshAt } = status ?? {};
  const consistent = "must be present and consistent with the issued certificate";
  const missing = [
    ...(notBefore ? [] : [required("status.notBefore", consistent)]),
    ...(notAfter ? [] : [required("status.notAfter", consistent)]),
    ...(beginRefreshAt
      ? []
      : [required("status.beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]")]),
  ];
  if (!notBefore || !notAfter || !beginRefreshAt) return missing;
  const [from, to, refresh] = [notBefore, notAfter, beginRefreshAt].map((time) => Date.parse(time)) as [
    number,
    number,
    number,
  ];
  const [start, end] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  if (from !== start)
    return [
      invalid("status.notBefore", notBefore, "must be set to the NotBefore time encoded in the leaf certificate"),
    ];
  if (Math.abs(from - now) >= 5 * MINUTE)
    return [invalid("status.notBefore", notBefore, "must be set to within 5 minutes of kube-apiserver's current time")];
  if (to !== end)
    return [invalid("status.notAfter", notAfter, "must be set to the NotAfter time encoded in the leaf certificate")];
  const lifetime = end - start;
  if (lifetime < 60 * MINUTE) return [invalid(CHAIN, lifetime * 1e6, "leaf certificate lifetime must be >= 1 hour")];
  const most = spec.maxExpirationSeconds ?? 0;
  if (lifetime > most * 1000)
    return [invalid(CHAIN, lifetime * 1e6, `leaf certificate lifetime must be <= spec.maxExpirationSeconds (${most})`)];
  if (refresh < from + 10 * MINUTE)
    return [invalid("status.beginRefreshAt", beginRefreshAt, "must be at least 10 minutes after status.notBefore")];
  if (refresh > to - 10 * MINUTE)
    return [invalid("status.beginRefreshAt", beginRefreshAt, "must be at least 10 minutes before status.notAfter")];
  return [];
}
