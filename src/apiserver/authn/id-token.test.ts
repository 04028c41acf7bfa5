import assert from "node:assert/strict";
import { test } from "node:test";
import { goTime, readIdToken } from "./id-token.ts";

const mismatch = (kind: string, field: string, type: string) =>
  `oidc: failed to unmarshal claims: json: cannot unmarshal ${kind} into Go struct field idToken.${field} of type ${type}`;
const noNumber = (literal: string) =>
  `oidc: failed to unmarshal claims: json: invalid number literal, trying to unmarshal ${literal} into Number`;

/** Claims that a good signature doesn't make good, with what kube-apiserver 1.36.2 says of them. */
const wrong: readonly (readonly [object, string])[] = [
  [{ exp: "x" }, noNumber(String.raw`"\"x\""`)],
  [{ exp: null }, 'oidc: failed to unmarshal claims: strconv.ParseFloat: parsing "": invalid syntax'],
  [{ nbf: "x" }, noNumber(String.raw`"\"x\""`)],
  [{ iat: "soon" }, noNumber(String.raw`"\"soon\""`)],
  [{ aud: 5 }, mismatch("number", "aud", "[]string")],
  [{ aud: ["kube", 5] }, mismatch("number", "aud", "string")],
  [{ sub: 5 }, mismatch("number", "sub", "string")],
  [{ sub: true }, mismatch("bool", "sub", "string")],
  [{ sub: [] }, mismatch("array", "sub", "string")],
  [{ sub: {} }, mismatch("object", "sub", "string")],
  [{ _claim_names: "x" }, mismatch("string", "_claim_names", "map[string]string")],
  [{ _claim_names: { groups: 5 } }, mismatch("number", "_claim_names", "string")],
  [{ _claim_sources: "x" }, mismatch("string", "_claim_sources", "map[string]oidc.claimSource")],
  [
    { _claim_sources: { src: { endpoint: 5 } } },
    "oidc: failed to unmarshal claims: json: cannot unmarshal number into Go struct field claimSource._claim_sources.endpoint of type string",
  ],
  [{ _claim_names: { groups: "src" } }, "oidc: source does not exist"],
  [{ _claim_names: { groups: "src" }, _claim_sources: { other: {} } }, "oidc: source does not exist"],
];
for (const [claims, message] of wrong)
  test(`claims ${JSON.stringify(claims)} are turned away: ${message}`, () => {
    assert.throws(() => readIdToken({ iss: "i", ...claims }), { message });
  });

test("claims are read as Go reads them", () => {
  assert.deepEqual(readIdToken({ iss: "i", sub: null, aud: null, exp: 5.7, nbf: null, iat: "3" }), {
    issuer: "i",
    audiences: [""],
    expiry: 5,
    notBefore: undefined,
  });
  assert.deepEqual(readIdToken({ aud: ["a", "b"] }).audiences, ["a", "b"]);
  assert.equal(goTime(1_700_000_000), "2023-11-14 22:13:20 +0000 UTC");
  assert.equal(goTime(1_700_000_000.25), "2023-11-14 22:13:20.25 +0000 UTC");
});
