/** Upstream: pkg/apis/rbac, pkg/registry/rbac/role */
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";
import { defineResource } from "../../../define.ts";
import type { Role } from "../../../generated/rbac.v1.ts";
import { validateRole } from "../validation.ts";

export const roles = defineResource<Role>({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "Role",
  nameRule: nameIsPathSegment,
  behaviour: { validate: validateRole },
});
