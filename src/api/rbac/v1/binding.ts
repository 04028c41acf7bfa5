/** What ClusterRoleBindings and RoleBindings have in common. Upstream: pkg/apis/rbac/v1/defaults.go, pkg/printers/internalversion/printers.go */
import type { Mutable } from "../../../base/mutable.ts";
import type { Column } from "../../../machinery/resource.ts";
import { ageColumn, column, nameColumn, wide } from "../../columns.ts";
import { ifEmpty } from "../../defaulting.ts";
import type { ClusterRoleBinding, RoleBinding, Subject } from "../../generated/rbac.v1.ts";

type Binding = RoleBinding | ClusterRoleBinding;

export const RBAC_GROUP = "rbac.authorization.k8s.io";

export function defaultBinding({ roleRef, subjects }: Mutable<Binding>): void {
  if (roleRef !== undefined) ifEmpty(roleRef, "apiGroup", RBAC_GROUP);
  for (const subject of subjects ?? [])
    if (subject.kind === "User" || subject.kind === "Group") ifEmpty(subject, "apiGroup", RBAC_GROUP);
}

const names = (kind: string, text: (subject: Subject) => string) => (binding: Binding) =>
  (binding.subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(text)
    .join(", ");

export const bindingColumns: readonly Column<Binding>[] = [
  nameColumn,
  column("Role", "string", ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  wide(
    "Users",
    "string",
    names("User", ({ name }) => name),
  ),
  wide(
    "Groups",
    "string",
    names("Group", ({ name }) => name),
  ),
  wide(
    "ServiceAccounts",
    "string",
    names("ServiceAccount", ({ namespace, name }) => `${namespace ?? ""}/${name}`),
  ),
];
