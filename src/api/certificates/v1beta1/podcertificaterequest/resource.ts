/** Upstream: pkg/registry/certificates/podcertificaterequest */
import { column, labelsText, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PodCertificateRequest } from "../../../generated/certificates.v1beta1.ts";
import {
  validatePodCertificateRequest,
  validatePodCertificateRequestStatus,
  validatePodCertificateRequestUpdate,
} from "./validation.ts";

export const podCertificateRequests = defineResource<PodCertificateRequest>({
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "PodCertificateRequest",
  behaviour: {
    defaults({ spec }) {
      if (spec !== undefined) ifAbsent(spec, "maxExpirationSeconds", 86400);
    },
    validate: validatePodCertificateRequest,
    validateUpdate: validatePodCertificateRequestUpdate,
  },
  views: {
    status: {
      validateUpdate(request, old, context) {
        const errors = validatePodCertificateRequestStatus(request, old, context);
        return errors.length > 0 ? errors : (context.refused ?? []);
      },
    },
  },
  selectableFields: {
    "spec.signerName": ({ spec }) => spec?.signerName ?? "",
    "spec.podName": ({ spec }) => spec?.podName ?? "",
    "spec.nodeName": ({ spec }) => spec?.nodeName ?? "",
  },
  columns: [
    nameColumn,
    column("PodName", "string", ({ spec }) => spec?.podName ?? ""),
    column("ServiceAccountName", "string", ({ spec }) => spec?.serviceAccountName ?? ""),
    column("NodeName", "string", ({ spec }) => spec?.nodeName ?? ""),
    column("SignerName", "string", ({ spec }) => spec?.signerName ?? ""),
    column("State", "string", ({ status }) => {
      const ends = (status?.conditions ?? []).filter(({ type }) => ["Issued", "Denied", "Failed"].includes(type));
      return ends.at(-1)?.type ?? "Pending";
    }),
    column("UnverifiedUserAnnotations", "string", ({ spec }) => labelsText(spec?.unverifiedUserAnnotations)),
  ],
});
