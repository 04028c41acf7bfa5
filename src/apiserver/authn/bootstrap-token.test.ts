import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import type { ClusterView } from "../admission/framework.ts";
import { bootstrapTokens } from "./bootstrap-token.ts";

const GOOD = { "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" };

/** What differs from a good secret, and who its token is. */
const table: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
  ["good", {}, "system:bootstrap:abcdef [system:bootstrappers]"],
  ["to end later", { expiration: "2040-01-01T00:00:00+02:00" }, "system:bootstrap:abcdef [system:bootstrappers]"],
  ["over", { expiration: "2020-01-01T00:00:00Z" }, "nobody"],
  ["to end on a day, not at a time", { expiration: "2040-01-01" }, "nobody"],
  ["to end at a word", { expiration: "never" }, "nobody"],
  ["not for authentication", { "usage-bootstrap-authentication": "True" }, "nobody"],
  ["of another name", { "token-id": "abcdeg" }, "nobody"],
  ["without a secret", { "token-secret": "" }, "nobody"],
  [
    "with groups",
    { "auth-extra-groups": "system:bootstrappers:z,system:bootstrappers:a,system:bootstrappers:z" },
    "system:bootstrap:abcdef [system:bootstrappers system:bootstrappers:a system:bootstrappers:z]",
  ],
  ["with a group of others", { "auth-extra-groups": "system:masters" }, "nobody"],
];
for (const [name, differs, expected] of table)
  test(`a bootstrap token: ${name}`, async () => {
    const data = Object.fromEntries(
      Object.entries({ ...GOOD, ...differs }).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    );
    const secret = { metadata: { name: "" }, type: "bootstrap.kubernetes.io/token", data };
    const cluster = { get: () => secret } as unknown as ClusterView;
    const tokens = bootstrapTokens(cluster, { now: () => Date.parse("2026-01-01T00:00:00Z") } as never, silent);
    const result = await tokens.authenticateToken("abcdef.0123456789abcdef", []);
    const user = typeof result === "object" && "user" in result ? result.user : undefined;
    assert.equal(user === undefined ? "nobody" : `${user.name} [${user.groups.join(" ")}]`, expected);
  });
