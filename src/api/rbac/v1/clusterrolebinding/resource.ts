/** Upstream: pkg/apis/rbac, pkg/registry/rbac/clusterrolebinding */
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";
import { defineResource } from "../../../define.ts";
import type { ClusterRoleBinding } from "../../../generated/rbac.v1.ts";
import { bindingColumns, defaultBinding } from "../binding.ts";
import { validateBinding, validateBindingUpdate } from "../validation.ts";

export const clusterRoleBindings = defineResource<ClusterRoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRoleBinding",
  nameRule: nameIsPathSegment,
  behaviour: { defaults: defaultBinding, validate: validateBinding, validateUpdate: validateBindingUpdate },
  columns: bindingColumns,
});
