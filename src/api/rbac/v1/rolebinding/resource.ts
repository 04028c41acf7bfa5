/** Upstream: pkg/apis/rbac, pkg/registry/rbac/rolebinding */
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";
import { defineResource } from "../../../define.ts";
import type { RoleBinding } from "../../../generated/rbac.v1.ts";
import { bindingColumns, defaultBinding } from "../binding.ts";
import { validateBinding, validateBindingUpdate } from "../validation.ts";

export const roleBindings = defineResource<RoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "RoleBinding",
  nameRule: nameIsPathSegment,
  behaviour: { defaults: defaultBinding, validate: validateBinding, validateUpdate: validateBindingUpdate },
  columns: bindingColumns,
});
