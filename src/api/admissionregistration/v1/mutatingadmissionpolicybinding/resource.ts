/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/mutatingadmissionpolicybinding */
import type { MutatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingAdmissionPolicyBinding",
});
