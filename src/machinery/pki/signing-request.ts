/**
 * Certificate signing requests (PKCS #10): the requested names, and proof of possession of the key.
 * Upstream: crypto/x509 (ParseCertificateRequest), pkg/apis/certificates/helpers.go
 */
import { createPublicKey, verify } from "node:crypto";
import { decodePem, type Element, elements, OCTET_STRING, readOid, SEQUENCE, tagged, taggedPlain } from "./der.ts";

export interface Alternatives {
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

export interface SigningRequest extends Alternatives {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** The subject as it is written. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array;
  /** Whether whoever asks has the private key. */
  isSignedByItself(): boolean;
}

const COMMON_NAME = "2.5.4.3";
const ORGANIZATION = "2.5.4.10";
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
export const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";

/** Throws what is wrong with it, in Go's words. */
export function parseSigningRequest(pem: string): SigningRequest {
  const der = decodePem(pem, ["CERTIFICATE REQUEST"]);
  if (der === undefined) throw new Error("PEM block type must be CERTIFICATE REQUEST");
  return readSigningRequest(der);
}

/** As `parseSigningRequest`, without the wrapping. */
export function readSigningRequest(der: Uint8Array): SigningRequest {
  const [request] = elements(der) ?? [];
  const [info, algorithm, signature] = partsOf(request);
  const [, subject, publicKey, attributes] = partsOf(info);
  if (info === undefined || subject?.type !== SEQUENCE || publicKey === undefined || signature === undefined)
    throw new Error("asn1: structure error: malformed certificate request");
  const names = [...attributesOf(subject)];
  return {
    commonName: names.findLast(([type]) => type === COMMON_NAME)?.[1] ?? "",
    organizations: names.flatMap(([type, value]) => (type === ORGANIZATION ? [value] : [])),
    subject: subject.raw,
    publicKey: publicKey.raw,
    ...alternativesOf(attributes),
    isSignedByItself() {
      const [type] = partsOf(algorithm);
      const hash = HASHES[readOid(type?.content ?? new Uint8Array())];
      if (hash === undefined) return false;
      try {
        const key = createPublicKey({ key: Buffer.from(publicKey.raw), format: "der", type: "spki" });
        // The first byte of a bit string counts the bits that don't.
        return verify(hash === "" ? null : hash, info.raw, key, signature.content.subarray(1));
      } catch {
        return false;
      }
    },
  };
}

/** Of signatures; Ed25519 has none of its own. */
const HASHES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.5": "sha1",
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.1": "sha1",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.3.101.112": "",
};

const partsOf = (element: Element | undefined): readonly Element[] =>
  element === undefined ? [] : (elements(element.content) ?? []);

/** A name's attributes, by type. */
function* attributesOf(name: Element): Iterable<readonly [type: string, value: string]> {
  for (const set of partsOf(name))
    for (const attribute of partsOf(set)) {
      const [type, value] = partsOf(attribute);
      if (type !== undefined && value !== undefined)
        yield [readOid(type.content), Buffer.from(value.content).toString()];
    }
}

function alternativesOf(attributes: Element | undefined): Alternatives {
  const found = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] } as {
    readonly [K in keyof Alternatives]: string[];
  };
  if (attributes?.type !== tagged(0)) return found;
  for (const attribute of partsOf(attributes)) {
    const [type, values] = partsOf(attribute);
    if (type === undefined || readOid(type.content) !== EXTENSION_REQUEST) continue;
    for (const extension of partsOf(partsOf(values)[0])) {
      const [id, ...rest] = partsOf(extension);
      const value = rest.find((one) => one.type === OCTET_STRING);
      if (id === undefined || value === undefined || readOid(id.content) !== SUBJECT_ALTERNATIVE_NAME) continue;
      for (const name of partsOf(elements(value.content)?.[0])) {
        const text = Buffer.from(name.content).toString();
        if (name.type === taggedPlain(1)) found.emailAddresses.push(text);
        if (name.type === taggedPlain(2)) found.dnsNames.push(text);
        if (name.type === taggedPlain(6)) found.uris.push(text);
        if (name.type === taggedPlain(7)) found.ipAddresses.push(addressOf(name.content));
      }
    }
  }
  return found;
}

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  return groups.join(":");
}
