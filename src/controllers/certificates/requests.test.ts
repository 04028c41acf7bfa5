import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../api/generated/certificates.v1.ts";
import type { SigningRequest } from "../../machinery/pki/signing-request.ts";
import {
  faultOf,
  KUBE_APISERVER_CLIENT,
  KUBELET_CLIENT,
  KUBELET_SERVING,
  LEGACY_UNKNOWN,
  msUntilUseless,
  validityOf,
} from "./requests.ts";

const NODE = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const request = (some: Partial<SigningRequest>): SigningRequest => ({
  commonName: "",
  organizations: [],
  subject: new Uint8Array(),
  publicKey: new Uint8Array(),
  dnsNames: [],
  emailAddresses: [],
  ipAddresses: [],
  uris: [],
  isSignedByItself: () => true,
  ...some,
});
const CLIENT = ["digital signature", "key encipherment", "client auth"];
const SERVER = ["digital signature", "server auth"];

const TABLE: readonly (readonly [string, Partial<SigningRequest>, readonly string[], string | undefined])[] = [
  [KUBELET_CLIENT, NODE, CLIENT, undefined],
  [KUBELET_CLIENT, NODE, ["client auth", "digital signature"], undefined],
  [
    KUBELET_CLIENT,
    { ...NODE, organizations: ["a", "system:nodes"] },
    CLIENT,
    "subject organization is not system:nodes",
  ],
  [KUBELET_CLIENT, { ...NODE, commonName: "n1" }, CLIENT, "subject common name does not begin with system:node:"],
  [KUBELET_CLIENT, { ...NODE, dnsNames: ["a"] }, CLIENT, "DNS subjectAltNames are not allowed"],
  [KUBELET_CLIENT, { ...NODE, emailAddresses: ["a"] }, CLIENT, "Email subjectAltNames are not allowed"],
  [KUBELET_CLIENT, { ...NODE, ipAddresses: ["1.1.1.1"] }, CLIENT, "IP subjectAltNames are not allowed"],
  [KUBELET_CLIENT, { ...NODE, uris: ["a:b"] }, CLIENT, "URI subjectAltNames are not allowed"],
  [KUBELET_CLIENT, NODE, SERVER, "usages did not match [client auth digital signature key encipherment]"],
  [KUBELET_SERVING, { ...NODE, dnsNames: ["n1"] }, SERVER, undefined],
  [KUBELET_SERVING, NODE, SERVER, "DNS or IP subjectAltName is required"],
  [KUBELET_SERVING, { ...NODE, dnsNames: ["n1"], uris: ["a:b"] }, SERVER, "URI subjectAltNames are not allowed"],
  [
    KUBELET_SERVING,
    { ...NODE, dnsNames: ["n1"] },
    CLIENT,
    "usages did not match [digital signature key encipherment server auth]",
  ],
  [KUBE_APISERVER_CLIENT, { commonName: "jane" }, ["client auth"], undefined],
  [KUBE_APISERVER_CLIENT, {}, ["digital signature"], "missing required usage for client certificate: client auth"],
  [KUBE_APISERVER_CLIENT, {}, ["client auth", "server auth"], "invalid usage for client certificate: server auth"],
  [LEGACY_UNKNOWN, {}, ["any"], undefined],
];
for (const [signer, some, usages, expected] of TABLE)
  test(`${signer} answers ${JSON.stringify(some)} for ${usages.join(", ")} with ${expected ?? "a certificate"}`, () => {
    assert.equal(faultOf(signer, request(some), usages), expected);
  });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("a certificate is good as long as was asked, no longer than its signer signs, and never beyond the authority's own", () => {
  const of = (seconds: number | undefined, ends = 1000 * HOUR) => {
    const { notBefore, notAfter } = validityOf(0, seconds, 100 * HOUR, ends);
    return [notBefore / MINUTE, notAfter / MINUTE];
  };
  assert.deepEqual(of(undefined), [-5, 100 * 60 - 5]);
  assert.deepEqual(of(10 * 3600), [-5, 10 * 60 - 5]);
  // What is short isn't shortened.
  assert.deepEqual(of(3600), [-5, 60]);
  assert.deepEqual(of(1), [-5, 10]);
  assert.deepEqual(of(1000 * 3600), [-5, 100 * 60 - 5]);
  assert.deepEqual(of(undefined, HOUR), [-5, 60]);
  assert.throws(() => of(3600, -MINUTE), /refusing to sign a certificate that expired in the past/);
  assert.throws(() => of(3600, -5 * MINUTE), /the signer has expired/);
});

test("requests go an hour after they were decided on, a day after nobody cared", () => {
  const made = "2026-01-01T00:00:00Z";
  const left = (status: CertificateSigningRequest["status"], ends?: number) =>
    msUntilUseless(
      { metadata: { name: "a", creationTimestamp: made }, status } as CertificateSigningRequest,
      ends,
      Date.parse(made),
    ) / HOUR;
  const condition = (type: string) => [{ type, status: "True", lastUpdateTime: made }];
  assert.equal(left({}), 24);
  assert.equal(left({ conditions: condition("Denied") }), 1);
  assert.equal(left({ conditions: [...condition("Approved"), ...condition("Failed")] }), 1);
  assert.equal(left({ conditions: condition("Approved") }), 24);
  assert.equal(left({ conditions: condition("Approved"), certificate: "x" }), 1);
  assert.equal(left({ conditions: condition("Approved"), certificate: "x" }, Date.parse(made) + HOUR / 2), 0.5);
});
