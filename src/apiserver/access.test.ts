/** The door of the server over real HTTPS: who is let in by what, and who no longer is when a file changes. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, test } from "node:test";
import { type KeyPair, selfSigned, signed } from "../cli/certificates.ts";
import type { Exchange, Listener } from "../world/net.ts";
import { nodeWorld } from "../world/node/index.ts";
import { signJwt } from "./authn/jwt.ts";
import ODD from "./authn/odd-certificates.json" with { type: "json" };
import type { ApiServerOptions } from "./options.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

const world = nodeWorld();
const [ca, otherCa, proxyCa] = await Promise.all(
  ["ca", "other", "front-proxy-ca"].map((name) => selfSigned(world, name)),
);
const serving = await signed(world, ca!, {
  commonName: "kube-apiserver",
  names: ["localhost"],
  addresses: ["127.0.0.1"],
  usages: ["server"],
});
const client = (issuer: KeyPair, commonName: string, ...organizations: string[]) =>
  signed(world, issuer, { commonName, organizations, usages: ["client"] });
const jane = await client(ca!, "jane", "developers");

function start(options: Partial<ApiServerOptions> = {}): Promise<Harness> {
  const secure = { bindAddress: "127.0.0.1", port: 0, ...serving, clientCa: ca!.cert };
  return startServer(world, { secure, ...options });
}

interface Answer {
  readonly status: number;
  readonly body: any;
}

interface Caller extends AsyncDisposable {
  ask(
    method: string,
    path: string,
    headers?: Readonly<Record<string, string | string[]>>,
    body?: unknown,
  ): Promise<Answer>;
}

/** One client with one connection. */
function caller(port: number, pair?: KeyPair): Caller {
  const http = world.net.httpClient({
    base: `https://127.0.0.1:${port}`,
    tls: { ca: ca!.cert, ...pair },
    version: "1.1",
  });
  return {
    async ask(method, path, headers = {}, body) {
      const response = await http.request({
        method,
        path,
        headers: { "content-type": "application/json", ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
    },
    [Symbol.asyncDispose]: () => http.close(),
  };
}

const portOf = ({ server }: Harness) => server.address!.port;
const SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const whoAmI = async (one: Caller, headers: Readonly<Record<string, string | string[]>> = {}) => {
  const { status, body } = await one.ask("POST", SELF, headers, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "SelfSubjectReview",
  });
  return status === 201 ? body.status.userInfo : status;
};

/** A web server of others, for as long as the tests run. */
async function serve(
  answer: (path: string, body: string, exchange: Exchange) => readonly [number, unknown] | undefined,
) {
  const listener: Listener = await world.net.serveHttp(
    { host: "127.0.0.1", port: 0, tls: serving },
    async (exchange) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of exchange.request.body) chunks.push(chunk);
      const [status, value] = answer(exchange.request.url, Buffer.concat(chunks).toString(), exchange) ?? [404, {}];
      exchange.respond(status, { "content-type": "application/json" }, JSON.stringify(value));
    },
  );
  after(() => listener.close());
  return `https://127.0.0.1:${listener.address.port}`;
}

test("a certificate is a user with its fingerprint, and one of an authority that is gone is nobody at once", async () => {
  await using harness = await start();
  await using one = caller(portOf(harness), jane);
  const user = await whoAmI(one);
  assert.equal(user.username, "jane");
  assert.deepEqual(user.groups, ["developers", "system:authenticated"]);
  assert.match(user.extra["authentication.kubernetes.io/credential-id"][0], /^X509SHA256=[0-9a-f]{64}$/);

  await using stranger = caller(portOf(harness), await client(otherCa!, "mallory", "system:masters"));
  assert.equal(await whoAmI(stranger), 401);

  await harness.server.reload({ clientCa: otherCa!.cert });
  assert.equal(await whoAmI(one), 401, "on the very connection that was good before");
  assert.equal((await whoAmI(stranger)).username, "mallory");
  await harness.server.reload({ clientCa: "" });
  assert.equal((await whoAmI(stranger)).username, "mallory", "a file that is being written changes nothing");
});

test("a certificate for servers, and an authority's own without a name, are nobody", async () => {
  await using harness = await start();
  await using server = caller(portOf(harness), serving);
  assert.equal(await whoAmI(server), 401);
});

test("a certificate that an intermediate signed is its user's where the client shows both", async () => {
  const { root, chain, key } = ODD.long;
  await using harness = await start({
    secure: { bindAddress: "127.0.0.1", port: 0, ...serving, clientCa: `${ca!.cert}${root}` },
  });
  await using one = caller(portOf(harness), { cert: chain, key });
  assert.equal((await whoAmI(one)).username, "leaf");
});

test("what a token is asked to be bound to is named in full", async () => {
  await using harness = await start();
  await using one = caller(portOf(harness), await client(ca!, "admin", "system:masters"));
  const home = "/api/v1/namespaces/default";
  await one.ask(
    "POST",
    `${home}/serviceaccounts`,
    {},
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "app" } },
  );
  await one.ask(
    "POST",
    `${home}/pods`,
    {},
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "lost" },
      spec: {
        serviceAccountName: "app",
        automountServiceAccountToken: false,
        nodeName: "ghost",
        containers: [{ name: "c", image: "i" }],
      },
    },
  );
  const tokenRequest = (boundObjectRef?: object) =>
    one.ask(
      "POST",
      `${home}/serviceaccounts/app/token`,
      {},
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { boundObjectRef },
      },
    );
  assert.equal((await tokenRequest()).body.spec.boundObjectRef, null);
  assert.equal((await tokenRequest({ apiVersion: "v1", kind: "Pod" })).body.message, "Name parameter required.");
  assert.equal((await tokenRequest({ name: "p" })).body.message, "cannot bind token to object of type /, Kind=");
  assert.equal(
    (await tokenRequest({ apiVersion: "apps/v1", kind: "Pod", name: "p" })).body.message,
    "cannot bind token to object of type apps/v1, Kind=Pod",
  );
  const { token } = (await tokenRequest({ apiVersion: "v1", kind: "Pod", name: "lost" })).body.status;
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  assert.deepEqual(claims["kubernetes.io"].node, { name: "ghost" }, "a node that isn't there has no UID");
});

test("a name that no service account can have is a user's, and a key without a domain is no extra", async () => {
  await using harness = await start();
  await using one = caller(portOf(harness), await client(ca!, "admin", "system:masters"));
  const user = await whoAmI(one, { "impersonate-user": "system:serviceaccount:NS:name" });
  assert.deepEqual(user.groups, ["system:authenticated"]);
});

test("new connections get the serving certificate of now", async () => {
  await using harness = await start();
  const next = await signed(world, ca!, { commonName: "next", names: ["next"], usages: ["server"] });
  await harness.server.reload({ secure: next });
  await using one = caller(portOf(harness));
  await assert.rejects(one.ask("GET", "/livez"), /does not match|altnames|127\.0\.0\.1/);
  await harness.server.reload({ secure: serving });
  await using two = caller(portOf(harness));
  assert.equal((await two.ask("GET", "/livez")).status, 200);
});

test("a front proxy says who asks, and nobody else may", async () => {
  const options = {
    clientCa: proxyCa!.cert,
    allowedNames: ["front"],
    usernameHeaders: ["X-Remote-User"],
    uidHeaders: ["X-Remote-Uid"],
    groupHeaders: ["X-Remote-Group"],
    extraHeadersPrefixes: ["X-Remote-Extra-"],
  };
  await using harness = await start({ requestHeader: options });
  const headers = {
    "x-remote-user": "bob",
    "x-remote-uid": "7",
    "x-remote-group": ["a", "b"],
    "x-remote-extra-example.org%2fteam": "x",
  };
  await using proxy = caller(portOf(harness), await client(proxyCa!, "front"));
  assert.deepEqual(await whoAmI(proxy, headers), {
    username: "bob",
    uid: "7",
    groups: ["a", "b", "system:authenticated"],
    extra: { "example.org/team": ["x"] },
  });
  assert.equal(await whoAmI(proxy), 401, "a proxy without a user is nobody");
  await using other = caller(portOf(harness), await client(proxyCa!, "another"));
  assert.equal(await whoAmI(other, headers), 401, "its name is not in the list");
  await using user = caller(portOf(harness), jane);
  assert.equal((await whoAmI(user, headers)).username, "jane", "a user's headers say nothing");
  const { data } = (await harness.client().transport.send({
    method: "GET",
    path: "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
  })) as any;
  assert.equal(data["requestheader-allowed-names"], '["front"]');
  assert.equal(data["requestheader-uid-headers"], '["X-Remote-Uid"]');
  assert.equal(data["requestheader-client-ca-file"], proxyCa!.cert);
});

/** An issuer of tokens that can change its key. */
async function issuer() {
  const make = (kid: string) => ({ kid, ...generateKeyPairSync("rsa", { modulusLength: 2048 }) });
  let key = make("1");
  let fetches = 0;
  const url: string = await serve((path) => {
    if (path === "/.well-known/openid-configuration" || path === "/elsewhere")
      return [200, { issuer: url, jwks_uri: `${url}/keys` }];
    if (path !== "/keys") return undefined;
    fetches++;
    return [200, { keys: [{ ...key.publicKey.export({ format: "jwk" }), kid: key.kid, use: "sig", alg: "RS256" }] }];
  });
  return {
    url,
    fetches: () => fetches,
    rotate: () => (key = make(`${Number(key.kid) + 1}`)),
    token(claims: object, header: object = {}) {
      const now = Math.floor(world.clock.now() / 1000);
      return signJwt(
        { alg: "RS256", kid: key.kid, ...header },
        { iss: url, aud: "kube", sub: "u1", exp: now + 600, iat: now, ...claims },
        key.privateKey,
      );
    },
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 12_000; i++) {
    if (await condition()) return;
    await new Promise((resolve) => world.clock.after(5, () => resolve(undefined)));
  }
  assert.fail("it never came to pass");
}

test("tokens of an issuer are users; of another key, audience or time they are nobody", async () => {
  const oidc = await issuer();
  await using harness = await start({
    authentication: {
      jwt: [
        {
          issuer: { url: oidc.url, audiences: ["kube"], certificateAuthority: ca!.cert },
          claimMappings: {
            username: { claim: "sub", prefix: "oidc:" },
            groups: { claim: "roles", prefix: "oidc:" },
            uid: { claim: "sub" },
          },
          claimValidationRules: [{ claim: "hd", requiredValue: "example.org" }],
        },
      ],
      anonymous: { enabled: true, conditions: [{ path: "/livez" }] },
    },
  });
  await using one = caller(portOf(harness));
  const hd = { hd: "example.org" };
  await until(async () => (await whoAmI(one, bearer(oidc.token(hd)))) !== 401);
  assert.deepEqual(await whoAmI(one, bearer(oidc.token({ ...hd, roles: ["dev"], jti: "x" }))), {
    username: "oidc:u1",
    uid: "u1",
    groups: ["oidc:dev", "system:authenticated"],
    extra: { "authentication.kubernetes.io/credential-id": ["JTI=x"] },
  });
  const fetched = oidc.fetches();
  assert.equal((await whoAmI(one, bearer(oidc.token({ ...hd, roles: "ops" })))).groups[0], "oidc:ops");
  assert.equal(oidc.fetches(), fetched, "keys are kept");
  const bad: readonly (readonly [string, object, object?])[] = [
    ["another audience", { ...hd, aud: "vault" }],
    ["expired", { ...hd, exp: 1 }],
    ["not yet", { ...hd, nbf: 9_999_999_999 }],
    ["another issuer", { ...hd, iss: "https://evil.example.org" }],
    ["a rule isn't met", {}],
    ["a rule's claim has another value", { hd: "evil.example.org" }],
    ["signed with another algorithm than it says", hd, { alg: "RS384" }],
  ];
  for (const [name, claims, header] of bad) {
    const token = oidc.token(claims, header);
    const cut = header === undefined ? token : `${token.split(".").slice(0, 2).join(".")}.AAAA`;
    assert.equal(await whoAmI(one, bearer(cut)), 401, name);
  }
  oidc.rotate();
  assert.equal((await whoAmI(one, bearer(oidc.token({ ...hd, n: 1 })))).username, "oidc:u1", "keys are fetched again");

  assert.equal((await one.ask("GET", "/livez")).status, 200);
  assert.equal((await one.ask("GET", "/readyz")).status, 401, "anonymous on no other path");

  const second = await issuer();
  const jwt = (from: { url: string }) => ({
    issuer: {
      url: from.url,
      discoveryURL: `${from.url}/elsewhere`,
      audiences: ["kube", "two"],
      audienceMatchPolicy: "MatchAny",
      certificateAuthority: ca!.cert,
    },
    claimMappings: { username: { claim: "sub", prefix: "" } },
  });
  const anonymous = { enabled: true, conditions: [{ path: "/livez" }] };
  await assert.rejects(harness.server.reload({ authentication: { jwt: [jwt(second)] } }), {
    message: "anonymous: Forbidden: changed from initial configuration file",
  });
  await harness.server.reload({ authentication: { anonymous, jwt: [jwt(second)] } });
  assert.equal((await whoAmI(one, bearer(second.token({ aud: ["x", "two"] })))).username, "u1");
  assert.equal(await whoAmI(one, bearer(oidc.token({ ...hd, n: 2 }))), 401, "the issuer of before is gone");
  await assert.rejects(
    harness.server.reload({ authentication: { anonymous, jwt: [jwt(second), jwt(second)] } }),
    /jwt\[1\]\.issuer\.url: Duplicate value/,
  );
  assert.equal((await whoAmI(one, bearer(second.token({ aud: "two", n: 1 })))).username, "u1");
});

test("a webhook says whose a token is, and is asked once", async () => {
  const asked: any[] = [];
  const url = await serve((_path, body) => {
    const review = JSON.parse(body);
    asked.push(review);
    return [
      200,
      {
        ...review,
        status:
          review.spec.token === "good"
            ? { authenticated: true, user: { username: "wanda", groups: ["hooked"], uid: "9" } }
            : { authenticated: false, error: "never heard of it" },
      },
    ];
  });
  await using harness = await start({
    tokenWebhook: {
      target: { server: `${url}/authenticate`, tls: { ca: ca!.cert } },
      version: "v1",
      cacheTtlMs: 60_000,
    },
  });
  await using one = caller(portOf(harness));
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await whoAmI(one, bearer("good")), {
      username: "wanda",
      uid: "9",
      groups: ["hooked", "system:authenticated"],
    });
  assert.equal(asked.length, 1);
  assert.deepEqual(asked[0].spec, { token: "good", audiences: ["https://kubernetes.default.svc.cluster.local"] });
  assert.equal(await whoAmI(one, bearer("bad")), 401);
  const review = await review_(harness, { token: "bad" });
  assert.deepEqual(review, { user: {}, error: "[invalid bearer token, never heard of it]" });
});

async function review_(harness: Harness, spec: object): Promise<any> {
  const review: any = await harness.client().transport.send({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec },
  });
  return review.status;
}

test("a webhook decides; when it fails, the policy does, and its error is the answer", async () => {
  let broken = false;
  const asked: any[] = [];
  const url = await serve((_path, body) => {
    const review = JSON.parse(body);
    asked.push(review.spec);
    if (broken) return [403, { kind: "Status", message: "not today" }];
    const verb = review.spec.resourceAttributes?.verb ?? review.spec.nonResourceAttributes.verb;
    const status = { list: { allowed: true }, watch: { allowed: false, denied: true, reason: "no watching" } };
    return [200, { ...review, status: (status as any)[verb] ?? { allowed: false, reason: "nothing known" } }];
  });
  const authorization = (failurePolicy: string) => ({
    configuration: {
      authorizers: [
        {
          type: "Webhook",
          name: "hook",
          webhook: {
            timeout: "3s",
            authorizedTTL: "1m",
            unauthorizedTTL: "1m",
            subjectAccessReviewVersion: "v1",
            failurePolicy,
            connectionInfo: { type: "KubeConfigFile", kubeConfigFile: "/hook" },
          },
        },
        { type: "RBAC", name: "rbac" },
      ],
    },
    targets: new Map([["hook", { server: url, tls: { ca: ca!.cert } }]]),
  });
  await using harness = await start({ authorization: authorization("NoOpinion") });
  await using one = caller(portOf(harness), jane);
  const pods = "/api/v1/namespaces/default/pods";
  assert.equal((await one.ask("GET", `${pods}?labelSelector=a%3Db,!c&fieldSelector=spec.nodeName!%3Dx`)).status, 200);
  assert.deepEqual(asked[0].resourceAttributes, {
    namespace: "default",
    verb: "list",
    version: "v1",
    resource: "pods",
    fieldSelector: { requirements: [{ key: "spec.nodeName", operator: "NotIn", values: ["x"] }] },
    labelSelector: {
      requirements: [
        { key: "c", operator: "DoesNotExist" },
        { key: "a", operator: "In", values: ["b"] },
      ].sort((a, b) => (a.key < b.key ? -1 : 1)),
    },
  });
  const before = asked.length;
  await one.ask("GET", pods);
  await one.ask("GET", pods);
  assert.equal(asked.length, before + 1, "answers are kept");
  assert.equal(
    (await one.ask("GET", `${pods}?watch=1`)).body.message,
    'pods is forbidden: User "jane" cannot watch resource "pods" in API group "" in the namespace "default": no watching',
  );
  assert.equal(
    (await one.ask("GET", `${pods}/a`)).body.message,
    'pods "a" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "default": nothing known',
  );
  assert.equal((await one.ask("GET", "/version")).status, 200, "who has no opinion leaves it to RBAC");
  broken = true;
  const secrets = "/api/v1/namespaces/default/secrets";
  const failed = await one.ask("GET", secrets);
  assert.deepEqual([failed.status, failed.body], [500, `Internal Server Error: "${secrets}": not today\n`]);
  assert.equal((await one.ask("GET", "/api")).status, 200, "and others may still allow");
  const abac = { configuration: { authorizers: [{ type: "ABAC", name: "abac" }] } };
  await assert.rejects(harness.server.reload({ authorization: abac }), {
    message: "authorizer type ABAC is not allowed if it was not enabled at initial server startup",
  });
  assert.equal(await harness.server.reload({ authorization: authorization("Deny") }), true);
  assert.equal(await harness.server.reload({ authorization: authorization("Deny") }), false, "nothing new");
  assert.equal((await one.ask("GET", "/api")).status, 500);
  await assert.rejects(
    harness.server.reload({ authorization: authorization("Perhaps") }),
    /failurePolicy: Unsupported value/,
  );
  assert.equal((await one.ask("GET", "/livez")).status, 500, "probes as well");
});

test("a token for one audience is worth nothing at another, and nothing once what it is bound to is gone", async () => {
  await using harness = await start();
  await using one = caller(portOf(harness));
  const transport = harness.client().transport;
  const send = (method: string, path: string, body?: object): Promise<any> =>
    transport.send({ method: method as "POST", path, ...(body && { body }) }) as Promise<any>;
  const home = "/api/v1/namespaces/default";
  await send("POST", `${home}/serviceaccounts`, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "app" },
  });
  await send("POST", `${home}/secrets`, { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } });
  const tokenFor = async (spec: object): Promise<string> =>
    (
      await send("POST", `${home}/serviceaccounts/app/token`, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec,
      })
    ).status.token;
  const forUs = await tokenFor({ boundObjectRef: { kind: "Secret", name: "s" } });
  const user = await whoAmI(one, bearer(forUs));
  assert.equal(user.username, "system:serviceaccount:default:app");
  assert.match(user.extra["authentication.kubernetes.io/credential-id"][0], /^JTI=/);
  const forVault = await tokenFor({ audiences: ["vault"] });
  assert.equal(await whoAmI(one, bearer(forVault)), 401);
  assert.equal((await review_(harness, { token: forVault, audiences: ["vault", "x"] })).audiences[0], "vault");
  assert.equal(
    (await review_(harness, { token: forVault })).error,
    '[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["https://kubernetes.default.svc.cluster.local"]]',
  );
  assert.equal((await review_(harness, { token: forUs, audiences: ["vault"] })).authenticated, undefined);
  assert.equal((await review_(harness, { token: "nonsense" })).error, "invalid bearer token");
  const [head, , tail] = forUs.split(".");
  const forged = Buffer.from(JSON.stringify({ iss: "https://kubernetes.default.svc.cluster.local" }));
  assert.equal(
    (await review_(harness, { token: `${head}.${forged.toString("base64url")}.${tail}` })).error,
    "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]",
  );
  await send("DELETE", `${home}/secrets/s`);
  await until(async () => (await whoAmI(one, bearer(forUs))) === 401);

  const config = await one.ask("GET", "/.well-known/openid-configuration", bearer(await tokenFor({})));
  assert.equal(config.body.jwks_uri, `https://127.0.0.1:${portOf(harness)}/openid/v1/jwks`);
});
