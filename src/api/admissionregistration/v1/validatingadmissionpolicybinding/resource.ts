/** Upstream: pkg/apis/admissionregistration/v1/defaults.go, pkg/registry/admissionregistration/validatingadmissionpolicybinding */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ValidatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1.ts";
import { defaultMatchResources, paramRefText } from "../../policy.ts";
import { validateValidatingBinding } from "../../policy-validation.ts";
import { withStaticNames } from "../../static-names.ts";

export const validatingAdmissionPolicyBindings = defineResource<ValidatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicyBinding",
  behaviour: withStaticNames({
    validate: (object) => validateValidatingBinding(object),
    defaults: ({ spec }) => defaultMatchResources(spec?.matchResources),
  }),
  columns: [
    nameColumn,
    column("PolicyName", "string", ({ spec }) => spec?.policyName ?? ""),
    column("ParamRef", "string", ({ spec }) => paramRefText(spec?.paramRef)),
    ageColumn,
  ],
});
