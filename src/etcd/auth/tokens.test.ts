import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import type { Clock } from "../../world/world.ts";
import { SeededRandom } from "../../testing/sim/random.ts";
import type { Fs } from "../../world/fs.ts";
import { tokenProvider, type TokenProvider } from "./tokens.ts";

const alice = { username: "alice", revision: 7 };
const bob = { username: "bob", revision: 7 };

/** Time stands still but for `passes`. */
class StillClock implements Clock {
  #now = 1_000_000_000;
  now = () => this.#now;
  monotonic = () => this.#now;
  after = () => ({ [Symbol.dispose]() {} });
  soon = () => {};
  passes(seconds: number): void {
    this.#now += seconds * 1000;
  }
}

async function provider(
  spec: string,
  files: Readonly<Record<string, string | Buffer>> = {},
): Promise<{ readonly tokens: TokenProvider; readonly clock: StillClock }> {
  const clock = new StillClock();
  const fs = { readFile: async (path: string) => Buffer.from(files[path] ?? assert.fail(`no ${path}`)) } as Partial<Fs>;
  const tokens = await tokenProvider(spec, 300, { clock, random: new SeededRandom(1), fs: fs as Fs, log: silent });
  tokens.enable();
  return { tokens, clock };
}

test("a simple token is sixteen letters and the index of its entry", async () => {
  const { tokens } = await provider("simple");
  const prefix = tokens.prefix();
  assert.match(prefix, /^[a-zA-Z]{16}$/);
  assert.notEqual(tokens.prefix(), prefix);
  const token = tokens.assign(alice, prefix, 42);
  assert.equal(token, `${prefix}.42`);
  assert.deepEqual(tokens.info(token, 9), { username: "alice", revision: 9 });
  assert.equal(tokens.knownFrom(token), 42);
  for (const wrong of ["", "x", "x.y", "x.1.2", `${prefix}.43`, prefix]) assert.equal(tokens.info(wrong, 9), undefined);
});

test("a simple token lives as long as it is used, and a while", async () => {
  const { tokens, clock } = await provider("simple");
  const used = tokens.assign(alice, tokens.prefix(), 1);
  const unused = tokens.assign(alice, tokens.prefix(), 2);
  for (let i = 0; i < 3; i++) {
    clock.passes(200);
    assert.ok(tokens.info(used, 7), `after ${(i + 1) * 200} s`);
  }
  assert.equal(tokens.info(unused, 7), undefined);
  clock.passes(301);
  assert.equal(tokens.info(used, 7), undefined);
});

test("a user's simple tokens end together, and all of them with authentication", async () => {
  const { tokens } = await provider("simple");
  const [first, second] = [tokens.assign(alice, tokens.prefix(), 1), tokens.assign(alice, tokens.prefix(), 2)];
  const other = tokens.assign(bob, tokens.prefix(), 3);
  tokens.invalidateUser("alice");
  assert.deepEqual([tokens.info(first, 7), tokens.info(second, 7)], [undefined, undefined]);
  assert.ok(tokens.info(other, 7));
  tokens.disable();
  tokens.enable();
  assert.equal(tokens.info(other, 7), undefined);
});

const pem = (key: KeyObject): string =>
  key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }) as string;
const pairs: Readonly<Record<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ES512: generateKeyPairSync("ec", { namedCurve: "P-521" }),
  EdDSA: generateKeyPairSync("ed25519"),
};
const METHODS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

for (const method of METHODS)
  test(`${method}: who has the private key signs, who has the public one verifies`, async () => {
    const { publicKey, privateKey } = pairs[method] ?? pairs["rsa"]!;
    const files = { "/pub": pem(publicKey), "/priv": pem(privateKey) };
    const { tokens: signer } = await provider(`jwt,sign-method=${method},pub-key=/pub,priv-key=/priv`, files);
    const { tokens: verifier, clock } = await provider(`jwt,sign-method=${method},pub-key=/pub,ttl=10s`, files);
    const token = signer.assign(alice, signer.prefix(), 1);
    assert.deepEqual(verifier.info(token, 9), alice);
    assert.throws(() => verifier.assign(alice, "", 1), /token signing attempted with verify-only key/);
    const [head, body, signature] = token.split(".") as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ exp: 9e9, revision: 7, username: "root" })).toString("base64url");
    assert.equal(verifier.info(`${head}.${forged}.${signature}`, 9), undefined);
    assert.equal(verifier.info(`${head}.${body}.`, 9), undefined);
    clock.passes(301);
    assert.equal(verifier.info(token, 9), undefined, "after its end");
  });

test("a token that is signed in another way is refused, the public key as a secret and no signature above all", async () => {
  const { publicKey, privateKey } = pairs["rsa"]!;
  const files = { "/pub": pem(publicKey), "/priv": pem(privateKey) };
  const { tokens } = await provider("jwt,sign-method=RS256,pub-key=/pub", files);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = part({ exp: 9e9, revision: 7, username: "root" });
  const none = `${part({ alg: "none", typ: "JWT" })}.${claims}.`;
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${claims}`;
  const mac = `${text}.${createHmac("sha256", files["/pub"]).update(text).digest("base64url")}`;
  const lied = `${part({ alg: "RS256", typ: "JWT" })}.${claims}`;
  const maced = `${lied}.${createHmac("sha256", files["/pub"]).update(lied).digest("base64url")}`;
  for (const token of [none, mac, maced, "", "a", "a.b.c", `${claims}.${claims}`])
    assert.equal(tokens.info(token, 7), undefined);
});

test("HS256 takes the file as the secret", async () => {
  const { tokens } = await provider("jwt,sign-method=HS256,priv-key=/secret", { "/secret": "very secret" });
  const token = tokens.assign(alice, "", 1);
  assert.deepEqual(tokens.info(token, 9), alice);
  const other = await provider("jwt,sign-method=HS256,priv-key=/secret", { "/secret": "other" });
  assert.equal(other.tokens.info(token, 9), undefined);
});

for (const [name, spec, message] of [
  ["an unknown kind", "unknown", /invalid auth options/],
  ["an option without a value", "jwt,sign-method", /invalid auth options/],
  ["an option twice", "jwt,ttl=1s,ttl=2s", /invalid auth options/],
  ["no signing method", "jwt,priv-key=/priv", /invalid auth options/],
  ["the method none", "jwt,sign-method=none,priv-key=/priv", /invalid auth options/],
  ["a wrong duration", "jwt,sign-method=RS256,priv-key=/priv,ttl=soon", /invalid auth options/],
  ["no key", "jwt,sign-method=RS256", /missing key data/],
  ["no secret", "jwt,sign-method=HS256,pub-key=/pub", /missing key data/],
  [
    "keys that are no pair",
    "jwt,sign-method=RS256,pub-key=/other,priv-key=/priv",
    /public and private keys don't match/,
  ],
  ["a key of another kind", "jwt,sign-method=ES256,priv-key=/priv", /key is not a valid ES256 key/],
] as const)
  test(`a member doesn't start with ${name}`, async () => {
    const { publicKey, privateKey } = pairs["rsa"]!;
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    const files = { "/pub": pem(publicKey), "/priv": pem(privateKey), "/other": pem(other) };
    await assert.rejects(provider(spec, files), message);
  });
