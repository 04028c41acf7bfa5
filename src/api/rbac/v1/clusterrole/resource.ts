/** Upstream: pkg/apis/rbac, pkg/registry/rbac/clusterrole */
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";
import { defineResource } from "../../../define.ts";
import type { ClusterRole } from "../../../generated/rbac.v1.ts";
import { validateClusterRole } from "../validation.ts";

export const clusterRoles = defineResource<ClusterRole>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  nameRule: nameIsPathSegment,
  behaviour: { validate: validateClusterRole },
});
