import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiRequest } from "../request.ts";
import { createAuthenticator } from "./authenticator.ts";
import { certificateUsers } from "./certificates.ts";
import { ANONYMOUS } from "./user.ts";

const user = { name: "jane", groups: [] };
const authenticator = createAuthenticator({
  certificates: certificateUsers(),
  tokens: { authenticateToken: (token) => (token === "good" ? { user } : "unknown") },
  anonymous: true,
});
const strangers = { der: new Uint8Array(), chain: [], authorized: false };
const whoAsks = (token: string | undefined, certificate: typeof strangers | undefined) =>
  authenticator.authenticate({
    header: (name: string) => (name === "authorization" && token !== undefined ? `Bearer ${token}` : undefined),
    peer: { address: { host: "192.0.2.1", port: 1 }, certificate },
  } as unknown as ApiRequest);

test("who shows nothing is anonymous", async () => assert.equal(await whoAsks(undefined, undefined), ANONYMOUS));
test("who shows a certificate that nobody here signed is nobody, not anonymous", async () =>
  assert.equal(await whoAsks(undefined, strangers), undefined));
test("a good token counts beside a bad certificate", async () =>
  assert.equal((await whoAsks("good", strangers))?.name, "jane"));
test("who shows a bad token is nobody, not anonymous", async () =>
  assert.equal(await whoAsks("bad", undefined), undefined));
