/** Upstream: pkg/apis/admissionregistration/v1/defaults.go, pkg/registry/admissionregistration/validatingadmissionpolicy */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { ValidatingAdmissionPolicy } from "../../../generated/admissionregistration.v1.ts";
import { defaultMatchResources, paramKindText } from "../../policy.ts";
import { validatePolicyStatus, validateValidatingPolicy } from "../../policy-validation.ts";
import { withStaticNames } from "../../static-names.ts";

export const validatingAdmissionPolicies = defineResource<ValidatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicy",
  behaviour: withStaticNames({
    validate: (object) => validateValidatingPolicy(object),
    validateUpdate: (object, old) => validateValidatingPolicy(object, old),
    defaults({ spec }) {
      if (spec === undefined) return;
      ifAbsent(spec, "failurePolicy", "Fail");
      defaultMatchResources(spec.matchConstraints);
    },
  }),
  views: { status: { validateUpdate: ({ status }) => validatePolicyStatus(status) } },
  columns: [
    nameColumn,
    column("Validations", "integer", ({ spec }) => (spec?.validations ?? []).length),
    column("ParamKind", "string", ({ spec }) => paramKindText(spec?.paramKind)),
    ageColumn,
  ],
});
