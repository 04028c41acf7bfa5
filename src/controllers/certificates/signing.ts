/** Signs approved requests with the cluster's authority. Upstream: pkg/controller/certificates/signer */
import { X509Certificate } from "node:crypto";
import type { CertificateSigningRequest } from "../../api/generated/certificates.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { certificateSigningRequests } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { type Authority, issueCertificate } from "../../machinery/pki/certificate.ts";
import { parseSigningRequest } from "../../machinery/pki/signing-request.ts";
import { faultOf, hasCondition, SIGNERS, validityOf } from "./requests.ts";

const YEAR_MS = 365 * 24 * 3_600_000;

/** One for all signers, or some of their own; a function where they change while the controller runs. */
export type SigningAuthorities =
  | Authority
  | ReadonlyMap<string, Authority>
  | (() => Authority | ReadonlyMap<string, Authority>);

export const certificateSigningController = defineController({
  name: "certificatesigningrequest-signing-controller",
  aliases: ["csrsigning"],
  workers: { default: 5 },
  backoff: { baseMs: 200, maxMs: 1_000_000 },
  triggers: [itself(certificateSigningRequests)],
  create({ informers, clock, random, options }) {
    const given = options["signing-ca"] as SigningAuthorities | undefined;
    const most = Number(options["cluster-signing-duration"] ?? YEAR_MS);
    const authorityOf = (signer: string): Authority | undefined => {
      const authorities = typeof given === "function" ? given() : given;
      if (authorities === undefined || !(SIGNERS as readonly string[]).includes(signer)) return undefined;
      return "get" in authorities ? authorities.get(signer) : authorities;
    };
    return {
      async reconcile(key, signal, client) {
        const request = informers.of(certificateSigningRequests).get(key);
        if (request === undefined || (request.status?.certificate ?? "") !== "") return done;
        if (!hasCondition(request, "Approved") || hasCondition(request, "Failed")) return done;
        const authority = authorityOf(request.spec.signerName);
        if (authority === undefined) return done;
        const now = clock.now();
        const status = signed(request, authority, { now, most, serial: random.bytes(16) });
        await client.updateStatus(certificateSigningRequests, { ...request, status }, { signal });
        return done;
      },
    };
  },
});

/** The request's status with the certificate in it, or with why there is none. */
function signed(
  { metadata, spec, status }: CertificateSigningRequest,
  authority: Authority,
  { now, most, serial }: { readonly now: number; readonly most: number; readonly serial: Uint8Array },
): NonNullable<CertificateSigningRequest["status"]> {
  const request = parseSigningRequest(Buffer.from(spec.request, "base64").toString());
  const usages = spec.usages ?? [];
  const fault = faultOf(spec.signerName, request, usages);
  if (fault !== undefined) {
    const failed = {
      type: "Failed",
      status: "True",
      reason: "SignerValidationFailure",
      message: fault,
      lastUpdateTime: formatTime(now),
    };
    return { ...status, conditions: [...(status?.conditions ?? []), failed] };
  }
  if (!request.isSignedByItself())
    throw new Error(`error auto signing csr: unable to verify certificate request signature: ${metadata.name}`);
  const ends = Date.parse(new X509Certificate(authority.cert).validTo);
  const { subject, publicKey, dnsNames, emailAddresses, ipAddresses, uris } = request;
  const certificate = issueCertificate(authority, {
    subject,
    publicKey,
    dnsNames,
    emailAddresses,
    ipAddresses,
    uris,
    usages,
    serial,
    ...validityOf(now, spec.expirationSeconds, most, ends),
  });
  return { ...status, certificate: Buffer.from(certificate).toString("base64") };
}
