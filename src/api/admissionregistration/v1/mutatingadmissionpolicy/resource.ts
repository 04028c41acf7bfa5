/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/mutatingadmissionpolicy */
import type { MutatingAdmissionPolicy } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingAdmissionPolicy",
});
