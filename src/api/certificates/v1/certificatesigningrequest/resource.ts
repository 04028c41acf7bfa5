/** Upstream: pkg/apis/certificates/v1, pkg/registry/certificates/certificatesigningrequest */
import type { CertificateSigningRequest } from "../../../generated/certificates.v1.ts";
import { defineResource } from "../../../define.ts";

export const certificateSigningRequests = defineResource<CertificateSigningRequest>({
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
});
