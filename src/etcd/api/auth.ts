/** Upstream: server/etcdserver/api/v3rpc/auth.go, server/etcdserver/v3_server.go */
import type {
  AuthDisableRequest,
  AuthDisableResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthEnableRequest,
  AuthEnableResponse,
  AuthRoleAddRequest,
  AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleGrantPermissionResponse,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthRoleRevokePermissionResponse,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  AuthUserDeleteResponse,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserGrantRoleResponse,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthUserRevokeRoleResponse,
} from "../../protocols/etcd/generated.ts";
import type { Call, Init } from "../../wire/rpc/service.ts";
import type { Request } from "../apply/chain.ts";
import type { Member } from "../member.ts";

export function authService(member: Member) {
  const { auth } = member;
  const ask = <R>(request: Request, call: Call | undefined) => member.proposeFor(call, request) as Promise<R>;
  return {
    AuthEnable: (request: Init<AuthEnableRequest>, call?: Call) =>
      ask<AuthEnableResponse>({ auth_enable: request }, call),
    AuthDisable: (request: Init<AuthDisableRequest>, call?: Call) =>
      ask<AuthDisableResponse>({ auth_disable: request }, call),
    AuthStatus: (request: Init<AuthStatusRequest>, call?: Call) =>
      ask<AuthStatusResponse>({ auth_status: request }, call),

    /** The log records that the password was verified, and never the password. The verification must still hold when the request is applied. */
    async Authenticate({ name = "", password = "" }: Init<AuthenticateRequest>): Promise<AuthenticateResponse> {
      await member.linearizable();
      for (;;) {
        const revision = await auth.checkPassword(name, password);
        const authenticate = { name, simple_token: auth.tokens.prefix() };
        const answer = (await member.propose({ authenticate })) as AuthenticateResponse;
        if (revision === auth.revision) return answer;
      }
    },

    async UserAdd(request: Init<AuthUserAddRequest>, call?: Call): Promise<AuthUserAddResponse> {
      return await ask({ auth_user_add: request.options?.no_password ? request : await hashed(request) }, call);
    },
    async UserChangePassword(
      request: Init<AuthUserChangePasswordRequest>,
      call?: Call,
    ): Promise<AuthUserChangePasswordResponse> {
      return await ask({ auth_user_change_password: request.password ? await hashed(request) : request }, call);
    },
    UserGet: (request: Init<AuthUserGetRequest>, call?: Call) =>
      ask<AuthUserGetResponse>({ auth_user_get: request }, call),
    UserList: (request: Init<AuthUserListRequest>, call?: Call) =>
      ask<AuthUserListResponse>({ auth_user_list: request }, call),
    UserDelete: (request: Init<AuthUserDeleteRequest>, call?: Call) =>
      ask<AuthUserDeleteResponse>({ auth_user_delete: request }, call),
    UserGrantRole: (request: Init<AuthUserGrantRoleRequest>, call?: Call) =>
      ask<AuthUserGrantRoleResponse>({ auth_user_grant_role: request }, call),
    UserRevokeRole: (request: Init<AuthUserRevokeRoleRequest>, call?: Call) =>
      ask<AuthUserRevokeRoleResponse>({ auth_user_revoke_role: request }, call),

    RoleAdd: (request: Init<AuthRoleAddRequest>, call?: Call) =>
      ask<AuthRoleAddResponse>({ auth_role_add: request }, call),
    RoleGet: (request: Init<AuthRoleGetRequest>, call?: Call) =>
      ask<AuthRoleGetResponse>({ auth_role_get: request }, call),
    RoleList: (request: Init<AuthRoleListRequest>, call?: Call) =>
      ask<AuthRoleListResponse>({ auth_role_list: request }, call),
    RoleDelete: (request: Init<AuthRoleDeleteRequest>, call?: Call) =>
      ask<AuthRoleDeleteResponse>({ auth_role_delete: request }, call),
    RoleGrantPermission: (request: Init<AuthRoleGrantPermissionRequest>, call?: Call) =>
      ask<AuthRoleGrantPermissionResponse>({ auth_role_grant_permission: request }, call),
    RoleRevokePermission: (request: Init<AuthRoleRevokePermissionRequest>, call?: Call) =>
      ask<AuthRoleRevokePermissionResponse>({ auth_role_revoke_permission: request }, call),
  };

  /** Members before 3.5 know no hashes in the log: they would take the empty password. */
  async function hashed<R extends Init<AuthUserChangePasswordRequest>>(request: R): Promise<R> {
    const [, minor = 0] = member.clusterVersion.split(".").map(Number);
    if (member.clusterVersion.startsWith("3.") && minor < 5) return request;
    return { ...request, password: "", hashedPassword: await auth.hashPassword(request.password ?? "") };
  }
}
