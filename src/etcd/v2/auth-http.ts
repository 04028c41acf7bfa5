/** `/v2/auth/{users,roles,enable}`. Upstream: server/etcdserver/api/v2http/client_auth.go */
import type { Exchange, Headers } from "../../world/net.ts";
import type { Access } from "./access.ts";
import { allowMethod, answerJson, readBody } from "./answer.ts";
import type { Permissions, Role, User, UserChange, V2Auth } from "./auth.ts";
import { HttpError } from "./errors.ts";
import { cleanPath } from "./form.ts";

/** `path` is what follows `/v2/auth`. False where there is nothing at it. */
export async function serveAuth(
  exchange: Exchange,
  path: string,
  auth: V2Auth,
  access: Access,
  headers: Headers,
): Promise<boolean> {
  if (path === "/enable") await serveEnable(exchange, auth, access, headers);
  else if (/^\/(users|roles)(\/|$)/.test(path)) {
    const [, kind, name, ...more] = cleanPath(path).split("/");
    if (more.length > 0) throw new HttpError(400, "Invalid path");
    if (kind === "users") await (name === undefined ? serveUsers : serveUser)(exchange, auth, access, headers, name!);
    else await (name === undefined ? serveRoles : serveRole)(exchange, auth, access, headers, name!);
  } else return false;
  return true;
}

async function requireRoot(exchange: Exchange, access: Access): Promise<void> {
  if (!(await access.isRoot(exchange))) throw noAuth();
}

export function noAuth(): HttpError {
  return new HttpError(401, "Insufficient credentials");
}

async function serveEnable(exchange: Exchange, auth: V2Auth, access: Access, headers: Headers): Promise<void> {
  if (!allowMethod(exchange, "GET", "PUT", "DELETE")) return;
  if (!(await access.mayAdminister(exchange))) throw noAuth();
  switch (exchange.request.method) {
    case "GET":
      return answerJson(exchange, 200, headers, { enabled: auth.enabled });
    case "PUT":
      await auth.enable();
      break;
    case "DELETE":
      await auth.disable();
  }
  answerNothing(exchange, headers);
}

async function serveUsers(exchange: Exchange, auth: V2Auth, access: Access, headers: Headers): Promise<void> {
  if (!allowMethod(exchange, "GET")) return;
  await requireRoot(exchange, access);
  const users = auth.users().map((name) => withRoles(auth.user(name), auth, true));
  answerJson(exchange, 200, headers, { users: users.length === 0 ? null : users });
}

async function serveUser(
  exchange: Exchange,
  auth: V2Auth,
  access: Access,
  headers: Headers,
  name: string,
): Promise<void> {
  if (!allowMethod(exchange, "GET", "PUT", "DELETE")) return;
  await requireRoot(exchange, access);
  switch (exchange.request.method) {
    case "GET":
      return answerJson(exchange, 200, headers, withRoles(auth.user(name), auth, false));
    case "PUT": {
      const change = parse(await readBody(exchange), userOf);
      if (change.user !== name) throw new HttpError(400, "User JSON name does not match the name in the URL");
      const { user, created } = await auth.putUser(change);
      return answerJson(exchange, created ? 201 : 200, headers, { user: user.user, roles: user.roles });
    }
    case "DELETE":
      await auth.deleteUser(name);
      answerNothing(exchange, headers);
  }
}

/** Roles that are gone are left out of the list of all users, and fail the question for one. */
function withRoles(user: User, auth: V2Auth, lenient: boolean): object {
  const known = new Set(lenient ? auth.roles() : []);
  const roles = (user.roles ?? [])
    .filter((name) => !lenient || known.has(name))
    .map((name) => auth.role(name))
    .map(roleView);
  return { user: user.user, ...(roles.length > 0 && { roles }) };
}

async function serveRoles(exchange: Exchange, auth: V2Auth, access: Access, headers: Headers): Promise<void> {
  if (!allowMethod(exchange, "GET")) return;
  await requireRoot(exchange, access);
  answerJson(exchange, 200, headers, { roles: auth.roles().map((name) => roleView(auth.role(name))) });
}

async function serveRole(
  exchange: Exchange,
  auth: V2Auth,
  access: Access,
  headers: Headers,
  name: string,
): Promise<void> {
  if (!allowMethod(exchange, "GET", "PUT", "DELETE")) return;
  await requireRoot(exchange, access);
  switch (exchange.request.method) {
    case "GET":
      return answerJson(exchange, 200, headers, roleView(auth.role(name)));
    case "PUT": {
      const change = parse(await readBody(exchange), roleOf);
      if (change.role !== name) throw new HttpError(400, "Role JSON name does not match the name in the URL");
      if (isEmpty(change.grant) && isEmpty(change.revoke)) {
        await auth.createRole(change);
        return answerJson(exchange, 201, headers, roleView(change));
      }
      if (!isEmpty(change.permissions))
        throw new HttpError(400, "Role JSON contains both permissions and grant/revoke");
      return answerJson(exchange, 200, headers, roleView(await auth.updateRole(change)));
    }
    case "DELETE":
      await auth.deleteRole(name);
      answerNothing(exchange, headers);
  }
}

function answerNothing(exchange: Exchange, headers: Headers): void {
  exchange.respond(200, { "content-type": "application/json", ...headers });
}

function roleView({ role, permissions, grant, revoke }: Role): Role {
  return { role, permissions, ...(grant && { grant }), ...(revoke && { revoke }) };
}

function isEmpty(permissions: Permissions | undefined): boolean {
  return (permissions?.kv.read?.length ?? 0) === 0 && (permissions?.kv.write?.length ?? 0) === 0;
}

class Malformed extends Error {}

function parse<T>(body: string, read: (fields: Fields) => T): T {
  try {
    return read(fieldsOf(JSON.parse(body)));
  } catch (error) {
    if (!(error instanceof Malformed) && !(error instanceof SyntaxError)) throw error;
    throw new HttpError(400, "Invalid JSON in request body.", { cause: error });
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Names in any case, as Go reads them. */
function fieldsOf(value: unknown): Fields {
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw new Malformed();
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]));
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new Malformed();
  return value;
}

function namesOf(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) throw new Malformed();
  return value.map(textOf);
}

function permissionsOf(value: unknown): Permissions {
  const kv = fieldsOf(fieldsOf(value)["kv"]);
  return { kv: { read: namesOf(kv["read"]), write: namesOf(kv["write"]) } };
}

function optionalPermissions(value: unknown): Permissions | undefined {
  return value === undefined || value === null ? undefined : permissionsOf(value);
}

function userOf(fields: Fields): UserChange {
  return {
    user: textOf(fields["user"]),
    password: textOf(fields["password"]),
    roles: namesOf(fields["roles"]),
    grant: namesOf(fields["grant"]),
    revoke: namesOf(fields["revoke"]),
  };
}

function roleOf(fields: Fields): Role {
  return {
    role: textOf(fields["role"]),
    permissions: permissionsOf(fields["permissions"]),
    grant: optionalPermissions(fields["grant"]),
    revoke: optionalPermissions(fields["revoke"]),
  };
}
