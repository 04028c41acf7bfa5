/** Upstream: pkg/apis/certificates/validation/validation.go */
import { X509Certificate } from "node:crypto";
import { checkSignerName, checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, tooLong } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { ClusterTrustBundle } from "../../../generated/certificates.v1beta1.ts";

const MAX_BYTES = 1024 * 1024;
const PATH = "spec.trustBundle";
const BLOCK = /-----BEGIN ([^-]+)-----\r?\n([^]*?)-----END \1-----/g;

type Bundle = Pick<ClusterTrustBundle, "metadata" | "spec">;

export function validateTrustBundle({ metadata, spec }: Bundle, old?: Bundle): FieldError[] {
  const { signerName = "", trustBundle = "" } = spec ?? {};
  const { name, generateName } = metadata;
  const errors: FieldError[] = [];
  if (generateName)
    errors.push(...checkName(generateName.replace(/-$/, "a"), signerName, "metadata.generateName", generateName));
  if (name) errors.push(...checkName(name, signerName, "metadata.name"));
  if (signerName !== "") errors.push(...checkSignerName(signerName, "spec.signerName"));
  // Nobody has to mend a bundle that was good once.
  if (trustBundle !== old?.spec?.trustBundle) errors.push(...checkAnchors(trustBundle));
  if (old !== undefined) errors.push(...immutableField(signerName, old.spec?.signerName ?? "", "spec.signerName"));
  return errors;
}

/** A bundle of a signer is named after it, with a colon for the slash. */
function checkName(name: string, signer: string, path: string, shown = name): FieldError[] {
  const wrong = (detail: string) => [invalid(path, shown, detail)];
  if (signer === "")
    return name.includes(":")
      ? wrong('ClusterTrustBundle without signer name must not have ":" in its name')
      : checkText(name, path, isDns1123Subdomain, shown);
  const prefix = `${signer.replaceAll("/", ":")}:`;
  return name.startsWith(prefix)
    ? checkText(name.slice(prefix.length), path, isDns1123Subdomain, shown)
    : wrong(`ClusterTrustBundle for signerName ${signer} must be named with prefix ${prefix}`);
}

function checkAnchors(text: string): FieldError[] {
  if (Buffer.byteLength(text) > MAX_BYTES) return [tooLong(PATH, MAX_BYTES)];
  const anchors = new Map<string, number[]>();
  const problems: string[] = [];
  for (const [i, [block, type, body]] of [...text.matchAll(BLOCK)].entries()) {
    const problem = problemOf(block, type!, body!);
    if (problem !== undefined) {
      problems.push(`entry ${i} ${problem}`);
      continue;
    }
    const key = body!.replace(/\s/g, "");
    anchors.set(key, [...(anchors.get(key) ?? []), i]);
  }
  if (problems.length === 0 && anchors.size === 0) problems.push("at least one trust anchor must be provided");
  else if (problems.length === 0)
    for (const indices of anchors.values())
      if (indices.length > 1) problems.push(`duplicate trust anchor (indices [${indices.join(" ")}])`);
  return problems.map((problem) => invalid(PATH, "<value omitted>", problem));
}

function problemOf(block: string, type: string, body: string): string | undefined {
  if (type !== "CERTIFICATE") return `has bad block type: ${type}`;
  if (body.includes(":")) return "has PEM block headers";
  try {
    return new X509Certificate(block).ca ? undefined : "does not have the CA bit set";
  } catch {
    return "does not parse as X.509";
  }
}
