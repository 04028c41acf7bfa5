/**
 * Users, roles and permissions of the v2 API: they are stored in its own tree and have nothing to do with the users of the v3 API.
 * Upstream: server/etcdserver/api/v2auth
 */
import { HttpError, V2Error } from "./errors.ts";
import { cleanPath } from "./form.ts";
import type { Write } from "./request.ts";
import type { V2Store } from "./store.ts";

const AUTH_ROOT = "/2";
const ROOT = "root";
const GUEST = "guest";

/** `null` and an empty list differ in what clients are shown, as a Go slice does. */
type Names = readonly string[] | null;

export interface User {
  readonly user: string;
  readonly password: string;
  readonly roles: Names;
}
export interface UserChange extends User {
  readonly grant: Names;
  readonly revoke: Names;
}
export interface Permissions {
  readonly kv: { readonly read: Names; readonly write: Names };
}
/** A new role is kept as it was sent, empty changes included; they go with the first real one. */
export interface Role {
  readonly role: string;
  readonly permissions: Permissions;
  readonly grant?: Permissions | undefined;
  readonly revoke?: Permissions | undefined;
}

/** Makes and checks what is kept of a password. */
export interface Passwords {
  hash(password: string): Promise<string>;
  matches(hash: string, password: string): Promise<boolean>;
}

const EVERYTHING: Permissions = { kv: { read: ["/*"], write: ["/*"] } };
const ROOT_ROLE: Role = { role: ROOT, permissions: EVERYTHING };

function authError(status: number, words: string): HttpError {
  return new HttpError(status, `auth: ${words}`);
}

export class V2Auth {
  readonly #store: V2Store;
  readonly #passwords: Passwords;
  #hasFolders = false;

  constructor(store: V2Store, passwords: Passwords) {
    this.#store = store;
    this.#passwords = passwords;
  }

  get enabled(): boolean {
    return this.#read("/enabled") === true;
  }

  users(): readonly string[] {
    return this.#names("/users");
  }

  user(name: string): User {
    const user = this.#read(`/users/${name}`) as User | undefined;
    if (user === undefined) throw authError(404, `User ${name} does not exist.`);
    return name === ROOT ? withRoot(user) : user;
  }

  /** What is shown of it after; `created` where it wasn't there. */
  async putUser(change: UserChange): Promise<{ readonly user: User; readonly created: boolean }> {
    const { grant, revoke, roles } = change;
    if ((grant?.length ?? 0) > 0 || (revoke?.length ?? 0) > 0) {
      if ((roles?.length ?? 0) > 0) throw new HttpError(400, "User JSON contains both roles and grant/revoke");
      return { user: await this.#updateUser(change), created: false };
    }
    if ((roles?.length ?? 0) > 0) return { user: await this.#createUser(change), created: false };
    // With a password and roles nobody could tell which of the two was meant, so this is for a password alone.
    if (this.#read(`/users/${change.user}`) !== undefined)
      return { user: await this.#updateUser(change), created: false };
    return { user: await this.#createUser(change), created: true };
  }

  async #createUser({ user: name, password, roles }: User): Promise<User> {
    const user: User = name === ROOT ? withRoot({ user: name, password, roles }) : { user: name, password, roles };
    if (password === "") throw authError(400, `Cannot create user ${name} with an empty password`);
    const kept = { ...user, password: await this.#passwords.hash(password) };
    await this.#create(`/users/${name}`, kept, `User ${name} already exists.`);
    return kept;
  }

  async #updateUser(change: UserChange): Promise<User> {
    const before = this.user(change.user);
    const password = change.password === "" ? before.password : await this.#passwords.hash(change.password);
    const roles = new Set(before.roles);
    for (const role of change.grant ?? []) {
      if (roles.has(role)) throw authError(409, `Granting duplicate role ${role} for user ${change.user}`);
      roles.add(role);
    }
    for (const role of change.revoke ?? [])
      if (!roles.delete(role)) throw authError(409, `Revoking ungranted role ${role} for user ${change.user}`);
    const user: User = { user: change.user, password, roles: [...roles].sort() };
    if (password === before.password && same(before.roles, user.roles))
      throw authError(400, "User not updated. Use grant/revoke/password to update the user.");
    await this.#update(`/users/${change.user}`, user);
    return user;
  }

  async deleteUser(name: string): Promise<void> {
    if (name === ROOT && this.enabled) throw authError(403, "Cannot delete root user while auth is enabled.");
    await this.#delete(`/users/${name}`, `User ${name} does not exist`);
  }

  roles(): readonly string[] {
    return [ROOT, ...this.#names("/roles")].sort();
  }

  role(name: string): Role {
    if (name === ROOT) return ROOT_ROLE;
    const role = this.#read(`/roles/${name}`) as Role | undefined;
    if (role === undefined) throw authError(404, `Role ${name} does not exist.`);
    return role;
  }

  async createRole(role: Role): Promise<void> {
    refuseRoot(role.role);
    await this.#create(`/roles/${role.role}`, role, `Role ${role.role} already exists.`);
  }

  async updateRole(change: Role): Promise<Role> {
    refuseRoot(change.role);
    const before = this.role(change.role);
    const permissions = revoked(granted(before.permissions, change.grant), change.revoke);
    if (
      same(before.permissions.kv.read, permissions.kv.read) &&
      same(before.permissions.kv.write, permissions.kv.write)
    )
      throw authError(400, "Role not updated. Use grant/revoke to update the role.");
    const role: Role = { role: change.role, permissions };
    await this.#update(`/roles/${change.role}`, role);
    return role;
  }

  async deleteRole(name: string): Promise<void> {
    refuseRoot(name);
    await this.#delete(`/roles/${name}`, `Role ${name} doesn't exist.`);
  }

  async enable(): Promise<void> {
    if (this.enabled) throw authError(409, "already enabled");
    if (this.#read(`/users/${ROOT}`) === undefined) throw authError(409, "No root user available, please create one");
    if (this.#read(`/roles/${GUEST}`) === undefined) await this.createRole({ role: GUEST, permissions: EVERYTHING });
    await this.#update("/enabled", true);
  }

  async disable(): Promise<void> {
    if (!this.enabled) throw authError(409, "already disabled");
    await this.#update("/enabled", false);
  }

  /** The user of these credentials, or undefined. */
  async authenticate(name: string, password: string): Promise<User | undefined> {
    const user = this.find(name);
    return user !== undefined && (await this.#passwords.matches(user.password, password)) ? user : undefined;
  }

  find(name: string): User | undefined {
    try {
      return this.user(name);
    } catch (error) {
      if (error instanceof HttpError || error instanceof V2Error) return undefined;
      throw error;
    }
  }

  /** Whether one of these roles may do it. Roles that are gone allow nothing. */
  mayAccess(roles: Names, key: string, write: boolean, recursive: boolean): boolean {
    return (roles ?? []).some((name) => {
      if (name === ROOT) return true;
      const role = this.#read(`/roles/${name}`) as Role | undefined;
      return ((write ? role?.permissions.kv.write : role?.permissions.kv.read) ?? []).some((pattern) =>
        covers(pattern, key, recursive),
      );
    });
  }

  guestMayAccess(key: string, write: boolean): boolean {
    return this.mayAccess([GUEST], key, write, false);
  }

  #read(path: string): unknown {
    try {
      return JSON.parse(this.#store.get(AUTH_ROOT + path).event.node.value ?? "null");
    } catch (error) {
      if (error instanceof V2Error && error.kind === "keyNotFound") return undefined;
      throw error;
    }
  }

  #names(path: string): readonly string[] {
    try {
      const { nodes = [] } = this.#store.get(AUTH_ROOT + path).event.node;
      return nodes.map(({ key }) => key!.slice(key!.lastIndexOf("/") + 1)).sort();
    } catch (error) {
      if (error instanceof V2Error && error.kind === "keyNotFound") return [];
      throw error;
    }
  }

  async #create(path: string, value: unknown, exists: string): Promise<void> {
    await this.#ensureFolders();
    if (!(await this.#putNew({ path: AUTH_ROOT + path, value: JSON.stringify(value) }))) throw authError(409, exists);
  }

  async #update(path: string, value: unknown): Promise<void> {
    await this.#ensureFolders();
    await this.#store.write({ ...PUT, path: AUTH_ROOT + path, value: JSON.stringify(value), prevExist: true });
  }

  async #delete(path: string, missing: string): Promise<void> {
    await this.#ensureFolders();
    try {
      await this.#store.write({ ...PUT, method: "DELETE", path: cleanPath(AUTH_ROOT + path) });
    } catch (error) {
      if (error instanceof V2Error && error.kind === "keyNotFound") throw authError(404, missing);
      throw error;
    }
  }

  /** Before the first write, so that who only reads keys changes nothing. */
  async #ensureFolders(): Promise<void> {
    if (this.#hasFolders) return;
    for (const path of [AUTH_ROOT, `${AUTH_ROOT}/users`, `${AUTH_ROOT}/roles`]) await this.#putNew({ path, dir: true });
    await this.#putNew({ path: `${AUTH_ROOT}/enabled`, value: "false" });
    this.#hasFolders = true;
  }

  async #putNew(request: Pick<Write, "path"> & Partial<Write>): Promise<boolean> {
    try {
      await this.#store.write({ ...PUT, ...request, prevExist: false });
      return true;
    } catch (error) {
      if (error instanceof V2Error && error.kind === "nodeExist") return false;
      throw error;
    }
  }
}

const PUT: Omit<Write, "path"> = {
  method: "PUT",
  value: "",
  dir: false,
  recursive: false,
  prevValue: "",
  prevIndex: 0n,
  prevExist: undefined,
  refresh: false,
  expires: undefined,
};

function withRoot(user: User): User {
  return user.roles?.includes(ROOT) ? user : { ...user, roles: [...(user.roles ?? []), ROOT] };
}

function refuseRoot(role: string): void {
  if (role === ROOT) throw authError(403, `Cannot modify role ${role}: is root role.`);
}

function granted(permissions: Permissions, more: Permissions | undefined): Permissions {
  if (more === undefined) return permissions;
  const add = (words: string, known: Names, added: Names) => {
    const all = new Set(known);
    for (const pattern of added ?? []) {
      if (all.has(pattern)) throw authError(409, `Granting duplicate ${words} permission ${pattern}`);
      all.add(pattern);
    }
    return [...all].sort();
  };
  const { read, write } = permissions.kv;
  return { kv: { read: add("read", read, more.kv.read), write: add("write", write, more.kv.write) } };
}

/** What was never granted may be revoked. */
function revoked(permissions: Permissions, less: Permissions | undefined): Permissions {
  if (less === undefined) return permissions;
  const drop = (known: Names, gone: Names) => (known ?? []).filter((pattern) => !gone?.includes(pattern)).sort();
  const { read, write } = permissions.kv;
  return { kv: { read: drop(read, less.kv.read), write: drop(write, less.kv.write) } };
}

/** A trailing `*` stands for everything that follows; only such a pattern covers what is below a key. */
function covers(pattern: string, key: string, recursive: boolean): boolean {
  if (pattern.endsWith("*")) return key.startsWith(pattern.slice(0, -1));
  return !recursive && key === pattern;
}

function same(a: Names, b: Names): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
