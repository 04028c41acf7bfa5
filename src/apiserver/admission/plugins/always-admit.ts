/** Admits everything. It does nothing and exists for those who list it among their plugins. Upstream: plugin/pkg/admission/admit */
import { defineAdmission } from "../framework.ts";

export const alwaysAdmit = defineAdmission({
  name: "AlwaysAdmit",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
});
