/** Upstream: pkg/apis/rbac/v1, pkg/registry/rbac/clusterrole */
import type { ClusterRole } from "../../../generated/rbac.v1.ts";
import { defineResource } from "../../../define.ts";

export const clusterRoles = defineResource<ClusterRole>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
});
