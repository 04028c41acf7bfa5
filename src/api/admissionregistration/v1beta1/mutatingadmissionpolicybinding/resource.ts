/** Upstream: pkg/apis/admissionregistration/v1beta1, pkg/registry/admissionregistration/mutatingadmissionpolicybinding */
import type { MutatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1beta1",
  kind: "MutatingAdmissionPolicyBinding",
});
