/** Objects in etcd that nobody can read: what the server tells of them, and how somebody who may gets rid of them. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { type Harness, startServer } from "./testing/harness.ts";

const world = nodeWorld();
const GATE = new Map([["AllowUnsafeMalformedObjectDeletion", true]]);
const MAPS = "/api/v1/namespaces/default/configmaps";
const SECRETS = "/api/v1/namespaces/default/secrets";
const UNSAFE = "ignoreStoreReadErrorWithClusterBreakingPotential";

const told = async (harness: Harness, method: string, url: string, body?: unknown, user?: string): Promise<any> => {
  const answer = await ask(harness, method, url, {
    headers: { "content-type": "application/json", ...(user !== undefined && { "impersonate-user": user }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return JSON.parse(answer.body.toString());
};
const put = ({ etcd }: Harness, key: string, value: string) =>
  etcd.kv.Txn({
    success: [{ request_put: { key: Buffer.from(`/registry/${key}`), value: Buffer.from(value) } }],
  });
const create = (harness: Harness, name: string) => told(harness, "POST", MAPS, { metadata: { name } });
const removeUnread = (harness: Harness, url: string, user?: string) =>
  told(harness, "DELETE", url, { kind: "DeleteOptions", apiVersion: "v1", [UNSAFE]: true }, user);

const turn = () => new Promise<void>((resolve) => void world.clock.after(5, resolve));

test("an object that can't be read is a 500 with the reason, and so is every list with it", async () => {
  await using harness = await startServer(world, ASKABLE);
  await create(harness, "good");
  await put(harness, "configmaps/default/bad", "not an object");
  const one = await told(harness, "GET", `${MAPS}/bad`);
  assert.deepEqual([one.code, one.reason, one.message], [500, undefined, "illegal base64 data at input byte 3"]);
  for (const [method, url] of [
    ["GET", MAPS],
    ["DELETE", `${MAPS}/bad`],
  ] as const)
    assert.equal((await told(harness, method, url)).message, "illegal base64 data at input byte 3");
  assert.equal((await told(harness, "GET", `${MAPS}/good`)).metadata.name, "good");
  // Without the gate the option is nothing.
  assert.equal((await removeUnread(harness, `${MAPS}/bad`)).message, "illegal base64 data at input byte 3");
  assert.equal((await removeUnread(harness, `${MAPS}/good`)).status, "Success");
  for (const [value, message] of [
    ["hello", "illegal base64 data at input byte 4"],
    [
      '{"kind":"Nothing","apiVersion":"v9"}',
      'no kind "Nothing" is registered for version "v9" in scheme "pkg/runtime/scheme.go:111"',
    ],
    [
      '{"kind":"ConfigMap","apiVersion":"v1"',
      "couldn't get version/kind; json parse error: unexpected end of JSON input",
    ],
  ] as const) {
    await put(harness, "configmaps/default/bad", value);
    assert.equal((await told(harness, "GET", `${MAPS}/bad`)).message, message);
  }
});

test("with the gate a list names all that it can't read, and each can be deleted unread", async () => {
  await using harness = await startServer(world, { ...ASKABLE, featureGates: GATE });
  await create(harness, "good");
  const { revision } = (await put(harness, "configmaps/default/bad", "not an object")).header!;
  await put(harness, "configmaps/default/worse", '{"kind":"Nothing","apiVersion":"v9"}');
  const why = `object not decodable revision=${revision}: illegal base64 data at input byte 3`;
  const error = (key: string) =>
    `StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`;
  const read = await told(harness, "GET", `${MAPS}/bad`);
  const message = `Internal error occurred: ${error("/configmaps/default/bad")}`;
  assert.deepEqual([read.code, read.reason, read.message], [500, "InternalError", message]);
  assert.deepEqual(read.details, { causes: [{ message: error("/configmaps/default/bad") }] });
  assert.equal((await told(harness, "DELETE", `${MAPS}/bad`)).message, message);
  assert.equal((await told(harness, "PUT", `${MAPS}/bad`, { metadata: { name: "bad" } })).message, why);
  assert.equal((await create(harness, "bad")).reason, "AlreadyExists");

  const list = await told(harness, "GET", MAPS);
  assert.equal(list.message, "failed to read one or more configmaps from the storage");
  assert.deepEqual([list.code, list.reason, list.details.name], [500, "StorageReadError", "list"]);
  const field = "/registry/configmaps/default/bad";
  assert.deepEqual(list.details.causes[0], { reason: "UnexpectedServerResponse", message: error(field), field });
  assert.deepEqual(list.details.causes.map((cause: any) => cause.field.split("/").at(-1)), ["bad", "worse"]); // prettier-ignore
  const watch = () => told(harness, "GET", `${MAPS}?watch=1&resourceVersion=0&timeoutSeconds=1`);
  while ((await watch()).code !== 429) await turn();
  const { details, message: busy } = await watch();
  assert.equal(busy.startsWith("storage is (re)initializing: failed to list *core.ConfigMap: failed to read"), true);
  assert.deepEqual(details, { retryAfterSeconds: 30 });

  const gone = await removeUnread(harness, `${MAPS}/bad`);
  assert.deepEqual([gone.status, gone.code, gone.details], ["Success", 200, { name: "bad", kind: "ConfigMap" }]);
  assert.equal((await told(harness, "GET", `${MAPS}/bad`)).reason, "NotFound");
  await told(harness, "DELETE", `${MAPS}/worse?${UNSAFE}=true`);
  while ((await told(harness, "GET", MAPS)).kind !== "ConfigMapList") await turn();
  assert.equal((await create(harness, "bad")).kind, "ConfigMap");
});

test("a list of very many unreadable objects is cut short", async () => {
  await using harness = await startServer(world, { ...ASKABLE, featureGates: GATE });
  for (let i = 0; i < 102; i++) await put(harness, `configmaps/default/bad${i}`, "!");
  const { causes } = (await told(harness, "GET", MAPS)).details;
  assert.equal(causes.length, 101);
  assert.deepEqual(causes[100], {
    reason: "FieldValueTooMany",
    message: "too many errors, the list is truncated",
  });
});

test("an object whose key is lost can be deleted unread", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "corrupt-"));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, "encryption.yaml");
  const secret = Buffer.from("1".repeat(32)).toString("base64");
  await writeFile(
    path,
    `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - secretbox: {keys: [{name: one, secret: ${secret}}]}\n  - identity: {}\n`,
  );
  await using harness = await startServer(world, {
    ...ASKABLE,
    encryption: { path, reload: false },
    featureGates: GATE,
  });
  await put(harness, "secrets/default/lost", `k8s:enc:secretbox:v1:two:${"x".repeat(60)}`);
  const why =
    "data from the storage is not transformable revision=0: no matching key was found for the provided Secretbox transformer";
  const one = await told(harness, "GET", `${SECRETS}/lost`);
  assert.equal(
    one.message,
    `Internal error occurred: StorageError: corrupt object, Code: 7, Key: /secrets/default/lost, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
  );
  const list = await told(harness, "GET", SECRETS);
  assert.equal(list.details.causes[0].message.endsWith(`AdditionalErrorMsg: ${why}`), true);
  assert.equal((await removeUnread(harness, `${SECRETS}/lost`)).status, "Success");
  assert.equal((await told(harness, "GET", `${SECRETS}/lost`)).reason, "NotFound");
});

test("to delete an object unread takes a right of its own, and an object that can't be read", async () => {
  await using harness = await startServer(world, { ...ASKABLE, featureGates: GATE, authorizationModes: ["RBAC"] });
  const allow = async (name: string, verbs: readonly string[]) => {
    await told(harness, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {
      metadata: { name },
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs }],
    });
    await told(harness, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "User", name: "alice", apiGroup: "rbac.authorization.k8s.io" }],
    });
  };
  await create(harness, "good");
  await put(harness, "configmaps/default/bad", "!");
  await allow("delete", ["delete"]);
  const remove = () => removeUnread(harness, `${MAPS}/bad`, "alice");
  const forbidden = 'configmaps "bad" is forbidden: not permitted to do "unsafe-delete-ignore-read-errors", reason: ';
  let answer = await remove();
  while (!answer.message.startsWith(forbidden)) answer = (await turn(), await remove());
  assert.equal(answer.code, 403);
  await allow("unsafe", ["unsafe-delete-ignore-read-errors"]);
  while ((answer = await remove()).code === 403) await turn();
  assert.equal(answer.status, "Success");
  for (const name of ["good", "nobody"])
    assert.equal(
      (await removeUnread(harness, `${MAPS}/${name}`)).message,
      `configmaps "${name}" is invalid: ${UNSAFE}: Invalid value: true: is exclusively used to delete corrupt object(s), try again by removing this option`,
    );
});
