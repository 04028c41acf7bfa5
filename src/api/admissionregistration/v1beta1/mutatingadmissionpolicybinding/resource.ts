/** Upstream: pkg/apis/admissionregistration/v1beta1/defaults.go, pkg/registry/admissionregistration/mutatingadmissionpolicybinding */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { MutatingAdmissionPolicyBinding } from "../../../generated/admissionregistration.v1beta1.ts";
import { defaultMatchResources, paramRefText } from "../../policy.ts";
import { validateMutatingBinding } from "../../policy-validation.ts";
import { withStaticNames } from "../../static-names.ts";

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1beta1",
  kind: "MutatingAdmissionPolicyBinding",
  behaviour: withStaticNames({
    validate: (object) => validateMutatingBinding(object),
    defaults({ spec }) {
      if (spec === undefined) return;
      defaultMatchResources(spec.matchResources);
    },
  }),
  columns: [
    nameColumn,
    column("PolicyName", "string", ({ spec }) => spec?.policyName ?? ""),
    column("ParamRef", "string", ({ spec }) => paramRefText(spec?.paramRef)),
    ageColumn,
  ],
});
