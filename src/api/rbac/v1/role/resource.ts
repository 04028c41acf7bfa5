/** Upstream: pkg/apis/rbac/v1, pkg/registry/rbac/role */
import type { Role } from "../../../generated/rbac.v1.ts";
import { defineResource } from "../../../define.ts";

export const roles = defineResource<Role>({ group: "rbac.authorization.k8s.io", version: "v1", kind: "Role" });
