import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { ETCD_ERRORS, type EtcdErrorName } from "../../protocols/etcd/errors.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { checkAuth } from "../apply/auth.ts";
import type { Request } from "../apply/chain.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { Lessor } from "../lease/lessor.ts";
import { SimpleTokens } from "./simple-tokens.ts";
import { AuthStore } from "./store.ts";

const b = (text: string) => Buffer.from(text);
const HASH = b("$2a$04$hash").toString("base64");
const header = { cluster_id: 1n, member_id: 1n, revision: 1, raft_term: 1 };

function setUp(backend = new MemoryBackend()) {
  const world = simulatedWorld(1);
  const tokens = new SimpleTokens(300, world);
  const deps = { ...world, codec: etcdCodec(), tokens, bcryptCost: 4, log: silent };
  const auth = new AuthStore({ ...deps, bucket: (name) => backend.bucket(name) });
  const lessor = new Lessor({ ...deps, bucket: backend.bucket("lease"), minimumTtl: 2 });
  const passed: Request[] = [];
  const link = checkAuth({ auth, lessor, header: () => header, index: () => 1 });
  const apply = link((request) => {
    passed.push(request);
    return undefined;
  });
  const as = (username: string, request: Request, auth_revision = auth.revision) =>
    apply({ ...request, header: { ID: 1n, username, auth_revision } });
  return { auth, backend, lessor, tokens, passed, apply, as };
}

/** With root, and alice who reads `/r` and writes `/w`. */
function enabled() {
  const made = setUp();
  const { apply } = made;
  for (const name of ["root", "alice"]) apply({ auth_user_add: { name, hashedPassword: HASH } });
  apply({ auth_user_grant_role: { user: "root", role: "root" } });
  apply({ auth_role_add: { name: "r" } });
  apply({ auth_role_grant_permission: { name: "r", perm: { permType: "READ", key: b("/r") } } });
  apply({ auth_role_grant_permission: { name: "r", perm: { permType: "WRITE", key: b("/w") } } });
  apply({ auth_role_add: { name: "other" } });
  apply({ auth_user_grant_role: { user: "alice", role: "r" } });
  apply({ auth_enable: {} });
  return made;
}

const fails = (run: () => unknown, name: EtcdErrorName) => assert.throws(run, { message: ETCD_ERRORS[name][1] });

test("what is kept is in upstream's encoding", () => {
  const { backend, apply } = enabled();
  apply({ header: { username: "root" }, auth_user_add: { name: "zoë", options: { no_password: true } } });
  assert.deepEqual([...backend.bucket("auth").get("authEnabled")!], [1]);
  assert.equal(Buffer.from(backend.bucket("auth").get("authRevision")!).toString("hex"), "000000000000000a");
  const user = Buffer.from(backend.bucket("authUsers").get("alice")!);
  assert.equal(user.toString("latin1"), "\n\x05alice\x12\x0b$2a$04$hash\x1a\x01r\x22\x00");
  const role = Buffer.from(backend.bucket("authRoles").get("r")!);
  assert.equal(role.toString("latin1"), "\n\x01r\x12\x04\x12\x02/r\x12\x06\x08\x01\x12\x02/w");
  assert.ok(backend.bucket("authUsers").get(Buffer.from("zoë").toString("latin1")));
});

test("another start takes up what was kept", () => {
  const { auth } = setUp(enabled().backend);
  assert.equal(auth.enabled, true);
  assert.equal(auth.revision, 9);
  assert.deepEqual(auth.users, ["alice", "root"]);
  auth.checkRead({ username: "alice", revision: 9 }, "/r", "");
  fails(() => auth.checkRead({ username: "alice", revision: 9 }, "/x", ""), "permissionDenied");
});

test("every change of users, roles and permissions counts, and what changes nothing doesn't", () => {
  const { auth, apply } = setUp();
  assert.equal(auth.revision, 1);
  const after = (request: Request): number => {
    apply(request);
    return auth.revision;
  };
  assert.equal(after({ auth_user_add: { name: "root", hashedPassword: HASH } }), 2);
  assert.equal(after({ auth_user_change_password: { name: "root", hashedPassword: HASH } }), 3);
  assert.equal(after({ auth_user_grant_role: { user: "root", role: "root" } }), 4);
  assert.equal(after({ auth_user_grant_role: { user: "root", role: "root" } }), 4);
  assert.equal(after({ auth_role_add: { name: "r" } }), 5);
  assert.equal(after({ auth_role_grant_permission: { name: "r", perm: { key: b("a") } } }), 6);
  assert.equal(after({ auth_role_revoke_permission: { role: "r", key: b("a") } }), 7);
  assert.equal(after({ auth_enable: {} }), 7);
  const root = { header: { username: "root" } };
  assert.equal(after({ ...root, auth_role_delete: { role: "r" } }), 8);
  assert.equal(after({ ...root, auth_disable: {} }), 9);
  assert.equal(after({ auth_disable: {} }), 9);
  assert.equal(after({ auth_user_delete: { name: "root" } }), 10);
});

for (const [name, request, error] of [
  ["a user without a name", { auth_user_add: { name: "" } }, "userEmpty"],
  ["a role without a name", { auth_role_add: { name: "" } }, "roleEmpty"],
  ["a permission that is missing", { auth_role_grant_permission: { name: "r" } }, "permissionNotGiven"],
  [
    "a permission on no key, before the role is looked for",
    { auth_role_grant_permission: { name: "x", perm: { range_end: b("\0") } } },
    "invalidAuthMgmt",
  ],
  ["authentication without root", { auth_enable: {} }, "rootUserNotExist"],
  ["a token while nobody is asked", { authenticate: { name: "alice" } }, "authNotEnabled"],
] as const)
  test(`${name} is refused`, () => fails(() => setUp().apply(request), error));

test("root without its role is not enough to turn authentication on", () => {
  const { apply } = setUp();
  apply({ auth_user_add: { name: "root", hashedPassword: HASH } });
  fails(() => apply({ auth_enable: {} }), "rootRoleNotExist");
});

const put = (key: string, rest: object = {}): Request => ({ put: { key: b(key), value: b(""), ...rest } });
const get = (key: string, end = "") => ({ request_range: { key: b(key), range_end: b(end) } });

/** As alice; undefined where it is allowed. */
const REQUESTS: readonly (readonly [name: string, request: Request, error?: EtcdErrorName])[] = [
  ["a put where she may write", put("/w")],
  ["a put where she may read", put("/r"), "permissionDenied"],
  ["a put that shows what was there", put("/w", { prev_kv: true }), "permissionDenied"],
  ["a delete where she may write", { delete_range: { key: b("/w") } }],
  ["a delete of more", { delete_range: { key: b("/w"), range_end: b("\0") } }, "permissionDenied"],
  ["a delete that shows what was there", { delete_range: { key: b("/w"), prev_kv: true } }, "permissionDenied"],
  ["a transaction of what she may", { txn: { compare: [{ key: b("/r") }], success: [get("/r")] } }],
  ["a comparison", { txn: { compare: [{ key: b("/w") }] } }, "permissionDenied"],
  ["a comparison of a range", { txn: { compare: [{ key: b("/r"), range_end: b("\0") }] } }, "permissionDenied"],
  ["the branch taken", { txn: { success: [get("/w")] } }, "permissionDenied"],
  ["the other branch", { txn: { failure: [get("/w")] } }, "permissionDenied"],
  ["an open range in a transaction", { txn: { success: [get("/r", "\0")] } }, "permissionDenied"],
  ["a nested comparison", { txn: { failure: [{ request_txn: { compare: [{ key: b("/w") }] } }] } }, "permissionDenied"],
  [
    "a nested put",
    { txn: { success: [{ request_txn: { failure: [{ request_put: { key: b("/r") } }] } }] } },
    "permissionDenied",
  ],
  [
    "a nested delete",
    { txn: { success: [{ request_txn: { success: [{ request_delete_range: { key: b("/r") } }] } }] } },
    "permissionDenied",
  ],
  ["the end of a lease on a key that she may write", { lease_revoke: { ID: 1n } }],
  ["the end of a lease on another key, too", { lease_revoke: { ID: 2n } }, "permissionDenied"],
  ["the end of a lease that is not there", { lease_revoke: { ID: 3n } }],
  ["a key on a lease on another key", put("/w", { lease: 2n }), "permissionDenied"],
  [
    "a key on a lease on another key, in a transaction",
    { txn: { success: [{ request_put: { key: b("/w"), lease: 2n } }] } },
    "permissionDenied",
  ],
  ["herself", { auth_user_get: { name: "alice" } }],
  ["someone else", { auth_user_get: { name: "root" } }, "permissionDenied"],
  ["someone who is not there", { auth_user_get: { name: "nobody" } }, "permissionDenied"],
  ["her role", { auth_role_get: { role: "r" } }],
  ["another role", { auth_role_get: { role: "other" } }, "permissionDenied"],
  ["the status of authentication", { auth_status: {} }],
  ["a lease", { lease_grant: { ID: 9n, TTL: 10 } }],
  ...(
    [
      { auth_enable: {} },
      { auth_disable: {} },
      { auth_user_add: { name: "x" } },
      { auth_user_delete: { name: "alice" } },
      { auth_user_change_password: { name: "alice" } },
      { auth_user_grant_role: { user: "alice", role: "root" } },
      { auth_user_revoke_role: { name: "alice", role: "r" } },
      { auth_user_list: {} },
      { auth_role_list: {} },
      { auth_role_add: { name: "x" } },
      { auth_role_delete: { role: "r" } },
      { auth_role_grant_permission: { name: "r", perm: { key: b("x") } } },
      { auth_role_revoke_permission: { role: "r", key: b("/r") } },
    ] as const
  ).map((request) => [Object.keys(request)[0]!, request, "permissionDenied"] as const),
];

for (const [name, request, error] of REQUESTS)
  test(`alice asks for ${name}: ${error ?? "allowed"}`, () => {
    const { as, lessor } = enabled();
    lessor.grant(1n, 10).keys.add("/w");
    lessor.grant(2n, 10).keys.add("/w").add("/r");
    if (error !== undefined) fails(() => as("alice", request), error);
    else as("alice", request);
  });

test("who is not known, not known any more, or known from before a change is told so", () => {
  const { apply, as, auth } = enabled();
  fails(() => apply(put("/w")), "userEmpty");
  fails(() => apply({ header: {}, ...put("/w") }), "userEmpty");
  fails(() => apply({ auth_user_list: {} }), "userEmpty");
  fails(() => as("carol", put("/w")), "permissionDenied");
  fails(() => as("carol", { auth_user_list: {} }), "userNotFound");
  fails(() => as("alice", put("/w"), auth.revision - 1), "authOldRevision");
  fails(() => as("root", put("/w"), auth.revision - 1), "authOldRevision");
  as("root", { auth_user_list: {} }, auth.revision - 1);
});

test("a permission ends in the turn that takes it, for requests that were on their way, too", () => {
  const { as, auth, passed } = enabled();
  const { revision } = auth;
  as("alice", put("/w"), revision);
  as("root", { auth_user_revoke_role: { name: "alice", role: "r" } });
  fails(() => as("alice", put("/w"), revision), "authOldRevision");
  fails(() => as("alice", put("/w")), "permissionDenied");
  assert.equal(passed.length, 1);
});

test("the member's own requests go through as root's", () => {
  const { auth, apply, lessor } = enabled();
  lessor.grant(2n, 10).keys.add("/r");
  const { username, revision } = auth.asRoot!;
  apply({ header: { username, auth_revision: revision }, lease_revoke: { ID: 2n } });
});

test("a password that a member before 3.5 left in the log is hashed here", async () => {
  const { apply, auth } = enabled();
  apply({ header: { username: "root" }, auth_user_add: { name: "old", password: "secret" } });
  assert.equal(await auth.checkPassword("old", "secret"), auth.revision);
});
