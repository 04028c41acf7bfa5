/** Certificates and keys that can't be used are told when a server starts. Upstream: pkg/server/dynamiccertificates, client-go/util/{cert,keyutil} */
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { readBundle } from "../../apiserver/authn/chain.ts";
import { CommandError } from "../command.ts";

/** Authorities of clients: `name` is what upstream calls the bundle. */
export function checkBundle(name: string, path: string, pem: string): void {
  const words = wrongBundle(pem);
  if (words !== undefined) throw new CommandError(`error loading CA bundle for "${name}::${path}": ${words}`);
}

function wrongBundle(pem: string): string | undefined {
  try {
    return readBundle(pem).length > 0 ? undefined : "data does not contain any valid RSA or ECDSA certificates";
  } catch {
    return "x509: malformed certificate";
  }
}

/** A key that belongs to another certificate. What is no certificate or key at all is told by whoever uses it. */
export function checkKeyPair({ cert, key }: { readonly cert: string; readonly key: string }, prefix = ""): void {
  let belongs: boolean;
  try {
    belongs = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return;
  }
  if (!belongs) throw new CommandError(`${prefix}tls: private key does not match public key`);
}

/** Keys that tokens of service accounts are verified with: public, or the public halves of private ones. */
export function checkPublicKeys(path: string, pem: string): void {
  const blocks = pem.match(/-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----/g) ?? [];
  if (!blocks.some(isKey))
    throw new CommandError(
      `error reading public key file ${path}: data does not contain any valid RSA or ECDSA public keys`,
    );
}

function isKey(block: string): boolean {
  try {
    createPublicKey(block);
    return true;
  } catch {
    return false;
  }
}
