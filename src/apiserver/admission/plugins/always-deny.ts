/** Refuses everything: for tests of what refusal does. Upstream: plugin/pkg/admission/deny */
import { defineAdmission, refuse } from "../framework.ts";

export const alwaysDeny = defineAdmission({
  name: "AlwaysDeny",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  validate(request) {
    throw refuse(request, "admission control is denying all modifications");
  },
});
