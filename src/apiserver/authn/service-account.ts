/**
 * Tokens of service accounts: JWTs that the server signs and checks, bound to what they were made for; each check looks whether that still exists.
 * Upstream: pkg/serviceaccount.
 */
import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey, sign, verify, X509Certificate } from "node:crypto";
import type { Clock, Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import type { ClusterView } from "../admission/framework.ts";
import type { ApiServerOptions } from "../options.ts";
import type { TokenAuthenticator, TokenResult } from "./authenticator.ts";
import { serviceAccountUser } from "./user.ts";

/** A token that a pod got for an hour really lasts a year, so that old clients that read it once go on working. */
const EXTENDED_SECONDS = 365 * 24 * 60 * 60;

interface Ref {
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: Ref;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly pod?: Ref;
  readonly secret?: Ref;
  readonly node?: Ref;
  /** Seconds after which the holder should have asked for a new one. */
  readonly warnAfterSeconds?: number;
}

export interface ServiceAccountTokens {
  readonly authenticator: TokenAuthenticator;
  readonly audiences: readonly string[];
  readonly extendedSeconds: number;
  sign(claims: TokenClaims): string;
  openidConfiguration(): object;
  jwks(): object;
}

interface Key {
  readonly id: string;
  readonly algorithm: "ES256" | "ES384" | "ES512" | "RS256";
  readonly publicKey: KeyObject;
}

export function serviceAccountTokens(
  options: ApiServerOptions["serviceAccount"],
  { clock, random, cluster }: { readonly clock: Clock; readonly random: Random; readonly cluster: ClusterView },
): ServiceAccountTokens {
  const { issuer } = options;
  const signing = createPrivateKey(options.signingKey);
  const own = keyOf(createPublicKey(signing));
  const keys = new Map<string, Key>([[own.id, own]]);
  for (const pem of options.verifyingKeys ?? []) {
    const key = keyOf(publicKeyOf(pem));
    keys.set(key.id, key);
  }
  const audiences = options.apiAudiences ?? [issuer];

  return {
    audiences,
    extendedSeconds: options.extendExpiration === false ? 0 : EXTENDED_SECONDS,
    sign(claims) {
      const now = Math.floor(clock.now() / 1000);
      const payload = {
        aud: claims.audiences,
        exp: now + claims.expirationSeconds,
        iat: now,
        iss: issuer,
        jti: uuid(random),
        "kubernetes.io": {
          namespace: claims.namespace,
          ...(claims.node !== undefined && { node: claims.node }),
          ...(claims.pod !== undefined && { pod: claims.pod }),
          ...(claims.secret !== undefined && { secret: claims.secret }),
          serviceaccount: claims.serviceAccount,
          ...(claims.warnAfterSeconds !== undefined && { warnafter: now + claims.warnAfterSeconds }),
        },
        nbf: now,
        sub: serviceAccountUser(claims.namespace, claims.serviceAccount.name),
      };
      return signJwt({ alg: own.algorithm, kid: own.id }, payload, signing);
    },
    openidConfiguration: () => ({
      issuer,
      jwks_uri: `${issuer}/openid/v1/jwks`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: [...new Set([...keys.values()].map(({ algorithm }) => algorithm))],
    }),
    jwks: () => ({
      keys: [...keys.values()].map(({ id, algorithm, publicKey }) => ({
        use: "sig",
        ...publicKey.export({ format: "jwk" }),
        kid: id,
        alg: algorithm,
      })),
    }),
    authenticator: {
      async authenticateToken(token, wanted) {
        const claims = readJwt(token);
        if (claims === undefined || claims.payload["iss"] !== issuer) return "unknown";
        const candidates = [...keys.values()].filter(
          ({ id }) => claims.header["kid"] === undefined || id === claims.header["kid"],
        );
        if (!candidates.some((key) => verifyJwt(token, key, claims.header)))
          return { invalid: "signature is not valid" };
        return check(claims.payload, wanted.length > 0 ? wanted : audiences, clock.now() / 1000, cluster);
      },
    },
  };
}

async function check(
  payload: any,
  wanted: readonly string[],
  nowSeconds: number,
  cluster: ClusterView,
): Promise<TokenResult> {
  const given: readonly string[] = typeof payload.aud === "string" ? [payload.aud] : (payload.aud ?? []);
  const audiences = wanted.filter((audience) => given.includes(audience));
  if (audiences.length === 0)
    return {
      invalid: `token audiences ${JSON.stringify(given)} is invalid for the target audiences ${JSON.stringify(wanted)}`,
    };
  if (typeof payload.exp === "number" && nowSeconds >= payload.exp)
    return { invalid: "service account token has expired" };
  if (typeof payload.nbf === "number" && nowSeconds + 10 < payload.nbf)
    return { invalid: "service account token is not valid yet" };
  const bound = payload["kubernetes.io"];
  if (bound === undefined) return { invalid: "token has no private claims" };
  const { namespace, serviceaccount, pod, secret, node } = bound;
  const account = await find(cluster, "serviceaccounts", namespace, serviceaccount);
  if (account === undefined) return { invalid: "service account has been deleted or its UID does not match" };
  if (secret !== undefined && (await find(cluster, "secrets", namespace, secret)) === undefined)
    return { invalid: "service account token has been invalidated" };
  if (pod !== undefined && (await find(cluster, "pods", namespace, pod)) === undefined)
    return { invalid: "service account token has been invalidated" };
  // A node may go before the pod that runs on it; a token for the node alone goes with it.
  if (node !== undefined && pod === undefined && (await find(cluster, "nodes", "", node)) === undefined)
    return { invalid: "service account token has been invalidated" };
  return {
    audiences,
    user: {
      name: serviceAccountUser(namespace, serviceaccount.name),
      uid: serviceaccount.uid,
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      extra: {
        ...(payload.jti !== undefined && {
          "authentication.kubernetes.io/credential-id": [`JTI=${payload.jti}`],
        }),
        ...(pod !== undefined && {
          "authentication.kubernetes.io/pod-name": [pod.name],
          "authentication.kubernetes.io/pod-uid": [pod.uid],
        }),
        ...(node !== undefined && {
          "authentication.kubernetes.io/node-name": [node.name],
          ...(node.uid && { "authentication.kubernetes.io/node-uid": [node.uid] }),
        }),
      },
    },
  };
}

/** From the cache, or from etcd where the cache doesn't have it (yet). */
async function find(cluster: ClusterView, resource: string, namespace: string, { name, uid }: Ref): Promise<unknown> {
  const cached = cluster.get(resource, namespace, name);
  if (cached?.metadata.uid === uid) return cached;
  const live = await cluster.live(resource, namespace, name);
  return live?.metadata.uid === uid ? live : undefined;
}

const HASHES = { ES256: "sha256", RS256: "sha256", ES384: "sha384", ES512: "sha512" } as const;

function signJwt(header: { alg: Key["algorithm"]; kid: string }, payload: object, key: KeyObject): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  const signature = sign(HASHES[header.alg], Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

function verifyJwt(token: string, { algorithm, publicKey }: Key, header: Readonly<Record<string, unknown>>): boolean {
  if (header["alg"] !== algorithm) return false;
  const dot = token.lastIndexOf(".");
  return verify(
    HASHES[algorithm],
    Buffer.from(token.slice(0, dot)),
    { key: publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(token.slice(dot + 1), "base64url"),
  );
}

function readJwt(token: string): { readonly header: any; readonly payload: any } | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    const [header, payload] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()) as unknown);
    return typeof header === "object" && header !== null && typeof payload === "object" && payload !== null
      ? { header, payload }
      : undefined;
  } catch {
    return undefined;
  }
}

const encodePart = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function publicKeyOf(pem: string): KeyObject {
  return pem.includes("CERTIFICATE") ? new X509Certificate(pem).publicKey : createPublicKey(pem);
}

function keyOf(publicKey: KeyObject): Key {
  const der = publicKey.export({ type: "spki", format: "der" });
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  const algorithm =
    publicKey.asymmetricKeyType === "rsa"
      ? "RS256"
      : curve === "secp384r1"
        ? "ES384"
        : curve === "secp521r1"
          ? "ES512"
          : "ES256";
  return { id: createHash("sha256").update(der).digest("base64url"), algorithm, publicKey };
}
