/** Upstream: pkg/apis/admissionregistration/v1beta1, pkg/registry/admissionregistration/mutatingadmissionpolicy */
import type { MutatingAdmissionPolicy } from "../../../generated/admissionregistration.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1beta1",
  kind: "MutatingAdmissionPolicy",
});
