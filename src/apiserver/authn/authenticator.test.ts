import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiRequest } from "../request.ts";
import type { Finding, RequestAuthenticator, TokenAuthenticator, TokenResult } from "./authenticator.ts";
import { createAuthenticator, forAudiences, tokenUnion } from "./authenticator.ts";
import { ANONYMOUS } from "./user.ts";

const jane = { name: "jane", groups: [] };
const certified: RequestAuthenticator = ({ header }) =>
  ({ good: { name: "cert", groups: ["a"] }, bad: { error: "bad certificate" } })[header("x-certificate") ?? ""];
const tokens: TokenAuthenticator = {
  authenticateToken: (token) =>
    token === "good" ? { user: jane, warnings: ["old"] } : token === "forged" ? { invalid: "forged" } : "unknown",
};

async function whoAsks(
  headers: Readonly<Record<string, string>>,
  { paths = [], enabled = true, path = "/" }: { paths?: string[]; enabled?: boolean; path?: string } = {},
): Promise<{ readonly finding: Finding; readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const authenticator = createAuthenticator({
    requests: [certified],
    tokens,
    anonymous: () => ({ enabled, paths }),
  });
  const finding = await authenticator.authenticate({
    path,
    warnings,
    header: (name: string) => headers[name],
    headers: (name: string) => (headers[name] === undefined ? [] : [headers[name]]),
  } as unknown as ApiRequest);
  return { finding, warnings };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const websocket = (protocols: string) => ({ upgrade: "websocket", "sec-websocket-protocol": protocols });
const PREFIX = "base64url.bearer.authorization.k8s.io.";
const encoded = `${PREFIX}${Buffer.from("good").toString("base64url")}`;

const table: readonly (readonly [string, Parameters<typeof whoAsks>, string])[] = [
  ["who shows nothing is anonymous", [{}], "system:anonymous"],
  ["nobody is anonymous where that is off", [{}, { enabled: false }], "nobody"],
  ["anonymous on a path that is open to them", [{}, { paths: ["/livez"], path: "/livez" }], "system:anonymous"],
  ["nobody on any other path", [{}, { paths: ["/livez"], path: "/livez/ping" }], "nobody"],
  ["a certificate", [{ "x-certificate": "good" }], "cert"],
  ["a bad certificate is nobody, not anonymous", [{ "x-certificate": "bad" }], "error: bad certificate"],
  ["a good token beside a bad certificate", [{ "x-certificate": "bad", ...bearer("good") }], "jane"],
  ["a certificate beside a bad token", [{ "x-certificate": "good", ...bearer("bad") }], "cert"],
  ["a token that nobody knows", [bearer("bad")], "error: invalid bearer token"],
  ["a forged token", [bearer("forged")], "error: forged"],
  ["all that failed is told", [{ "x-certificate": "bad", ...bearer("forged") }], "error: [bad certificate, forged]"],
  ["another scheme shows nothing", [{ authorization: "Basic Z29vZA==" }], "system:anonymous"],
  ["the scheme in any letters", [{ authorization: "bEARER good" }], "jane"],
  ["a space too many: no token", [{ authorization: "Bearer  good" }], "system:anonymous"],
  ["a token as a subprotocol", [websocket(`${encoded}, v5.channel.k8s.io`)], "jane"],
  ["alone it can't be answered", [websocket(encoded)], "error: missing additional subprotocol"],
  [
    "two tokens",
    [websocket(`${encoded}, ${encoded}, v4`)],
    "error: multiple base64.bearer.authorization tokens specified",
  ],
  ["a bad encoding", [websocket(`${PREFIX}!, v4`)], "error: invalid base64.bearer.authorization token encoding"],
  [
    "a subprotocol without an upgrade shows nothing",
    [{ "sec-websocket-protocol": `${encoded}, v4` }],
    "system:anonymous",
  ],
];
for (const [name, args, expected] of table)
  test(`who asks: ${name}`, async () => {
    const { finding } = await whoAsks(...args);
    const shown = finding === undefined ? "nobody" : "name" in finding ? finding.name : `error: ${finding.error}`;
    assert.equal(shown, expected);
  });

test("an authenticated user is in the group system:authenticated, and invalid credentials are refused with the reason", async () => {
  assert.deepEqual(await whoAsks(bearer("good")), {
    finding: { name: "jane", groups: ["system:authenticated"] },
    warnings: ["old"],
  });
  assert.equal((await whoAsks({})).finding, ANONYMOUS);
});

test("one authenticator that fails doesn't hide another", async () => {
  const says = (result: TokenResult): TokenAuthenticator => ({ authenticateToken: () => result });
  const ask = (...all: TokenResult[]) => tokenUnion(() => all.map(says)).authenticateToken("t", []);
  assert.deepEqual(await ask({ invalid: "a" }, "unknown", { user: jane }), { user: jane });
  assert.deepEqual(await ask({ invalid: "a" }, { invalid: "b" }), { invalid: "[a, b]" });
  assert.equal(await ask("unknown", "unknown"), "unknown");
});

test("a token without audiences is for this server and for nobody else", async () => {
  const ours = forAudiences(["api"], tokens);
  assert.deepEqual(await ours.authenticateToken("good", []), { user: jane, warnings: ["old"], audiences: ["api"] });
  assert.deepEqual(await ours.authenticateToken("good", ["vault", "api"]), {
    user: jane,
    warnings: ["old"],
    audiences: ["api"],
  });
  assert.equal(await ours.authenticateToken("good", ["vault"]), "unknown");
});
