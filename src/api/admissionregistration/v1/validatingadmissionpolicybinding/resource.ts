/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/validatingadmissionpolicybinding */
import type { ValidatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const validatingAdmissionPolicyBindings = defineResource<ValidatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicyBinding",
});
