/** Upstream: pkg/apis/admissionregistration/v1alpha1/defaults.go, pkg/registry/admissionregistration/mutatingadmissionpolicy */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { MutatingAdmissionPolicy } from "../../../generated/admissionregistration.v1alpha1.ts";
import { defaultMatchResources, paramKindText } from "../../policy.ts";
import { validateMutatingPolicy } from "../../policy-validation.ts";
import { withStaticNames } from "../../static-names.ts";

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1alpha1",
  kind: "MutatingAdmissionPolicy",
  behaviour: withStaticNames({
    validate: (object) => validateMutatingPolicy(object),
    validateUpdate: (object, old) => validateMutatingPolicy(object, old),
    defaults({ spec }) {
      if (spec === undefined) return;
      ifAbsent(spec, "failurePolicy", "Fail");
      defaultMatchResources(spec.matchConstraints);
    },
  }),
  columns: [
    nameColumn,
    column("Mutations", "integer", ({ spec }) => (spec?.mutations ?? []).length),
    column("ParamKind", "string", ({ spec }) => paramKindText(spec?.paramKind)),
    ageColumn,
  ],
});
