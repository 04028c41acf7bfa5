/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/validatingadmissionpolicy */
import type { ValidatingAdmissionPolicy } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const validatingAdmissionPolicies = defineResource<ValidatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicy",
});
