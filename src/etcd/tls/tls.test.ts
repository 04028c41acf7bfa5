import assert from "node:assert/strict";
import { getCiphers } from "node:tls";
import { test } from "node:test";
import { opensslCiphers } from "./cipher-suites.ts";
import { revokedSerials, serialOf } from "./revocation-list.ts";
import { boundsOf, type TlsInfo } from "./tls.ts";

const info: TlsInfo = {
  certFile: "",
  keyFile: "",
  clientCertFile: "",
  clientKeyFile: "",
  clientCertAuth: false,
  trustedCaFile: "",
  crlFile: "",
  allowedCns: [],
  allowedHostnames: [],
  selfMade: false,
  cipherSuites: [],
  minVersion: "",
  maxVersion: "",
};

const TLS13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

for (const [go, openssl] of [
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"],
] as const)
  test(`Go's ${go} is OpenSSL's ${openssl}`, () => {
    assert.equal(opensslCiphers([go]), `${TLS13}:${openssl}`);
    assert.ok(getCiphers().includes(openssl.toLowerCase()));
  });

test("suites of TLS 1.3 can be named, and are there in any case", () => {
  assert.equal(opensslCiphers(["TLS_AES_128_GCM_SHA256"]), TLS13);
});

for (const [name, given, message] of [
  ["an unknown suite", { cipherSuites: ["NONE"] }, 'unexpected TLS cipher suite "NONE"'],
  ["an unknown version", { minVersion: "TLS1.1" }, 'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)'],
  [
    "versions in the wrong order",
    { minVersion: "TLS1.3", maxVersion: "TLS1.2" },
    "min version (TLS1.3) is greater than max version (TLS1.2)",
  ],
  [
    "suites where only TLS 1.3 is spoken",
    { minVersion: "TLS1.3", cipherSuites: ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] },
    "cipher suites cannot be configured when only TLS1.3 is enabled",
  ],
] as const)
  test(`a member doesn't start with ${name}`, () => {
    assert.throws(() => boundsOf({ ...info, ...given }), { message });
  });

test("versions and suites are handed on in Node's names", () => {
  assert.deepEqual(boundsOf(info), {});
  assert.deepEqual(boundsOf({ ...info, minVersion: "TLS1.2", maxVersion: "TLS1.3" }), {
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
  });
});

/** One element. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const integer = (hex: string) => der(0x02, Buffer.from(hex, "hex"));
const time = der(0x17, Buffer.from("260101000000Z"));
const list = (...fields: readonly Uint8Array[]) =>
  sequence(sequence(...fields), sequence(), der(0x03, Buffer.from([0, 1])));
const entries = (...serials: readonly string[]) =>
  sequence(...serials.map((serial) => sequence(integer(serial), time)));

for (const [name, bytes, serials] of [
  [
    "one with everything",
    list(integer("01"), sequence(), sequence(), time, time, entries("0a", "00ff01")),
    ["a", "ff01"],
  ],
  ["an old one", list(sequence(), sequence(), time, entries("7f")), ["7f"]],
  ["one without a next", list(integer("01"), sequence(), sequence(), time, entries("01")), ["1"]],
  ["an empty one", list(integer("01"), sequence(), sequence(), time, time), []],
  ["an empty one with extensions", list(integer("01"), sequence(), sequence(), time, time, der(0xa0, sequence())), []],
  [
    "a long one",
    list(
      integer("01"),
      sequence(),
      sequence(),
      time,
      entries(...Array.from({ length: 90 }, (_, i) => (i + 16).toString(16))),
    ),
    Array.from({ length: 90 }, (_, i) => (i + 16).toString(16)),
  ],
] as const)
  test(`a list of revoked certificates is read: ${name}`, () => {
    const expected = new Set(serials.map(serialOf));
    assert.deepEqual(revokedSerials(bytes), expected);
    const pem = `-----BEGIN X509 CRL-----\n${bytes.toString("base64")}\n-----END X509 CRL-----\n`;
    assert.deepEqual(revokedSerials(Buffer.from(pem)), expected);
  });

test("what is no list of revoked certificates lets nobody in", () => {
  const whole = list(integer("01"), sequence(), sequence(), time, time, entries("0a", "0b"));
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from("garbage"),
    Buffer.from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    whole.subarray(0, -4),
    list(integer("01"), sequence(), sequence()),
    Buffer.concat([whole.subarray(0, 2), Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])]),
  ])
    assert.throws(() => revokedSerials(bytes), /malformed crl/);
});
