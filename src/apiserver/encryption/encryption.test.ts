/** A server whose objects are encrypted in etcd: what is there, what is read, what is written again. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { KmsClient } from "../../protocols/kms/service.ts";
import { kmsCodec, KeyManagementService } from "../../protocols/kms/service.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { bind, grpcHandler } from "../../wire/rpc/grpc-server.ts";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { Harness } from "../testing/harness.ts";
import { startServer } from "../testing/harness.ts";
import { Envelope } from "./envelope.ts";

const world = nodeWorld();
const KEY1 = Buffer.from("1".repeat(32)).toString("base64");
const KEY2 = Buffer.from("2".repeat(32)).toString("base64");
const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n";
const rule = (resources: string, ...providers: string[]) =>
  `- resources: [${resources}]\n  providers:\n${providers.map((one) => `  - ${one}\n`).join("")}`;
const aescbc = (...keys: (readonly [string, string])[]) =>
  `aescbc: {keys: [${keys.map(([name, secret]) => `{name: ${name}, secret: ${secret}}`).join(", ")}]}`;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "encryption-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function serve(
  t: TestContext,
  text: string,
  options: { etcd?: EtcdClient; reload?: boolean; dir?: string } = {},
) {
  const dir = options.dir ?? (await folder(t));
  const path = join(dir, "encryption.yaml");
  await writeFile(path, head + text);
  const harness = await startServer(
    world,
    { ...ASKABLE, encryption: { path, reload: options.reload ?? false, identity: "me" } },
    options.etcd,
  );
  return { harness, path };
}

const SECRETS = "/api/v1/namespaces/default/secrets";
const post = (harness: Harness, name: string) =>
  ask(harness, "POST", SECRETS, { body: JSON.stringify({ metadata: { name }, stringData: { k: "secret words" } }) });

async function stored({ etcd }: Harness, key: string): Promise<string> {
  const answer = await etcd.kv.Range({ key: Buffer.from(key) });
  return Buffer.from(answer.kvs[0]!.value).toString("latin1");
}
const A = "/registry/secrets/default/a";

test("secrets are encrypted in etcd and plain to clients; other objects stay as they are", async (t) => {
  const { harness } = await serve(t, rule("secrets", aescbc(["one", KEY1]), "identity: {}"));
  await using _harness = harness;
  assert.equal((await post(harness, "a")).status, 201);
  const value = await stored(harness, A);
  assert.match(value, /^k8s:enc:aescbc:v1:one:/);
  assert.doesNotMatch(value, /Secret/);
  assert.match((await ask(harness, "GET", `${SECRETS}/a`)).body.toString(), /c2VjcmV0IHdvcmRz/);
  assert.match((await ask(harness, "GET", SECRETS)).body.toString(), /c2VjcmV0IHdvcmRz/);
  await ask(harness, "POST", "/api/v1/namespaces/default/configmaps", { body: '{"metadata":{"name":"a"}}' });
  assert.match(await stored(harness, "/registry/configmaps/default/a"), /^\{/);
  const metrics = (await ask(harness, "GET", "/metrics")).body.toString();
  assert.match(
    metrics,
    /apiserver_storage_transformation_operations_total\{transformation_type="to_storage",transformer_prefix="k8s:enc:aescbc:v1:",resource="secrets",status="OK"\} 1/,
  );
});

test("a value under an old key is read, and written under the new one when it is replaced as it is", async (t) => {
  const first = await serve(t, rule("secrets", "identity: {}"));
  await using one = first.harness;
  await post(one, "a");
  const { etcd } = one;
  const second = await serve(t, rule("secrets", aescbc(["one", KEY1]), "identity: {}"), { etcd });
  await using two = second.harness;
  const replace = async (harness: Harness) => {
    const object = (await ask(harness, "GET", `${SECRETS}/a`)).body;
    assert.equal((await ask(harness, "PUT", `${SECRETS}/a`, { body: object })).status, 200);
  };
  assert.match(await stored(two, A), /^\{/);
  await replace(two);
  assert.match(await stored(two, A), /^k8s:enc:aescbc:v1:one:/);
  const third = await serve(t, rule("secrets", aescbc(["two", KEY2], ["one", KEY1])), { etcd });
  await using three = third.harness;
  await replace(three);
  const rewritten = await stored(three, A);
  assert.match(rewritten, /^k8s:enc:aescbc:v1:two:/);
  await replace(three);
  assert.equal(await stored(three, A), rewritten, "what is as it should be is not written again");
});

test("a value that no key opens is an error that names it, not data", async (t) => {
  const first = await serve(t, rule("configmaps", `secretbox: {keys: [{name: one, secret: ${KEY1}}]}`));
  await using one = first.harness;
  const MAPS = "/api/v1/namespaces/default/configmaps";
  await ask(one, "POST", MAPS, { body: '{"metadata":{"name":"a"}}' });
  assert.match(await stored(one, "/registry/configmaps/default/a"), /^k8s:enc:secretbox:v1:one:/);
  const dir = await folder(t);
  const path = join(dir, "encryption.yaml");
  // Another key, changed while the server runs: the cache keeps what it knows, a look into etcd fails.
  await writeFile(path, head + rule("configmaps", `secretbox: {keys: [{name: one, secret: ${KEY2}}]}`));
  const { EncryptionAtRest } = await import("./at-rest.ts");
  const { silent } = await import("../../observe/log.ts");
  const { Metrics } = await import("../../observe/metrics.ts");
  const other = new EncryptionAtRest({ path, reload: false }, { ...world, log: silent, metrics: new Metrics() });
  await other.open(new AbortController().signal);
  const value = (await one.etcd.kv.Range({ key: Buffer.from("/registry/configmaps/default/a") })).kvs[0]!.value;
  assert.throws(() => other.transformerFor("", "configmaps").read(value, "/registry/configmaps/default/a"), {
    message: "output array was not large enough for encryption",
  });
  assert.throws(() => other.transformerFor("", "secrets").read(value, "/x"), {
    message: "identity transformer tried to read encrypted data",
  });
});

test("wildcards reach groups, and all that no other rule names", async (t) => {
  const { harness } = await serve(
    t,
    rule("secrets", "identity: {}") +
      rule('"*.apps"', `aesgcm: {keys: [{name: apps, secret: ${KEY1}}]}`) +
      rule('"*.*"', `aesgcm: {keys: [{name: rest, secret: ${KEY2}}]}`),
  );
  await using _harness = harness;
  await post(harness, "a");
  assert.match(await stored(harness, A), /^\{/);
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
  await ask(harness, "POST", "/apis/apps/v1/namespaces/default/deployments", {
    body: JSON.stringify({ metadata: { name: "d" }, spec: { selector: { matchLabels: { a: "b" } }, template } }),
  });
  assert.match(await stored(harness, "/registry/deployments/default/d"), /^k8s:enc:aesgcm:v1:apps:/);
  assert.match(await stored(harness, "/registry/namespaces/default"), /^k8s:enc:aesgcm:v1:rest:/);
});

test("the file is read anew while the server runs, and a bad one changes nothing", async (t) => {
  const { harness, path } = await serve(t, rule("secrets", aescbc(["one", KEY1])), { reload: true });
  await using _harness = harness;
  const writtenWith = async (name: string) => {
    await post(harness, name);
    return (await stored(harness, `/registry/secrets/default/${name}`)).split(":")[4];
  };
  assert.equal(await writtenWith("a"), "one");
  await writeFile(path, "nonsense");
  assert.equal(await writtenWith("b"), "one");
  await writeFile(path, head + rule("secrets", aescbc(["two", KEY2], ["one", KEY1])));
  for (let i = 0; ; i++) {
    if ((await writtenWith(`c${i}`)) === "two") break;
    assert.ok(i < 6000, "the new file is not seen");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await ask(harness, "GET", `${SECRETS}/a`)).status, 200);
  assert.equal((await ask(harness, "GET", "/healthz/kms-providers")).body.toString(), "ok");
  const me = `sha256:${createHash("sha256").update("me").digest("hex")}`;
  const total = `apiserver_encryption_config_controller_automatic_reloads_total{status="success",apiserver_id_hash="${me}"} 1`;
  assert.ok((await ask(harness, "GET", "/metrics")).body.includes(total));
});

/** A plugin that seals by turning bytes around. */
async function plugin(t: TestContext, socket: string) {
  const state = { keyId: "key-1", healthz: "ok", encrypts: 0, decrypts: 0 };
  const turned = (bytes: Uint8Array) => bytes.map((byte) => byte ^ 0xff);
  const listener = await world.net.serveHttp(
    { path: socket },
    grpcHandler({
      codec: kmsCodec(),
      clock: world.clock,
      services: [
        bind(KeyManagementService, {
          Status: () => ({ version: "v2", healthz: state.healthz, key_id: state.keyId }),
          Encrypt({ plaintext }) {
            state.encrypts++;
            const annotations = { "kms.example.com": Buffer.from("a") };
            return { ciphertext: turned(plaintext), key_id: state.keyId, annotations };
          },
          Decrypt({ ciphertext, annotations }) {
            assert.equal(Buffer.from(annotations["kms.example.com"]!).toString(), "a");
            state.decrypts++;
            return { plaintext: turned(ciphertext) };
          },
        }),
      ],
    }),
  );
  t.after(() => listener.close(0));
  return state;
}

test("a key management plugin keeps the key: it is asked once for each seed", async (t) => {
  const dir = await folder(t);
  const socket = join(dir, "kms.sock");
  const state = await plugin(t, socket);
  const text = rule("secrets", `kms: {apiVersion: v2, name: mine, endpoint: "unix://${socket}", timeout: 1s}`);
  const first = await serve(t, text, { dir });
  await using one = first.harness;
  await post(one, "a");
  await post(one, "b");
  assert.match(await stored(one, A), /^k8s:enc:kms:v2:mine:/);
  assert.deepEqual([state.encrypts, state.decrypts], [1, 0]);
  const second = await serve(t, text, { etcd: one.etcd, dir });
  await using two = second.harness;
  assert.match((await ask(two, "GET", `${SECRETS}/a`)).body.toString(), /c2VjcmV0IHdvcmRz/);
  assert.match((await ask(two, "GET", SECRETS)).body.toString(), /c2VjcmV0IHdvcmRz/);
  assert.deepEqual([state.encrypts, state.decrypts], [2, 1]);
  assert.equal((await ask(two, "GET", "/readyz/kms-providers")).body.toString(), "ok");
  const metrics = (await ask(two, "GET", "/metrics")).body.toString();
  assert.match(metrics, /apiserver_storage_envelope_transformation_cache_misses_total 1/);
});

test("a plugin that isn't well shows in the server's health", async (t) => {
  const dir = await folder(t);
  const socket = join(dir, "kms.sock");
  const state = await plugin(t, socket);
  state.healthz = "out of keys";
  const text = rule("secrets", `kms: {apiVersion: v2, name: mine, endpoint: "unix://${socket}"}`);
  const { harness } = await serve(t, text, { dir });
  await using _harness = harness;
  const answer = await ask(harness, "GET", "/readyz/kms-providers");
  assert.equal(answer.status, 500);
  assert.match(
    answer.body.toString(),
    /internal server error: kms-provider-0: kmsv2 Provider mine is not healthy, error: got unexpected healthz status: out of keys/,
  );
});

test("a plugin that is away keeps a server from being ready, not from living", async (t) => {
  const dir = await folder(t);
  const text = rule(
    "secrets",
    `kms: {apiVersion: v2, name: mine, endpoint: "unix://${dir}/none.sock", timeout: 200ms}`,
  );
  const { harness } = await serve(t, text, { dir });
  await using _harness = harness;
  assert.equal((await ask(harness, "GET", "/livez/kms-providers")).status, 404);
  assert.match(
    (await ask(harness, "GET", "/readyz/kms-providers")).body.toString(),
    /kms-provider-0: failed to perform status section of the healthz check for KMS Provider mine, error: rpc error: code = DeadlineExceeded desc = latest balancer error: connection error: desc = "transport: /,
  );
});

test("without plugins there is nothing of theirs in the health, unless the file may change", async (t) => {
  for (const reload of [false, true]) {
    const { harness } = await serve(t, rule("secrets", "identity: {}"), { reload });
    await using _harness = harness;
    const status = reload ? 200 : 404;
    assert.equal((await ask(harness, "GET", "/readyz/kms-providers")).status, status);
    const hook = "/livez/poststarthook/start-encryption-provider-config-automatic-reload";
    assert.equal((await ask(harness, "GET", hook)).status, status);
  }
});

test("a value whose seed the plugin doesn't open is read with its reason, once the plugin was asked", async () => {
  const sealed: Parameters<KmsClient["Decrypt"]>[0][] = [];
  const kms: KmsClient = {
    Status: async () => ({ version: "v2", healthz: "ok", key_id: "k" }),
    Encrypt: async () => ({ ciphertext: Buffer.from("c"), key_id: "k", annotations: {} }),
    Decrypt: async (request) => {
      sealed.push(request);
      throw new RpcError("PermissionDenied", "not today");
    },
    close: async () => {},
  };
  const deps = { ...world, log: silent, metrics: new Metrics() };
  const make = () => new Envelope({ name: "mine", timeoutMs: 1000 }, kms, deps);
  const stop = new AbortController();
  const writer = make();
  await writer.start(stop.signal);
  const value = writer.write(Buffer.from("words"), "/a");
  const reader = make();
  await reader.prepare([value]);
  assert.throws(() => reader.read(value, "/a"), {
    message: "failed to decrypt DEK, error: rpc error: code = PermissionDenied desc = not today",
  });
  assert.equal(sealed.length, 1);
  stop.abort();
});
