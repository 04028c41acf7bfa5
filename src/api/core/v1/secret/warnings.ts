/** Whether a private key belongs to its certificate. Upstream: pkg/registry/core/secret/strategy.go, crypto/tls (X509KeyPair) */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Secret } from "../../../generated/core.v1.ts";

export function secretWarnings({ type, data = {} }: Secret): readonly string[] {
  if (type !== "kubernetes.io/tls") return [];
  const [certificate = "", key = ""] = [data["tls.crt"], data["tls.key"]].map((base64 = "") =>
    Buffer.from(base64, "base64").toString("latin1"),
  );
  const wrong = mismatch(certificate, key);
  return wrong === undefined ? [] : [`tls: ${wrong}`];
}

interface Block {
  readonly type: string;
  readonly pem: string;
}

/** What isn't base64 within is passed over. */
const blocksOf = (text: string): readonly Block[] =>
  [...text.matchAll(/^-----BEGIN ([^\n-]+)-----[ \t\r]*\n([^]*?)\n-----END \1-----[ \t\r]*$/gm)]
    .filter(([, , body = ""]) => isBase64(body.replace(/^[\w-]+:.*\n/gm, "").replace(/\s/g, "")))
    .map(([pem, type]) => ({ type: type!, pem }));

const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);

const isKey = ({ type }: Block): boolean => type === "PRIVATE KEY" || type.endsWith(" PRIVATE KEY");
const typesOf = (blocks: readonly Block[]): string => `[${blocks.map(({ type }) => type).join(" ")}]`;

function mismatch(certificateText: string, keyText: string): string | undefined {
  const blocks = blocksOf(certificateText);
  const certificate = blocks.find(({ type }) => type === "CERTIFICATE");
  if (certificate === undefined) {
    if (blocks.length === 0) return "failed to find any PEM data in certificate input";
    if (blocks.length === 1 && blocks[0]!.type.endsWith("PRIVATE KEY"))
      return "failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched";
    return `failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: ${typesOf(blocks)}`;
  }
  const others = blocksOf(keyText);
  const key = others.find(isKey);
  if (key === undefined) {
    if (others.length === 0) return "failed to find any PEM data in key input";
    if (others.length === 1 && others[0]!.type === "CERTIFICATE")
      return "found a certificate rather than a key in the PEM for the private key";
    return `failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: ${typesOf(others)}`;
  }
  return pairMismatch(certificate.pem, key.pem);
}

function pairMismatch(certificatePem: string, keyPem: string): string | undefined {
  const certificate = attempt(() => new X509Certificate(certificatePem));
  const key = attempt(() => createPrivateKey(keyPem));
  if (certificate === undefined) return "failed to parse certificate";
  if (key === undefined) return "failed to parse private key";
  if (certificate.publicKey.asymmetricKeyType !== key.asymmetricKeyType)
    return "private key type does not match public key type";
  return certificate.checkPrivateKey(key) ? undefined : "private key does not match public key";
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
