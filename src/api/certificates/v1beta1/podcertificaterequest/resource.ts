/** Upstream: pkg/apis/certificates/v1beta1, pkg/registry/certificates/podcertificaterequest */
import type { PodCertificateRequest } from "../../../generated/certificates.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const podCertificateRequests = defineResource<PodCertificateRequest>({
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "PodCertificateRequest",
});
