/** Refuses nothing: for those who name it in a list of plugins. Upstream: plugin/pkg/admission/admit */
import { defineAdmission } from "../framework.ts";

export const alwaysAdmit = defineAdmission({
  name: "AlwaysAdmit",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
});
