import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { ApiRequest } from "../request.ts";
import { certificateUsers } from "./certificates.ts";
import ODD from "./odd-certificates.json" with { type: "json" };

const der = (name: string) => Buffer.from(ODD.der[name as keyof typeof ODD.der], "base64");
const authorities = [new X509Certificate(der("ca"))];
const clock = { now: () => Date.parse("2027-01-01T00:00:00Z") } as never;

/** What the client shows, its own certificate first; and who it is, with what groups. */
const table: readonly (readonly [string, string, string])[] = [
  ["plain", "plain", "alice [dev ops]"],
  ["letters of all languages", "utf8", "Zoë ☃ [größe]"],
  ["a line feed in a name is no other attribute", "newline", "a\nO=system:masters [real]"],
  ["several attributes in one part of the name", "multi", "multi [inrdn next]"],
  ["a UID", "uid", "u theuid []"],
  ["two UIDs", "twouid", "error: expected 1 UID, but found multiple: [one two]"],
  ["no subject at all", "san", "nobody"],
  ["for servers", "server", "error: x509: certificate specifies an incompatible key usage"],
  ["an extension that must be understood", "critical", "error: x509: unhandled critical extension"],
  ["of another authority", "otherca", "error: x509: certificate signed by unknown authority"],
  [
    "over",
    "expired",
    "error: x509: certificate has expired or is not yet valid: current time 2027-01-01T00:00:00Z is after 2021-01-01T00:00:00Z",
  ],
  [
    "not begun",
    "future",
    "error: x509: certificate has expired or is not yet valid: current time 2027-01-01T00:00:00Z is before 2040-01-01T00:00:00Z",
  ],
  ["through an intermediate", "leaf mid", "leafy [g]"],
  ["without showing the intermediate", "leaf", "error: x509: certificate signed by unknown authority"],
  ["through one that is no authority", "leaf2 notca", "error: x509: certificate signed by unknown authority"],
  ["through one that may not sign", "leaf6 noku", "error: x509: certificate signed by unknown authority"],
  ["through one for servers", "leaf3 srvmid", "error: x509: certificate specifies an incompatible key usage"],
  [
    "through more than are allowed",
    "leaf4 zero2 zero",
    "error: x509: too many intermediates for path length constraint",
  ],
  [
    "with a name that the intermediate may not sign for",
    "leaf5 namec",
    'error: x509: a root or intermediate certificate is not authorized to sign for this name: DNS name "foo.org" is not permitted by any constraint',
  ],
];
for (const [name, shown, expected] of table)
  test(`a client certificate: ${name}`, () => {
    const chain = shown.split(" ").map(der);
    const peer = { address: { host: "", port: 0 }, certificate: { der: chain[0]!, chain, authorized: false } };
    const found = certificateUsers(() => authorities, clock)({ peer } as unknown as ApiRequest);
    if (found === undefined) return assert.equal("nobody", expected);
    if ("error" in found)
      return assert.equal(
        found.error.replace(/^verifying certificate SN=\d+ failed/, "error").replace(/^expected/, "error: expected"),
        expected,
      );
    const groups = found.groups.filter((group) => group !== "system:authenticated");
    assert.equal(`${found.name}${found.uid === undefined ? "" : ` ${found.uid}`} [${groups.join(" ")}]`, expected);
  });
