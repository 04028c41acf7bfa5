/** Upstream: pkg/apis/admissionregistration/v1alpha1, pkg/registry/admissionregistration/mutatingadmissionpolicy */
import type { MutatingAdmissionPolicy } from "../../../generated/admissionregistration.v1alpha1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1alpha1",
  kind: "MutatingAdmissionPolicy",
});
