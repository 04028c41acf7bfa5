/** Signs certificates for public keys. Upstream: crypto/x509 (CreateCertificate), pkg/controller/certificates/authority */
import { createHash, createPrivateKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import {
  BIT_STRING,
  BOOLEAN,
  elements,
  encode,
  encodeInteger,
  encodeOid,
  encodePem,
  encodeTime,
  INTEGER,
  OCTET_STRING,
  readOid,
  SEQUENCE,
  tagged,
  taggedPlain,
} from "./der.ts";
import { type Alternatives, SUBJECT_ALTERNATIVE_NAME } from "./signing-request.ts";
import { parseIp } from "../validation/ip.ts";

export interface Wanted extends Alternatives {
  /** A name, in DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array;
  /** By Kubernetes' names. */
  readonly usages: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly serial: Uint8Array;
}

function bytesOfAddress(text: string): Buffer {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`${JSON.stringify(text)} is no address`);
  const hex = address.value.toString(16);
  return Buffer.from(hex.padStart(address.family === 4 ? 8 : 32, "0"), "hex");
}

export interface Authority {
  readonly cert: string;
  readonly key: string;
}

/** By their bit. */
const KEY_USAGES: Readonly<Record<string, number>> = {
  signing: 0,
  "digital signature": 0,
  "content commitment": 1,
  "key encipherment": 2,
  "data encipherment": 3,
  "key agreement": 4,
  "cert sign": 5,
  "crl sign": 6,
  "encipher only": 7,
  "decipher only": 8,
};

/** In the order of Go's constants, which is the order in a certificate. */
const EXTENDED_KEY_USAGES: Readonly<Record<string, string>> = {
  any: "2.5.29.37.0",
  "server auth": "1.3.6.1.5.5.7.3.1",
  "client auth": "1.3.6.1.5.5.7.3.2",
  "code signing": "1.3.6.1.5.5.7.3.3",
  "email protection": "1.3.6.1.5.5.7.3.4",
  "s/mime": "1.3.6.1.5.5.7.3.4",
  "ipsec end system": "1.3.6.1.5.5.7.3.5",
  "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
  "ipsec user": "1.3.6.1.5.5.7.3.7",
  timestamping: "1.3.6.1.5.5.7.3.8",
  "ocsp signing": "1.3.6.1.5.5.7.3.9",
  "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
  "netscape sgc": "2.16.840.1.113730.4.1",
};

/** Throws where a usage is unknown. The result is PEM. */
export function issueCertificate(authority: Authority, wanted: Wanted): string {
  const unknown = wanted.usages.filter(
    (one) => KEY_USAGES[one] === undefined && EXTENDED_KEY_USAGES[one] === undefined,
  );
  if (unknown.length > 0)
    throw new Error(`unrecognized usage values: [${unknown.map((one) => JSON.stringify(one)).join(" ")}]`);
  const key = createPrivateKey(authority.key);
  const issuer = readIssuer(authority.cert);
  const algorithm = algorithmOf(key);
  const tbs = encode(
    SEQUENCE,
    encode(tagged(0), encode(INTEGER, Buffer.from([2]))),
    encodeInteger(wanted.serial),
    algorithm.identifier,
    issuer.subject,
    encode(SEQUENCE, encodeTime(wanted.notBefore), encodeTime(wanted.notAfter)),
    wanted.subject,
    wanted.publicKey,
    encode(tagged(3), encode(SEQUENCE, ...extensions(wanted, issuer.keyId))),
  );
  const signature = sign(algorithm.hash, tbs, key);
  return encodePem(
    "CERTIFICATE",
    encode(SEQUENCE, tbs, algorithm.identifier, encode(BIT_STRING, Buffer.from([0]), signature)),
  );
}

/** `extendedKeyUsage` before what says whom it is for, as Go writes them. */
function extensions(wanted: Wanted, issuerKeyId: Uint8Array): readonly Buffer[] {
  const list: Buffer[] = [];
  const add = (oid: string, critical: boolean, value: Uint8Array) =>
    list.push(
      encode(
        SEQUENCE,
        encodeOid(oid),
        ...(critical ? [encode(BOOLEAN, Buffer.from([0xff]))] : []),
        encode(OCTET_STRING, value),
      ),
    );
  const bits = wanted.usages.flatMap((one) => KEY_USAGES[one] ?? []);
  if (bits.length > 0) {
    const last = Math.max(...bits);
    const bytes = Buffer.alloc(last < 8 ? 1 : 2);
    for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
    add("2.5.29.15", true, encode(BIT_STRING, Buffer.from([7 - (last & 7)]), bytes));
  }
  const purposes = Object.entries(EXTENDED_KEY_USAGES).flatMap(([name, oid]) =>
    wanted.usages.includes(name) ? [oid] : [],
  );
  if (purposes.length > 0) add("2.5.29.37", false, encode(SEQUENCE, ...[...new Set(purposes)].map(encodeOid)));
  add("2.5.29.19", true, encode(SEQUENCE));
  add("2.5.29.35", false, encode(SEQUENCE, encode(taggedPlain(0), issuerKeyId)));
  const names = [
    ...wanted.dnsNames.map((name) => encode(taggedPlain(2), Buffer.from(name))),
    ...wanted.emailAddresses.map((name) => encode(taggedPlain(1), Buffer.from(name))),
    ...wanted.ipAddresses.map((address) => encode(taggedPlain(7), bytesOfAddress(address))),
    ...wanted.uris.map((uri) => encode(taggedPlain(6), Buffer.from(uri))),
  ];
  if (names.length > 0) add(SUBJECT_ALTERNATIVE_NAME, false, encode(SEQUENCE, ...names));
  return list;
}

/** What a certificate that this one signs says of it. */
function readIssuer(pem: string): { readonly subject: Uint8Array; readonly keyId: Uint8Array } {
  const certificate = new X509Certificate(pem);
  const [tbs] = elements(elements(certificate.raw)?.[0]?.content ?? new Uint8Array()) ?? [];
  const parts = elements(tbs?.content ?? new Uint8Array()) ?? [];
  // The version may be missing; then serial, algorithm, issuer, validity, subject.
  const from = parts[0]?.type === tagged(0) ? 1 : 0;
  const subject = parts[from + 4]!.raw;
  for (const { type, content } of parts) {
    if (type !== tagged(3)) continue;
    for (const extension of elements(elements(content)?.[0]?.content ?? new Uint8Array()) ?? []) {
      const [id, ...rest] = elements(extension.content) ?? [];
      const value = rest.find((one) => one.type === OCTET_STRING);
      if (id !== undefined && value !== undefined && readOid(id.content) === "2.5.29.14")
        return { subject, keyId: elements(value.content)![0]!.content };
    }
  }
  const bits = elements(parts[from + 5]!.content)![1]!.content.subarray(1);
  return { subject, keyId: createHash("sha1").update(bits).digest() };
}

function algorithmOf(key: KeyObject): { readonly hash: string | null; readonly identifier: Buffer } {
  const identifier = (oid: string, ...more: readonly Buffer[]) => encode(SEQUENCE, encodeOid(oid), ...more);
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { hash: "sha256", identifier: identifier("1.2.840.113549.1.1.11", encode(0x05)) };
    case "ed25519":
      return { hash: null, identifier: identifier("1.3.101.112") };
    default:
      switch (key.asymmetricKeyDetails?.namedCurve) {
        case "secp384r1":
          return { hash: "sha384", identifier: identifier("1.2.840.10045.4.3.3") };
        case "secp521r1":
          return { hash: "sha512", identifier: identifier("1.2.840.10045.4.3.4") };
        default:
          return { hash: "sha256", identifier: identifier("1.2.840.10045.4.3.2") };
      }
  }
}
