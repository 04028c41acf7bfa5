/** Upstream: pkg/apis/rbac/v1, pkg/registry/rbac/clusterrolebinding */
import type { ClusterRoleBinding } from "../../../generated/rbac.v1.ts";
import { defineResource } from "../../../define.ts";

export const clusterRoleBindings = defineResource<ClusterRoleBinding>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRoleBinding",
});
