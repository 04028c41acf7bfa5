/** The users as which components act when they share a process with the API server and present no certificate. */
import type { UserInfo } from "../apiserver/authn/user.ts";
import { serviceAccountOf } from "../controllers/service-accounts.ts";

export function user(name: string, ...groups: readonly string[]): UserInfo {
  return { name, groups: [...groups, "system:authenticated"] };
}

/** The token controller makes the accounts' tokens, so upstream runs it with the manager's own identity. */
export function controllerUser(controller: string): UserInfo {
  if (controller === "serviceaccount-token-controller") return user("system:kube-controller-manager");
  return serviceAccount(serviceAccountOf(controller));
}

export function serviceAccount(name: string): UserInfo {
  return {
    name: `system:serviceaccount:kube-system:${name}`,
    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
  };
}
