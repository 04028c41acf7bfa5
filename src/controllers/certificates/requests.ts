/** Which certificates may be requested from which signer. Pure. Upstream: pkg/apis/certificates/helpers.go, pkg/controller/certificates/signer */
import type { CertificateSigningRequest } from "../../api/generated/certificates.v1.ts";
import type { SigningRequest } from "../../machinery/pki/signing-request.ts";

export const KUBE_APISERVER_CLIENT = "kubernetes.io/kube-apiserver-client";
export const KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
export const KUBELET_SERVING = "kubernetes.io/kubelet-serving";
export const LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown";

export const SIGNERS = [KUBELET_SERVING, KUBELET_CLIENT, KUBE_APISERVER_CLIENT, LEGACY_UNKNOWN] as const;

/** Why the signer doesn't sign this; undefined where it does. */
export function faultOf(signer: string, request: SigningRequest, usages: readonly string[]): string | undefined {
  switch (signer) {
    case KUBELET_SERVING:
      return faultOfServing(request, usages);
    case KUBELET_CLIENT:
      return faultOfKubelet(request, usages);
    case KUBE_APISERVER_CLIENT:
      return faultOfClient(usages);
    default:
      return undefined;
  }
}

const NODES = "subject organization is not system:nodes";
const NODE_NAME = "subject common name does not begin with system:node:";

export function faultOfKubelet(request: SigningRequest, usages: readonly string[]): string | undefined {
  if (request.organizations.join("\n") !== "system:nodes") return NODES;
  if (request.dnsNames.length > 0) return "DNS subjectAltNames are not allowed";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.ipAddresses.length > 0) return "IP subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  if (!request.commonName.startsWith("system:node:")) return NODE_NAME;
  return faultOfUsages(usages, "client auth");
}

function faultOfServing(request: SigningRequest, usages: readonly string[]): string | undefined {
  if (request.organizations.join("\n") !== "system:nodes") return NODES;
  if (request.dnsNames.length === 0 && request.ipAddresses.length === 0) return "DNS or IP subjectAltName is required";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  const fault = faultOfUsages(usages, "server auth");
  if (fault !== undefined) return fault;
  return request.commonName.startsWith("system:node:") ? undefined : NODE_NAME;
}

/** Keys of elliptic curves encipher no others. */
function faultOfUsages(usages: readonly string[], purpose: string): string | undefined {
  const asked = [...new Set(usages)].sort().join();
  const all = ["digital signature", "key encipherment", purpose].sort();
  const some = ["digital signature", purpose].sort();
  return asked === all.join() || asked === some.join() ? undefined : `usages did not match [${all.join(" ")}]`;
}

function faultOfClient(usages: readonly string[]): string | undefined {
  const strange = usages.find((usage) => !["digital signature", "key encipherment", "client auth"].includes(usage));
  if (strange !== undefined) return `invalid usage for client certificate: ${strange}`;
  return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
}

export function hasCondition({ status }: CertificateSigningRequest, type: "Approved" | "Denied" | "Failed"): boolean {
  return (status?.conditions ?? []).some((condition) => condition.type === type);
}

const BACKDATE_MS = 5 * 60_000;
const SHORT_MS = 8 * 3_600_000;
const LEAST_MS = 10 * 60_000;

/** From when to when a certificate is good: as long as was asked, but no longer than the signer signs, nor than its own is. Throws where that is over. */
export function validityOf(
  now: number,
  asked: number | undefined,
  most: number,
  authorityEnds: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const time = asked === undefined ? most : Math.min(most, Math.max(LEAST_MS, asked * 1000));
  const notBefore = now - BACKDATE_MS;
  // What is short enough isn't shortened by clocks that differ.
  const notAfter = Math.min(now + (time < SHORT_MS ? time : time - BACKDATE_MS), authorityEnds);
  const ended = `NotAfter=${new Date(authorityEnds).toISOString()}`;
  if (notBefore >= authorityEnds) throw new Error(`the signer has expired: ${ended}`);
  if (now >= authorityEnds) throw new Error(`refusing to sign a certificate that expired in the past: ${ended}`);
  return { notBefore, notAfter };
}

const HOUR_MS = 3_600_000;

/** Ms until a request is of no use to anybody any more. */
export function msUntilUseless(
  { metadata, status }: CertificateSigningRequest,
  /** When the certificate in it ends. */
  certificateEnds: number | undefined,
  now: number,
): number {
  const conditions = status?.conditions ?? [];
  const issued = (status?.certificate ?? "") !== "";
  const ends: number[] = [];
  if (conditions.length === 0) ends.push(Date.parse(metadata.creationTimestamp!) + 24 * HOUR_MS);
  for (const { type, lastUpdateTime } of conditions) {
    if (lastUpdateTime !== undefined) {
      const since = Date.parse(lastUpdateTime);
      if (type === "Denied" || type === "Failed") ends.push(since + HOUR_MS);
      if (type === "Approved") ends.push(since + (issued ? 1 : 24) * HOUR_MS);
    }
    if (type === "Approved" && certificateEnds !== undefined) ends.push(certificateEnds);
  }
  return Math.max(0, Math.min(...ends) - now);
}
