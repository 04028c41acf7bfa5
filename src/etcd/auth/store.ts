/**
 * Users, roles, permissions, and whether authentication is enabled. All of it changes only through the log, so that every member decides alike; only
 * passwords are verified beforehand, because that takes long.
 * Upstream: server/auth/store.go, server/storage/schema/auth.go
 */
import type { Logger } from "../../observe/log.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import {
  AuthpbRole,
  AuthpbUser,
  type AuthpbPermission,
  type AuthRoleGrantPermissionRequest,
  type AuthRoleRevokePermissionRequest,
  type AuthUserAddRequest,
  type AuthUserChangePasswordRequest,
} from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { RpcError, type Init } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { Bucket, BucketName } from "../backend/backend.ts";
import { storedNumber } from "../backend/rows.ts";
import { keyText } from "../mvcc/key-text.ts";
import { Bcrypt, DEFAULT_COST, MAX_COST, MIN_COST } from "./bcrypt.ts";
import { intervalOf, isValidPermissionRange, RangePermissions, type Interval } from "./range-permissions.ts";
import type { TokenProvider } from "./tokens.ts";

export const ROOT = "root";

/** A user, and the revision of the store at which the user was authenticated. */
export interface AuthInfo {
  readonly username: string;
  /** 0 where nobody was recognised. */
  readonly revision: number;
}

export const NOBODY: AuthInfo = Object.freeze({ username: "", revision: 0 });

export interface AuthStoreDeps {
  readonly bucket: (name: BucketName) => Bucket;
  readonly codec: Codec;
  readonly tokens: TokenProvider;
  readonly clock: World["clock"];
  readonly random: World["random"];
  readonly bcryptCost: number;
  readonly log: Logger;
}

interface Permissions {
  /** May do everything. */
  readonly root: boolean;
  readonly read: RangePermissions;
  readonly write: RangePermissions;
}

const EMPTY = new Uint8Array(0);
/** What a role named root is shown to have. */
const ROOT_PERMISSION: AuthpbPermission = { permType: "READWRITE", key: EMPTY, range_end: new Uint8Array(1) };

export class AuthStore {
  readonly bcryptCost: number;
  readonly tokens: TokenProvider;
  readonly #bcrypt: Bcrypt;
  readonly #random: World["random"];
  readonly #codec: Codec;
  readonly #log: Logger;
  readonly #bucket: AuthStoreDeps["bucket"];
  #enabled = false;
  #revision = 0;
  /** By user; made anew with every change. */
  #permissions = new Map<string, Permissions>();

  constructor({ bucket, codec, tokens, clock, random, bcryptCost, log }: AuthStoreDeps) {
    this.#bucket = bucket;
    this.#codec = codec;
    this.#log = log;
    this.tokens = tokens;
    this.#random = random;
    this.#bcrypt = new Bcrypt(() => new Promise((resolve) => clock.soon(resolve)));
    const valid = bcryptCost >= MIN_COST && bcryptCost <= MAX_COST;
    if (!valid)
      log.warn("use default bcrypt cost instead of the invalid given cost", {
        "min-cost": MIN_COST,
        "max-cost": MAX_COST,
        "default-cost": DEFAULT_COST,
        "given-cost": bcryptCost,
      });
    this.bcryptCost = valid ? bcryptCost : DEFAULT_COST;
    this.load();
    if (this.#revision === 0) this.#commit();
  }

  /** Takes over what the buckets hold: at the start, and when a leader's snapshot has replaced them. */
  load(): void {
    const bucket = this.#bucket("auth");
    this.#enabled = bucket.get("authEnabled")?.[0] === 1;
    const revision = bucket.get("authRevision");
    this.#revision = revision === undefined ? 0 : storedNumber(revision, "authRevision");
    this.#refresh();
    if (this.#enabled) this.tokens.enable();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Rises with every change of users, roles and permissions. */
  get revision(): number {
    return this.#revision;
  }

  enable(): void {
    if (this.#enabled) {
      this.#log.info("authentication is already enabled; ignored auth enable request");
      return;
    }
    const root = this.#user(ROOT);
    if (root === undefined) throw etcdError("rootUserNotExist");
    if (!root.roles.includes(ROOT)) throw etcdError("rootRoleNotExist");
    this.#bucket("auth").put("authEnabled", Uint8Array.of(1));
    this.#enabled = true;
    this.tokens.enable();
    this.#refresh();
    this.#log.info("enabled authentication");
  }

  disable(): void {
    if (!this.#enabled) return;
    this.#bucket("auth").put("authEnabled", Uint8Array.of(0));
    this.#commit();
    this.#enabled = false;
    this.tokens.disable();
    this.#log.info("disabled authentication");
  }

  // Passwords.

  /** Checks a name and a password, and gives the revision at which they were right. */
  async checkPassword(name: string, password: string): Promise<number> {
    if (!this.#enabled) throw etcdError("authNotEnabled");
    const user = this.#user(name);
    if (user === undefined) throw etcdError("authFailed");
    if (user.options?.no_password)
      throw new RpcError("Unknown", "auth: authentication failed, password was given for no password user");
    const revision = this.#revision;
    if (!(await this.#bcrypt.matches(password, keyText(user.password)))) {
      this.#log.info("invalid password", { "user-name": name });
      throw etcdError("authFailed");
    }
    return revision;
  }

  /** As a request to the log carries it, so that the log never holds a password. */
  async hashPassword(password: string): Promise<string> {
    const hash = await this.#bcrypt.hash(password, this.bcryptCost, this.#random.bytes(16));
    return Buffer.from(hash).toString("base64");
  }

  /** Applies the log's word that a user's password was right. Gives the token. */
  authenticate(name: string, prefix: string, index: number): string {
    if (!this.#enabled) throw etcdError("authNotEnabled");
    const user = this.#user(name);
    if (user === undefined || user.options?.no_password) throw etcdError("authFailed");
    return this.tokens.assign({ username: name, revision: this.#revision }, prefix, index);
  }

  // Users.

  addUser({ name = "", options, ...rest }: Init<AuthUserAddRequest>): void {
    if (name === "") throw etcdError("userEmpty");
    if (this.#user(name) !== undefined) throw etcdError("userAlreadyExist");
    const no_password = options?.no_password ?? false;
    const password = no_password ? EMPTY : this.#passwordOf(rest);
    this.#putUser({ name: Buffer.from(name), password, roles: [], options: { no_password } });
    this.#changed("added a user", { "user-name": name });
  }

  /** Members before 3.5 let everyone hash by himself. */
  #passwordOf({
    password = "",
    hashedPassword = "",
  }: Pick<Init<AuthUserAddRequest>, "password" | "hashedPassword">): Uint8Array {
    if (password !== "" && hashedPassword === "")
      return Buffer.from(this.#bcrypt.hashNow(password, this.bcryptCost, this.#random.bytes(16)));
    return Buffer.from(hashedPassword, "base64");
  }

  deleteUser(name: string): void {
    if (this.#enabled && name === ROOT) {
      this.#log.error("cannot delete 'root' user", undefined, { "user-name": name });
      throw etcdError("invalidAuthMgmt");
    }
    if (this.#user(name) === undefined) throw etcdError("userNotFound");
    this.#bucket("authUsers").delete(nameText(name));
    this.#changed("deleted a user", { "user-name": name });
    this.tokens.invalidateUser(name);
  }

  changePassword({ name = "", ...rest }: Init<AuthUserChangePasswordRequest>): void {
    const user = this.#user(name);
    if (user === undefined) throw etcdError("userNotFound");
    const password = user.options?.no_password ? EMPTY : this.#passwordOf(rest);
    this.#putUser({ ...user, password });
    this.#changed("changed a password of a user", { "user-name": name });
    this.tokens.invalidateUser(name);
  }

  grantRole(name: string, role: string): void {
    const user = this.#user(name);
    if (user === undefined) throw etcdError("userNotFound");
    if (role !== ROOT && this.#role(role) === undefined) throw etcdError("roleNotFound");
    if (user.roles.includes(role)) {
      this.#log.warn("ignored grant role request to a user", { "user-name": name, "duplicate-role-name": role });
      return;
    }
    this.#putUser({ ...user, roles: [...user.roles, role].sort(byBytes) });
    this.#changed("granted a role to a user", { "user-name": name, "added-role-name": role });
  }

  revokeRole(name: string, role: string): void {
    if (this.#enabled && name === ROOT && role === ROOT) {
      this.#log.error("'root' user cannot revoke 'root' role", undefined, { "user-name": name, "role-name": role });
      throw etcdError("invalidAuthMgmt");
    }
    const user = this.#user(name);
    if (user === undefined) throw etcdError("userNotFound");
    if (!user.roles.includes(role)) throw etcdError("roleNotGranted");
    this.#putUser({ ...user, roles: user.roles.filter((one) => one !== role) });
    this.#changed("revoked a role from a user", { "user-name": name, "revoked-role-name": role });
  }

  /** The user's roles. */
  rolesOf(name: string): readonly string[] {
    const user = this.#user(name);
    if (user === undefined) throw etcdError("userNotFound");
    return user.roles;
  }

  get users(): readonly string[] {
    return this.#users().map(({ name }) => Buffer.from(name).toString());
  }

  hasRole(name: string, role: string): boolean {
    return this.#user(name)?.roles.includes(role) ?? false;
  }

  // Roles.

  addRole(name: string): void {
    if (name === "") throw etcdError("roleEmpty");
    if (this.#role(name) !== undefined) throw etcdError("roleAlreadyExist");
    this.#putRole({ name: Buffer.from(name), keyPermission: [] });
    // A role that is new gives nobody anything.
    this.#commit();
    this.#log.info("created a role", { "role-name": name });
  }

  deleteRole(name: string): void {
    if (this.#enabled && name === ROOT) {
      this.#log.error("cannot delete 'root' role", undefined, { "role-name": name });
      throw etcdError("invalidAuthMgmt");
    }
    if (this.#role(name) === undefined) throw etcdError("roleNotFound");
    this.#bucket("authRoles").delete(nameText(name));
    for (const user of this.#users())
      if (user.roles.includes(name)) this.#putUser({ ...user, roles: user.roles.filter((one) => one !== name) });
    this.#changed("deleted a role", { "role-name": name });
  }

  permissionsOf(name: string): readonly AuthpbPermission[] {
    const role = this.#role(name);
    if (role === undefined) throw etcdError("roleNotFound");
    return name === ROOT ? [ROOT_PERMISSION] : role.keyPermission;
  }

  get roles(): readonly string[] {
    const names: string[] = [];
    this.#bucket("authRoles").forEach((name) => void names.push(Buffer.from(name, "latin1").toString()));
    return names;
  }

  grantPermission({ name = "", perm }: Init<AuthRoleGrantPermissionRequest>): void {
    if (perm === undefined) throw etcdError("permissionNotGiven");
    const { permType = "READ", key = EMPTY, range_end = EMPTY } = perm;
    if (!isValidPermissionRange(keyText(key), keyText(range_end))) throw etcdError("invalidAuthMgmt");
    const role = this.#role(name);
    if (role === undefined) throw etcdError("roleNotFound");
    const same = (one: AuthpbPermission) => equal(one.key, key) && equal(one.range_end, range_end);
    // Upstream looks at the first grant that begins with the key, and no further. What it then adds twice does no harm.
    const first = role.keyPermission.findIndex((one) => Buffer.compare(one.key, key) >= 0);
    const keyPermission =
      first >= 0 && same(role.keyPermission[first]!)
        ? role.keyPermission.with(first, { ...role.keyPermission[first]!, permType })
        : [...role.keyPermission, { permType, key, range_end }].sort((a, b) => Buffer.compare(a.key, b.key));
    this.#putRole({ ...role, keyPermission });
    this.#changed("granted/updated a permission to a user", { "user-name": name, "permission-name": permType });
  }

  revokePermission({ role: name = "", key = EMPTY, range_end = EMPTY }: Init<AuthRoleRevokePermissionRequest>): void {
    const role = this.#role(name);
    if (role === undefined) throw etcdError("roleNotFound");
    const keyPermission = role.keyPermission.filter((one) => !equal(one.key, key) || !equal(one.range_end, range_end));
    if (keyPermission.length === role.keyPermission.length) throw etcdError("permissionNotGranted");
    this.#putRole({ ...role, keyPermission });
    this.#changed("revoked a permission on range", { "role-name": name });
  }

  // What users may do. Each of these throws what the user is told.

  checkRead(info: AuthInfo, key: string, rangeEnd: string): void {
    this.#check(info, (permissions) => permissions.read.allows(key, rangeEnd));
  }

  checkWrite(info: AuthInfo, key: string, rangeEnd: string): void {
    this.#check(info, (permissions) => permissions.write.allows(key, rangeEnd));
  }

  checkAdmin(info: AuthInfo): void {
    if (!this.#enabled) return;
    if (info.username === "") throw etcdError("userEmpty");
    const permissions = this.#permissions.get(info.username);
    if (permissions === undefined) throw etcdError("userNotFound");
    if (!permissions.root) throw etcdError("permissionDenied");
  }

  isAdmin({ username }: AuthInfo): boolean {
    return !this.#enabled || (this.#permissions.get(username)?.root ?? false);
  }

  /** Refuses what was answered while the store changed: the answer may be one that the user is not to have any more. */
  checkRevision({ revision }: AuthInfo): void {
    if (revision !== 0 && revision !== this.#revision) throw etcdError("authOldRevision");
  }

  /** In whose name the member itself asks. */
  get asRoot(): AuthInfo | undefined {
    return this.#enabled ? { username: ROOT, revision: this.#revision } : undefined;
  }

  #check({ username, revision }: AuthInfo, allows: (permissions: Permissions) => boolean): void {
    if (!this.#enabled) return;
    if (revision === 0) throw etcdError("userEmpty");
    if (revision < this.#revision) throw etcdError("authOldRevision");
    const permissions = this.#permissions.get(username);
    if (permissions === undefined) {
      this.#log.error("cannot find a user for permission check", undefined, { "user-name": username });
      throw etcdError("permissionDenied");
    }
    if (!permissions.root && !allows(permissions)) throw etcdError("permissionDenied");
  }

  #user(name: string): AuthpbUser | undefined {
    const bytes = this.#bucket("authUsers").get(nameText(name));
    return bytes === undefined ? undefined : this.#codec.decode(AuthpbUser, bytes);
  }

  #users(): readonly AuthpbUser[] {
    const users: AuthpbUser[] = [];
    this.#bucket("authUsers").forEach((_, bytes) => void users.push(this.#codec.decode(AuthpbUser, bytes)));
    return users;
  }

  #putUser(user: Init<AuthpbUser>): void {
    this.#bucket("authUsers").put(keyText(user.name!), this.#codec.encode(AuthpbUser, user));
  }

  #role(name: string): AuthpbRole | undefined {
    const bytes = this.#bucket("authRoles").get(nameText(name));
    return bytes === undefined ? undefined : this.#codec.decode(AuthpbRole, bytes);
  }

  #putRole(role: Init<AuthpbRole>): void {
    this.#bucket("authRoles").put(keyText(role.name!), this.#codec.encode(AuthpbRole, role));
  }

  #changed(message: string, fields: Readonly<Record<string, string>>): void {
    this.#commit();
    this.#refresh();
    this.#log.info(message, fields);
  }

  #commit(): void {
    this.#revision++;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(this.#revision));
    this.#bucket("auth").put("authRevision", bytes);
  }

  #refresh(): void {
    const roles = new Map<string, AuthpbRole>();
    this.#bucket("authRoles").forEach((name, bytes) => {
      roles.set(Buffer.from(name, "latin1").toString(), this.#codec.decode(AuthpbRole, bytes));
    });
    this.#permissions = new Map(
      this.#users().map((user) => [Buffer.from(user.name).toString(), permissionsOf(user, roles)]),
    );
  }
}

function permissionsOf(user: AuthpbUser, roles: ReadonlyMap<string, AuthpbRole>): Permissions {
  const read: Interval[] = [];
  const write: Interval[] = [];
  for (const name of user.roles)
    for (const { permType, key, range_end } of roles.get(name)?.keyPermission ?? []) {
      const interval = intervalOf(keyText(key), keyText(range_end));
      if (permType !== "WRITE") read.push(interval);
      if (permType !== "READ") write.push(interval);
    }
  return {
    root: user.roles.includes(ROOT),
    read: new RangePermissions(read),
    write: new RangePermissions(write),
  };
}

/** A name as a bucket's key. */
function nameText(name: string): string {
  return keyText(Buffer.from(name));
}

/** As Go sorts strings. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
