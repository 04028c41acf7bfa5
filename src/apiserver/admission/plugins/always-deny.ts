/** Denies everything, which is useful only in tests. Upstream: plugin/pkg/admission/deny */
import { defineAdmission, refuse } from "../framework.ts";

export const alwaysDeny = defineAdmission({
  name: "AlwaysDeny",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  validate(request) {
    throw refuse(request, "admission control is denying all modifications");
  },
});
