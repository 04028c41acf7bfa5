/** Upstream: pkg/apis/rbac/v1, pkg/registry/rbac/rolebinding */
import type { RoleBinding } from "../../../generated/rbac.v1.ts";
import { defineResource } from "../../../define.ts";

export const roleBindings = defineResource<RoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "RoleBinding",
});
