/**
 * Decides who may approve and sign certificate signing requests for which signer.
 * Upstream: plugin/pkg/admission/certificates/{approval,signing,subjectrestriction,ctbattest}
 */
import { isDeepStrictEqual } from "node:util";
import { parseSigningRequest } from "../../../machinery/pki/signing-request.ts";
import { mayActFor } from "../../authz/signers.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const mayFor = ({ user }: AdmissionRequest, { authorizer }: AdmissionContext, verb: string, signer: string) =>
  mayActFor(signer, { user, verb, authorizer });

const CSRS = "certificatesigningrequests.certificates.k8s.io";

export const certificateApproval = defineAdmission({
  name: "CertificateApproval",
  onByDefault: true,
  handles: { operations: ["UPDATE"], resources: [CSRS], subresources: ["approval"] },
  async validate(request, context) {
    if (request.subresource !== "approval") return;
    const signer: string = request.oldObject.spec.signerName;
    if (!(await mayFor(request, context, "approve", signer)))
      throw refuse(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
  },
});

export const certificateSigning = defineAdmission({
  name: "CertificateSigning",
  onByDefault: true,
  handles: { operations: ["UPDATE"], resources: [CSRS], subresources: ["status"] },
  async validate(request, context) {
    if (request.subresource !== "status") return;
    const { object, oldObject } = request;
    // Conditions are the signer's word as much as the certificate.
    const word = ({ status }: AnyObject) => JSON.stringify([status?.certificate, status?.conditions ?? []]);
    if (word(object) === word(oldObject)) return;
    const signer: string = oldObject.spec.signerName;
    if (!(await mayFor(request, context, "sign", signer)))
      throw refuse(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
  },
});

/** Nobody gets a client certificate of the group that may do everything by way of a request. */
export const certificateSubjectRestriction = defineAdmission({
  name: "CertificateSubjectRestriction",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: [CSRS] },
  validate(request) {
    const { spec } = request.object;
    if (spec?.signerName !== "kubernetes.io/kube-apiserver-client") return;
    let organizations: readonly string[];
    try {
      ({ organizations } = parseSigningRequest(Buffer.from(spec.request ?? "", "base64").toString()));
    } catch (error) {
      throw refuse(request, `failed to parse CSR: ${(error as Error).message}`);
    }
    if (organizations.includes("system:masters"))
      throw refuse(
        request,
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
      );
  },
});

export const clusterTrustBundleAttest = defineAdmission({
  name: "ClusterTrustBundleAttest",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["clustertrustbundles.certificates.k8s.io"] },
  async validate(request, context) {
    // Off by default upstream, where the objects aren't served then; who serves them wants them guarded.
    if (!context.gate("ClusterTrustBundle", true)) return;
    const signer: string = request.object.spec.signerName ?? "";
    // Owners and finalizers are the collector's business.
    if (request.operation === "UPDATE" && onlyCollects(request)) return;
    if (signer === "" || (await mayFor(request, context, "attest", signer))) return;
    throw refuse(request, `user not permitted to attest for signerName ${JSON.stringify(signer)}`);
  },
});

function onlyCollects({ object, oldObject }: AdmissionRequest): boolean {
  const rest = ({ metadata, ...others }: AnyObject) => {
    const { ownerReferences: _, finalizers: __, managedFields: ___, resourceVersion: ____, ...more } = metadata;
    return { ...others, metadata: more };
  };
  return isDeepStrictEqual(plain(rest(object)), plain(rest(oldObject)));
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
