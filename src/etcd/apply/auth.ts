/**
 * Authorizes requests, and answers those about users and roles. This happens when a request is applied rather than when it arrives, because the log
 * may change permissions in between.
 * Upstream: server/etcdserver/apply/auth.go, backend.go
 */
import type { ResponseHeader } from "../../protocols/etcd/generated.ts";
import {
  checkDeleteAllowed,
  checkLeaseWritable,
  checkPutAllowed,
  checkRangeAllowed,
  checkTxnAllowed,
  type Checker,
} from "../auth/checks.ts";
import { NOBODY, type AuthInfo, type AuthStore } from "../auth/store.ts";
import type { Applied } from "./applier.ts";
import type { Link, Request } from "./chain.ts";

export interface AuthLinkDeps extends Checker {
  readonly header: () => ResponseHeader;
  /** The entry that is being applied. */
  readonly index: () => number;
}

export function checkAuth(deps: AuthLinkDeps): Link {
  const { auth } = deps;
  return (next) => (request) => {
    // What writes keys comes first: with authentication off it costs one look.
    if (auth.enabled) checkKeys(deps, request);
    else if (request.put !== undefined || request.txn !== undefined) return next(request);
    return answer(deps, request) ?? next(request);
  };
}

function userOf({ header }: Request): AuthInfo {
  return header === undefined ? NOBODY : { username: header.username ?? "", revision: header.auth_revision ?? 0 };
}

function checkKeys(deps: AuthLinkDeps, request: Request): void {
  const user = userOf(request);
  if (request.put !== undefined) checkPutAllowed(deps, user, request.put);
  else if (request.txn !== undefined) checkTxnAllowed(deps, user, request.txn);
  else if (request.delete_range !== undefined) checkDeleteAllowed(deps, user, request.delete_range);
  else if (request.range !== undefined) checkRangeAllowed(deps, user, request.range);
  else if (request.lease_revoke !== undefined) checkLeaseWritable(deps, user, request.lease_revoke.ID ?? 0n);
}

/** Undefined for what isn't about users and roles. */
function answer({ auth, header, index }: AuthLinkDeps, request: Request): Applied {
  const user = userOf(request);
  if (request.authenticate !== undefined) {
    const { name = "", simple_token = "" } = request.authenticate;
    const token = auth.authenticate(name, simple_token, index());
    return { header: header(), token };
  }
  if (request.auth_status !== undefined)
    return { header: header(), enabled: auth.enabled, authRevision: auth.revision };
  if (request.auth_user_get !== undefined) {
    const { name = "" } = request.auth_user_get;
    if (name !== user.username) auth.checkAdmin(user);
    return { header: header(), roles: auth.rolesOf(name) };
  }
  if (request.auth_role_get !== undefined) {
    const { role = "" } = request.auth_role_get;
    if (!auth.hasRole(user.username, role)) auth.checkAdmin(user);
    return { header: header(), perm: auth.permissionsOf(role) };
  }
  const change = changeOf(auth, request);
  if (change === undefined) return undefined;
  auth.checkAdmin(user);
  return { header: header(), ...change() };
}

/** What only root may do. */
function changeOf(auth: AuthStore, request: Request): (() => object | void) | undefined {
  if (request.auth_enable !== undefined) return () => auth.enable();
  if (request.auth_disable !== undefined) return () => auth.disable();
  const add = request.auth_user_add;
  if (add !== undefined) return () => auth.addUser(add);
  const deleted = request.auth_user_delete;
  if (deleted !== undefined) return () => auth.deleteUser(deleted.name ?? "");
  const password = request.auth_user_change_password;
  if (password !== undefined) return () => auth.changePassword(password);
  const granted = request.auth_user_grant_role;
  if (granted !== undefined) return () => auth.grantRole(granted.user ?? "", granted.role ?? "");
  const revoked = request.auth_user_revoke_role;
  if (revoked !== undefined) return () => auth.revokeRole(revoked.name ?? "", revoked.role ?? "");
  if (request.auth_user_list !== undefined) return () => ({ users: auth.users });
  if (request.auth_role_list !== undefined) return () => ({ roles: auth.roles });
  const role = request.auth_role_add;
  if (role !== undefined) return () => auth.addRole(role.name ?? "");
  const gone = request.auth_role_delete;
  if (gone !== undefined) return () => auth.deleteRole(gone.role ?? "");
  const permission = request.auth_role_grant_permission;
  if (permission !== undefined) return () => auth.grantPermission(permission);
  const taken = request.auth_role_revoke_permission;
  if (taken !== undefined) return () => auth.revokePermission(taken);
  return undefined;
}
