/** Upstream: pkg/apis/admissionregistration/v1alpha1, pkg/registry/admissionregistration/mutatingadmissionpolicybinding */
import type { MutatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1alpha1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1alpha1",
  kind: "MutatingAdmissionPolicyBinding",
});
