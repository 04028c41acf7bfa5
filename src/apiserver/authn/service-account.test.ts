import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { nodeWorld } from "../../world/node/index.ts";
import type { AnyObject, ClusterView } from "../admission/framework.ts";
import { type Algorithm, algorithmOf, signJwt } from "./jwt.ts";
import { serviceAccountTokens } from "./service-account.ts";

const pair = (curve: string) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: curve });
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    pub: publicKey.export({ type: "spki", format: "pem" }),
  };
};
const ours = pair("P-256");
const rsa = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const older = pair("P-384");
const strange = pair("P-256");
const NOW = Date.parse("2026-05-01T00:00:00Z");
const now = NOW / 1000;
const ISSUER = "https://issuer";

const object = (name: string, more: object = {}): AnyObject => ({ metadata: { name, uid: `${name}-uid`, ...more } });
const OBJECTS: Record<string, AnyObject> = {
  "serviceaccounts/ns/sa": object("sa"),
  "serviceaccounts/ns/gone": object("gone", { deletionTimestamp: "2026-04-30T23:00:00Z" }),
  "serviceaccounts/ns/going": object("going", { deletionTimestamp: "2026-04-30T23:59:30Z" }),
  "pods/ns/pod": object("pod"),
  "secrets/ns/secret": object("secret"),
  "nodes//node": object("node"),
};
const get = (resource: string, namespace: string, name: string) => OBJECTS[`${resource}/${namespace}/${name}`];
const updates: string[] = [];
const uses: string[] = [];
const cluster = {
  get,
  live: async (resource: string, namespace: string, name: string) => get(resource, namespace, name),
  update: async (resource: string, namespace: string, name: string, change: (current: AnyObject) => AnyObject) => {
    const changed = change(get(resource, namespace, name));
    updates.push(`${name} ${JSON.stringify(changed.metadata.labels)}`);
  },
} as unknown as ClusterView;
const world = nodeWorld();
const tokens = serviceAccountTokens(
  {
    issuer: ISSUER,
    otherIssuers: ["https://before"],
    signingKey: String(ours.key),
    verifyingKeys: [`${String(older.pub)}${String(ours.pub)}${rsa.publicKey}`],
    apiAudiences: ["api"],
  },
  {
    clock: { ...world.clock, now: () => NOW },
    random: world.random,
    cluster,
    log: silent,
    used: (use) => void uses.push(use),
  },
);

const ref = (name: string, uid = `${name}-uid`) => ({ name, uid });
const bound = (more: object = {}) => ({ namespace: "ns", serviceaccount: ref("sa"), ...more });
const made = (claims: object = {}, key: unknown = ours.key, alg?: Algorithm): string => {
  const signing = createPrivateKey(String(key));
  const all = {
    iss: ISSUER,
    aud: ["api"],
    exp: now + 600,
    iat: now,
    nbf: now,
    jti: "j",
    "kubernetes.io": bound(),
    ...claims,
  };
  return signJwt({ alg: alg ?? algorithmOf(signing) }, all, signing);
};
const withHeader = (header: object): string => {
  const [, payload] = made().split(".");
  return `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${payload}.AAAA`;
};
const BAD_SIGNATURE = "go-jose/go-jose: error in cryptographic primitive";
const inside = (more: object) => made({ "kubernetes.io": bound(more) });
const account = (name: string, uid?: string) => inside({ serviceaccount: ref(name, uid) });

/** A token, and what is said of it: empty for yes. */
const table: readonly (readonly [string, string, string])[] = [
  ["a good one", made(), ""],
  ["of an issuer of the past", made({ iss: "https://before" }), ""],
  ["of a key of the past", made({}, older.key), ""],
  ["of a strange key", made({}, strange.key), BAD_SIGNATURE],
  ["of a strange issuer", made({ iss: "https://evil" }), "unknown"],
  ["no token at all", "a.b.c", "unknown"],
  ["signed by another algorithm of its key", made({}, rsa.privateKey, "RS512"), ""],
  ["that names a key of nobody", withHeader({ alg: "ES256", kid: "x" }), "invalid signature, no keys found"],
  ["that isn't signed", withHeader({ alg: "none" }), BAD_SIGNATURE],
  ["for a number", made({ aud: 5 }), "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience"],
  ["that ends at a word", made({ exp: "x" }), "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate"],
  ["of nothing that we know", made({ "kubernetes.io": undefined }), "resource name may not be empty"],
  ["a moment after its end", made({ exp: now - 59 }), ""],
  ["after its end", made({ exp: now - 61 }), "service account token has expired"],
  ["before its start", made({ nbf: now + 61 }), "service account token is not valid yet"],
  ["of tomorrow", made({ iat: now + 61 }), "service account token is issued in the future"],
  ["for others", made({ aud: ["x", "y"] }), 'token audiences ["x" "y"] is invalid for the target audiences ["api"]'],
  ["for others in one word", made({ aud: "x" }), 'token audiences ["x"] is invalid for the target audiences ["api"]'],
  ["of no account", account("nobody"), 'serviceaccounts "nobody" not found'],
  ["of an account of that name", account("sa", "other"), "service account UID (sa-uid) does not match claim (other)"],
  ["of an account that is gone", account("gone"), "service account ns/gone has been deleted"],
  ["of an account that is just going", account("going"), ""],
  ["for a pod", inside({ pod: ref("pod"), node: ref("any") }), ""],
  ["for a pod that is gone", inside({ pod: ref("p2") }), "service account token has been invalidated"],
  [
    "for another pod",
    inside({ pod: ref("pod", "x") }),
    "pod UID (pod-uid) does not match service account pod ref claim (x)",
  ],
  ["for a secret", inside({ secret: ref("secret") }), ""],
  [
    "for another secret",
    inside({ secret: ref("secret", "x") }),
    "secret UID (secret-uid) does not match service account secret ref claim (x)",
  ],
  ["for a node", inside({ node: ref("node") }), ""],
  ["for a node that is gone", inside({ node: ref("n2") }), "service account token has been invalidated"],
];
for (const [name, token, expected] of table)
  test(`a service account's token: ${name}: ${expected || "good"}`, async () => {
    const result = await tokens.authenticator.authenticateToken(token, []);
    const said = result === "unknown" ? "unknown" : "invalid" in result ? result.invalid : "";
    assert.equal(said, expected);
  });

test("what a token is bound to is looked up each time, its signature once", async () => {
  const token = inside({ pod: ref("brief") });
  OBJECTS["pods/ns/brief"] = object("brief");
  assert.notEqual("invalid" in ((await tokens.authenticator.authenticateToken(token, [])) as object), true);
  delete OBJECTS["pods/ns/brief"];
  assert.deepEqual(await tokens.authenticator.authenticateToken(token, []), {
    invalid: "service account token has been invalidated",
  });
});

test("a user's extra fields name what the token is bound to, and a use after its first hour is noted", async () => {
  const token = inside({ pod: ref("pod"), node: ref("node"), warnafter: now - 5 });
  assert.deepEqual(await tokens.authenticator.authenticateToken(token, ["api", "x"]), {
    audiences: ["api"],
    annotations: {
      "authentication.k8s.io/stale-token": "subject: system:serviceaccount:ns:sa, seconds after warning threshold: 5",
    },
    user: {
      name: "system:serviceaccount:ns:sa",
      uid: "sa-uid",
      groups: ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
      extra: {
        "authentication.kubernetes.io/credential-id": ["JTI=j"],
        "authentication.kubernetes.io/node-name": ["node"],
        "authentication.kubernetes.io/node-uid": ["node-uid"],
        "authentication.kubernetes.io/pod-name": ["pod"],
        "authentication.kubernetes.io/pod-uid": ["pod-uid"],
      },
    },
  });
});

test("a token in a secret is good while the secret has it, for this server alone, and its use is noted", async () => {
  const key = createPrivateKey(String(ours.key));
  const legacy = (uid = "sa-uid", sub = "system:serviceaccount:ns:sa") =>
    signJwt(
      { alg: "ES256" },
      {
        iss: "kubernetes/serviceaccount",
        sub,
        "kubernetes.io/serviceaccount/namespace": "ns",
        "kubernetes.io/serviceaccount/secret.name": "old",
        "kubernetes.io/serviceaccount/service-account.name": "sa",
        "kubernetes.io/serviceaccount/service-account.uid": uid,
      },
      key,
    );
  const ask = async (token: string, ...audiences: string[]) =>
    (await tokens.authenticator.authenticateToken(token, audiences)) as any;
  const keep = (token: string, labels?: object) =>
    (OBJECTS["secrets/ns/old"] = {
      ...object("old", { labels }),
      data: { token: Buffer.from(token).toString("base64") },
    });
  const token = legacy();
  uses.length = 0;
  assert.equal((await ask(token)).invalid, "Token has been invalidated");
  assert.deepEqual(uses, []);
  keep(token);
  const { user, annotations } = await ask(token);
  assert.equal(user.name, "system:serviceaccount:ns:sa");
  assert.equal(annotations["authentication.k8s.io/legacy-token-manual-secret"], "old");
  assert.deepEqual(uses, ["legacy_manual_token_uses", "legacy_tokens"]);
  assert.deepEqual(updates, ['old {"kubernetes.io/legacy-token-last-used":"2026-05-01"}']);
  assert.match(
    (await ask(token, "vault")).invalid,
    /token audiences \["api"\] is invalid for the target audiences \["vault"\]/,
  );
  keep("another");
  assert.equal((await ask(token)).invalid, "Token does not match server's copy");
  keep(token, { "kubernetes.io/legacy-token-invalid-since": "2026-01-01" });
  assert.match((await ask(token)).invalid, /has been marked invalid/);
  assert.equal(uses.at(-1), "invalid_legacy_auto_token_uses");
  assert.equal(updates.length, 2, "its use is noted all the same");
  const other = legacy("other");
  keep(other);
  assert.equal((await ask(other)).invalid, "ServiceAccount UID (sa-uid) does not match claim (other)");
  assert.equal((await ask(legacy("sa-uid", "system:serviceaccount:ns:x"))).invalid, "sub claim is invalid");
});

test("the keys are published with their algorithms, where the issuer is an address", () => {
  const { keys } = tokens.jwks() as any;
  assert.deepEqual(keys.map(({ alg, use }: any) => `${use} ${alg}`).sort(), ["sig ES256", "sig ES384", "sig RS256"]);
  assert.deepEqual(tokens.openidConfiguration("host:6443"), {
    issuer: ISSUER,
    jwks_uri: "https://host:6443/openid/v1/jwks",
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256", "ES384", "RS256"],
  });
});
