/** JSON web tokens: decoding, signing, verifying. Upstream: github.com/go-jose/go-jose */
import type { KeyObject } from "node:crypto";
import { constants, createPublicKey, sign, verify } from "node:crypto";

/** Each algorithm with the hash it uses and the kind of key it takes. */
const ALGORITHMS = {
  RS256: ["sha256", "rsa"],
  RS384: ["sha384", "rsa"],
  RS512: ["sha512", "rsa"],
  PS256: ["sha256", "rsa"],
  PS384: ["sha384", "rsa"],
  PS512: ["sha512", "rsa"],
  ES256: ["sha256", "prime256v1"],
  ES384: ["sha384", "secp384r1"],
  ES512: ["sha512", "secp521r1"],
} as const;
export type Algorithm = keyof typeof ALGORITHMS;
export const ALGORITHM_NAMES = Object.keys(ALGORITHMS).sort() as readonly Algorithm[];

export const isAlgorithm = (name: unknown): name is Algorithm =>
  typeof name === "string" && Object.hasOwn(ALGORITHMS, name);

export interface Jwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

const PART = /^[A-Za-z0-9_-]*$/;

/** Undefined for what isn't a token in three parts. Nothing in it is to be trusted before `verifyJwt`. */
export function readJwt(token: string): Jwt | undefined {
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every((part) => PART.test(part))) return undefined;
  const [header, payload] = parts.slice(0, 2).map(readPart);
  if (header === undefined || payload === undefined) return undefined;
  const dot = token.lastIndexOf(".");
  return {
    header,
    payload,
    signed: Buffer.from(token.slice(0, dot)),
    signature: Buffer.from(parts[2]!, "base64url"),
  };
}

function readPart(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The algorithm is the caller's to allow; a key of another kind verifies nothing. */
export function verifyJwt({ signed, signature }: Jwt, algorithm: Algorithm, key: KeyObject): boolean {
  const [hash, kind] = ALGORITHMS[algorithm];
  if ((key.asymmetricKeyType === "rsa" ? "rsa" : key.asymmetricKeyDetails?.namedCurve) !== kind) return false;
  return verify(hash, signed, keyOptions(algorithm, key), signature);
}

export function signJwt(
  header: { readonly alg: Algorithm; readonly kid?: string },
  payload: object,
  key: KeyObject,
): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  const signature = sign(ALGORITHMS[header.alg][0], Buffer.from(input), keyOptions(header.alg, key));
  return `${input}.${signature.toString("base64url")}`;
}

function keyOptions(algorithm: Algorithm, key: KeyObject) {
  if (algorithm.startsWith("ES")) return { key, dsaEncoding: "ieee-p1363" as const };
  if (algorithm.startsWith("PS"))
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return { key };
}

const encodePart = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The algorithm that goes with a key where nobody says. */
export function algorithmOf(publicKey: KeyObject): Algorithm {
  if (publicKey.asymmetricKeyType === "rsa") return "RS256";
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  return curve === "secp384r1" ? "ES384" : curve === "secp521r1" ? "ES512" : "ES256";
}

export interface PublicJwk {
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys of a set that can be used; others are passed over. */
export function readJwks(set: unknown): readonly PublicJwk[] {
  const { keys } = (set ?? {}) as { readonly keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("the key set has no keys");
  return keys.flatMap((jwk: any) => {
    try {
      return [{ id: String(jwk.kid ?? ""), key: createPublicKey({ key: jwk, format: "jwk" }) }];
    } catch {
      return [];
    }
  });
}

/** As Go prints a list of strings with `%q`. */
export const quoted = (values: readonly string[]): string =>
  `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;

/** A claim that holds a name or a list of them, as `aud` does. */
export function stringList(claim: unknown): readonly string[] {
  if (typeof claim === "string") return [claim];
  return Array.isArray(claim) ? claim.filter((one) => typeof one === "string") : [];
}
