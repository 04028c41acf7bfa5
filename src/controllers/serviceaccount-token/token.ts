/** Legacy service account tokens: JWTs without an expiry, kept in Secrets. Upstream: pkg/serviceaccount/legacy.go, jwt.go */
import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from "node:crypto";

export interface TokenSubject {
  readonly namespace: string;
  readonly secret: string;
  readonly name: string;
  readonly uid: string;
}

export function legacyToken(keyPem: string, { namespace, secret, name, uid }: TokenSubject): string {
  const key = createPrivateKey(keyPem);
  const header = { alg: algorithmOf(key), kid: keyId(key) };
  const claims = {
    iss: "kubernetes/serviceaccount",
    "kubernetes.io/serviceaccount/namespace": namespace,
    "kubernetes.io/serviceaccount/secret.name": secret,
    "kubernetes.io/serviceaccount/service-account.name": name,
    "kubernetes.io/serviceaccount/service-account.uid": uid,
    sub: `system:serviceaccount:${namespace}:${name}`,
  };
  const text = `${encode(header)}.${encode(claims)}`;
  const hash = header.alg === "ES384" ? "sha384" : header.alg === "ES512" ? "sha512" : "sha256";
  const signature = sign(hash, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

/** How verifiers find the key: the hash of its public half. */
function keyId(key: KeyObject): string {
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64url");
}

function algorithmOf(key: KeyObject): "RS256" | "ES256" | "ES384" | "ES512" {
  if (key.asymmetricKeyType === "rsa") return "RS256";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === "prime256v1") return "ES256";
  if (curve === "secp384r1") return "ES384";
  if (curve === "secp521r1") return "ES512";
  throw new Error(`unknown private key type ${key.asymmetricKeyType} ${curve}`);
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
