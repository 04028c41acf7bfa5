import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { issueCertificate } from "./certificate.ts";
import { parseSigningRequest } from "./signing-request.ts";

/** Made by openssl, as is the authority. */
const REQUEST = `-----BEGIN CERTIFICATE REQUEST-----
MIIBQDCB6AIBADArMQwwCgYDVQQKDANkZXYxDDAKBgNVBAoMA29wczENMAsGA1UE
AwwEamFuZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN8BjGEMW56KjtAlqHte
SjyrIVuv1/VLYUmRcvgYL75MQ6JllL6DRQdvSP0Y2vqnYqNTQwuWRAUfL2nHIQMG
S5qgWzBZBgkqhkiG9w0BCQ4xTDBKMEgGA1UdEQRBMD+CEGphbmUuZXhhbXBsZS5j
b22HBAoAAAGHEP0AAAAAAAAAAAAAAAAAAAGBBWFAYi5jhgxzcGlmZmU6Ly94L3kw
CgYIKoZIzj0EAwIDRwAwRAIgTvns+csIWmG3Uv/aBAAaTZHtkV+PbUoJG5hAtJTy
SV8CICKqnvZMPlznE9tLuThG1r1dvsI3jd/JI6lcS2NNgmCU
-----END CERTIFICATE REQUEST-----
`;
const AUTHORITY = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUFCFRHkUpGK1/GaPTV4Qaad52r2QwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjMxMjM5MzJaGA8yMTI2MTAz
MDEyMzkzMlowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABCAqeNsQkQWnKWTCKZ4L0+HjxvcnGfBsLDiSdNd6ssWzANSZJNgV
rhyyyn9+VoAknMgZA9trQ4lX//l+CkKcP+2jUzBRMB0GA1UdDgQWBBR/QFg9aei0
3ioW/gn0DHsur6cJHDAfBgNVHSMEGDAWgBR/QFg9aei03ioW/gn0DHsur6cJHDAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIChQkg5mcOJnT1DDqV0J
bdRTKBuKDjFp7tvOzWysTv9bAiBqMt0oAIQVF/XDCLybmjHY0zpEnoRGqWocTkI9
c4cz4A==
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg99wb+NM8cEfELwPP
aXoTr32H4J87qc+ZzsMvPSKvzgyhRANCAAQgKnjbEJEFpylkwimeC9Ph48b3Jxnw
bCw4knTXerLFswDUmSTYFa4cssp/flaAJJzIGQPba0OJV//5fgpCnD/t
-----END PRIVATE KEY-----
`,
};

test("a signing request contains the requested names and proves possession of the key", () => {
  const request = parseSigningRequest(REQUEST);
  assert.equal(request.commonName, "jane");
  assert.deepEqual(request.organizations, ["dev", "ops"]);
  assert.deepEqual(
    [request.dnsNames, request.ipAddresses, request.emailAddresses, request.uris],
    [["jane.example.com"], ["10.0.0.1", "fd00:0:0:0:0:0:0:1"], ["a@b.c"], ["spiffe://x/y"]],
  );
  assert.equal(request.isSignedByItself(), true);
  const der = Buffer.from(REQUEST.replace(/-----[A-Z ]+-----|\n/g, ""), "base64");
  der[60]! ^= 1; // Another name under the same signature.
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  assert.equal(parseSigningRequest(forged).isSignedByItself(), false);
  assert.throws(
    () => parseSigningRequest("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"),
    /PEM block type/,
  );
});

test("a certificate has the names that were asked for, and is what its authority signed", () => {
  const { subject, publicKey, ...names } = parseSigningRequest(REQUEST);
  const notBefore = Date.UTC(2030, 0, 1);
  const usages = ["digital signature", "client auth", "server auth", "decipher only"];
  const wanted = { subject, publicKey, ...names, usages, notBefore, notAfter: Date.UTC(2051, 5, 1) };
  const certificate = new X509Certificate(
    issueCertificate(AUTHORITY, { ...wanted, serial: Buffer.from("80ff", "hex") }),
  );
  const authority = new X509Certificate(AUTHORITY.cert);
  assert.equal(certificate.verify(authority.publicKey), true);
  assert.equal(certificate.checkIssued(authority), true);
  assert.equal(certificate.subject, "O=dev\nO=ops\nCN=jane");
  assert.equal(certificate.serialNumber, "80FF");
  assert.equal(certificate.ca, false);
  assert.equal(
    certificate.subjectAltName,
    "DNS:jane.example.com, email:a@b.c, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1, URI:spiffe://x/y",
  );
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(Date.parse(certificate.validFrom), notBefore);
  assert.equal(Date.parse(certificate.validTo), Date.UTC(2051, 5, 1));
  assert.throws(
    () => issueCertificate(AUTHORITY, { ...wanted, usages: ["flying"], serial: Buffer.from("01", "hex") }),
    /unrecognized usage values: \["flying"\]/,
  );
});
