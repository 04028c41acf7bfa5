/**
 * Service account tokens: JWTs that the server signs and verifies. They are bound to objects, and each verification checks that those still exist.
 * Upstream: pkg/serviceaccount.
 */
import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey, timingSafeEqual, X509Certificate } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import type { Clock, Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import type { AnyObject, ClusterView } from "../admission/framework.ts";
import type { ApiServerOptions } from "../options.ts";
import type { TokenUse } from "./metrics.ts";
import type { TokenAuthenticator, TokenResult } from "./authenticator.ts";
import type { Algorithm, Jwt } from "./jwt.ts";
import { algorithmOf, isAlgorithm, quoted, readJwt, signJwt, stringList, verifyJwt } from "./jwt.ts";
import { serviceAccountUser, splitServiceAccountUser } from "./user.ts";

/** A token that a pod got for an hour really lasts a year, so that old clients that read it once go on working. */
const EXTENDED_SECONDS = 365 * 24 * 60 * 60;

/** Whose end is the end of tokens. Bootstrap tokens are secrets, too. */
export const READ_FOR_TOKENS: readonly string[] = ["serviceaccounts", "secrets", "nodes"];

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
  sign(claims: TokenClaims): SignedToken;
  /** Undefined where the issuer is no https URL that others could ask. `host`: where this server is reached. */
  openidConfiguration(host: string): object | undefined;
  jwks(): object | undefined;
}

export interface SignedToken {
  readonly text: string;
  /** By which the audit knows it again. */
  readonly credentialId: string;
}

interface Key {
  readonly id: string;
  readonly algorithm: Algorithm;
  readonly publicKey: KeyObject;
}

export interface ServiceAccountDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly cluster: ClusterView;
  readonly log: Logger;
  /** Told of each token that comes. */
  readonly used?: (use: TokenUse) => void;
}

/** Tokens whose signature was seen to be good; what they are bound to is looked up each time. */
const REMEMBERED_MAX = 4096;

export function serviceAccountTokens(
  options: ApiServerOptions["serviceAccount"],
  deps: ServiceAccountDeps,
): ServiceAccountTokens {
  const { clock, random } = deps;
  const { issuer } = options;
  const issuers = new Set([issuer, ...(options.otherIssuers ?? [])]);
  const signing = createPrivateKey(options.signingKey);
  const own = keyOf(createPublicKey(signing));
  const verifying = (options.verifyingKeys ?? []).flatMap(publicKeysOf).map(keyOf);
  const keys = new Map([own, ...verifying].map((key) => [key.id, key]));
  const audiences = options.apiAudiences ?? [issuer];
  const known = new Map<string, Jwt>();

  /** The token, if one of our keys signed it. */
  function verified(token: string): Jwt | "foreign" | { readonly invalid: string } {
    const digest = createHash("sha256").update(token).digest("base64");
    const before = known.get(digest);
    if (before !== undefined) return before;
    const jwt = readJwt(token);
    const iss = jwt?.payload["iss"];
    if (jwt === undefined || !(iss === LEGACY_ISSUER || issuers.has(iss as string))) return "foreign";
    const { kid, alg } = jwt.header;
    if (kid !== undefined && typeof kid !== "string") return "foreign";
    // A token of old names no key: any may have signed it.
    const candidates = kid === undefined || kid === "" ? [...keys.values()] : [keys.get(kid)];
    if (candidates[0] === undefined) return { invalid: "invalid signature, no keys found" };
    if (!candidates.some((key) => isAlgorithm(alg) && verifyJwt(jwt, alg, key!.publicKey)))
      return { invalid: "go-jose/go-jose: error in cryptographic primitive" };
    const wrong = claimError(jwt.payload);
    if (wrong !== undefined) return { invalid: wrong };
    if (known.size >= REMEMBERED_MAX) known.clear();
    known.set(digest, jwt);
    return jwt;
  }

  return {
    audiences,
    extendedSeconds: options.extendExpiration === false ? 0 : EXTENDED_SECONDS,
    sign(claims) {
      const now = Math.floor(clock.now() / 1000);
      const jti = uuid(random);
      const payload = {
        aud: claims.audiences,
        exp: now + claims.expirationSeconds,
        iat: now,
        iss: issuer,
        jti,
        "kubernetes.io": {
          namespace: claims.namespace,
          ...(claims.node !== undefined && {
            node: { name: claims.node.name, ...(claims.node.uid !== "" && { uid: claims.node.uid }) },
          }),
          ...(claims.pod !== undefined && { pod: claims.pod }),
          ...(claims.secret !== undefined && { secret: claims.secret }),
          serviceaccount: claims.serviceAccount,
          ...(claims.warnAfterSeconds !== undefined && { warnafter: now + claims.warnAfterSeconds }),
        },
        nbf: now,
        sub: serviceAccountUser(claims.namespace, claims.serviceAccount.name),
      };
      return { text: signJwt({ alg: own.algorithm, kid: own.id }, payload, signing), credentialId: `JTI=${jti}` };
    },
    openidConfiguration(host) {
      if (!issuer.startsWith("https://")) return undefined;
      return {
        issuer,
        jwks_uri: options.jwksUri ?? `https://${host}/openid/v1/jwks`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [
          ...new Set([...keys.values()].map(({ algorithm }) => algorithm)),
        ].sort(),
      };
    },
    jwks() {
      if (!issuer.startsWith("https://")) return undefined;
      return {
        keys: [...keys.values()].map(({ id, algorithm, publicKey }) => {
          const { kty, ...rest } = publicKey.export({ format: "jwk" });
          return { use: "sig", kty, kid: id, alg: algorithm, ...rest };
        }),
      };
    },
    authenticator: {
      async authenticateToken(token, wanted) {
        const jwt = verified(token);
        if (jwt === "foreign") return "unknown";
        if ("invalid" in jwt) return jwt;
        const { payload } = jwt;
        const legacy = payload["iss"] === LEGACY_ISSUER;
        const named = stringList(payload["aud"]);
        // Tokens of old are for nobody else than this server.
        const given = named.length === 0 ? audiences : named;
        const targets = wanted.length > 0 ? wanted : audiences;
        const both = given.filter((audience) => targets.includes(audience));
        if (both.length === 0)
          return { invalid: `token audiences ${quoted(given)} is invalid for the target audiences ${quoted(targets)}` };
        const found = legacy
          ? await checkLegacy(token, payload, deps, options.lookup !== false)
          : await checkBound(payload, deps);
        if (typeof found === "string") return { invalid: found };
        return { ...found, audiences: both };
      },
    },
  };
}

/** Claims of a wrong type, in the words of the library that reads them. */
function claimError({ aud, exp, nbf, iat }: Jwt["payload"]): string | undefined {
  if (aud !== undefined && aud !== null && typeof aud !== "string" && !Array.isArray(aud))
    return "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience";
  const times = [exp, nbf, iat].filter((time) => time !== undefined && time !== null);
  return times.every((time) => typeof time === "number")
    ? undefined
    : "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate";
}

type Found = Exclude<TokenResult, string | { readonly invalid: string }>;

/** Clocks of others may be off by so much. */
const LEEWAY_SECONDS = 60;
const INVALIDATED = "service account token has been invalidated";

async function checkBound(
  payload: Jwt["payload"],
  { clock, cluster, used }: ServiceAccountDeps,
): Promise<Found | string> {
  const nowSeconds = clock.now() / 1000;
  const { exp, nbf, iat, jti } = payload;
  if (typeof nbf === "number" && nowSeconds + LEEWAY_SECONDS < nbf) return "service account token is not valid yet";
  if (typeof exp === "number" && nowSeconds - LEEWAY_SECONDS > exp) return "service account token has expired";
  if (typeof iat === "number" && nowSeconds + LEEWAY_SECONDS < iat)
    return "service account token is issued in the future";
  const bound = payload["kubernetes.io"] as AnyObject;
  if (!bound?.serviceaccount?.name) return "resource name may not be empty";
  const { namespace, serviceaccount, pod, secret, node } = bound;
  const gone = (object: AnyObject) =>
    object.metadata.deletionTimestamp !== undefined &&
    Date.parse(object.metadata.deletionTimestamp) < clock.now() - LEEWAY_SECONDS * 1000;

  const account = await find(cluster, "serviceaccounts", namespace, serviceaccount);
  if (account === undefined) return `serviceaccounts ${JSON.stringify(serviceaccount.name)} not found`;
  if (account.metadata.uid !== serviceaccount.uid)
    return `service account UID (${account.metadata.uid}) does not match claim (${serviceaccount.uid})`;
  if (gone(account)) return `service account ${namespace}/${serviceaccount.name} has been deleted`;
  // A node may go before the pod that runs on it; a token for the node alone goes with it.
  const others: readonly (readonly [string, string, string, Ref | undefined])[] = [
    ["secret", "secrets", namespace, secret],
    ["pod", "pods", namespace, pod],
    ["node", "nodes", "", pod === undefined ? node : undefined],
  ];
  for (const [what, resource, home, ref] of others) {
    if (ref === undefined) continue;
    const object = await find(cluster, resource, home, ref);
    if (object === undefined) return INVALIDATED;
    if (object.metadata.uid !== ref.uid)
      return `${what} UID (${object.metadata.uid}) does not match service account ${what} ref claim (${ref.uid})`;
    if (gone(object)) return INVALIDATED;
  }
  const { warnafter } = bound;
  const stale = typeof warnafter === "number" && warnafter !== 0 && nowSeconds > warnafter;
  used?.(stale ? "stale_tokens" : "valid_tokens");
  const subject = serviceAccountUser(namespace, serviceaccount.name);
  const extra = {
    ...(typeof jti === "string" && jti !== "" && { [`${KEY}credential-id`]: [`JTI=${jti}`] }),
    ...(node !== undefined && {
      [`${KEY}node-name`]: [node.name],
      ...(node.uid && { [`${KEY}node-uid`]: [node.uid] }),
    }),
    ...(pod !== undefined && { [`${KEY}pod-name`]: [pod.name], [`${KEY}pod-uid`]: [pod.uid] }),
  };
  return {
    ...(stale && {
      annotations: {
        "authentication.k8s.io/stale-token": `subject: ${subject}, seconds after warning threshold: ${Math.floor(nowSeconds) - warnafter}`,
      },
    }),
    user: {
      name: subject,
      uid: serviceaccount.uid,
      groups: [...groupsOf(namespace), "system:authenticated"],
      ...(Object.keys(extra).length > 0 && { extra }),
    },
  };
}

const KEY = "authentication.kubernetes.io/";
const groupsOf = (namespace: string) => ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];

const LEGACY_ISSUER = "kubernetes/serviceaccount";
const LEGACY_CLAIM = "kubernetes.io/serviceaccount/";
const LAST_USED = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since";

/** Tokens that lie in secrets: they don't end by themselves, so their uses are noted. */
async function checkLegacy(
  token: string,
  payload: Jwt["payload"],
  { clock, cluster, log, used }: ServiceAccountDeps,
  lookup: boolean,
): Promise<Found | string> {
  const claim = (name: string) => String(payload[`${LEGACY_CLAIM}${name}`] ?? "");
  const namespace = claim("namespace");
  const secretName = claim("secret.name");
  const name = claim("service-account.name");
  const uid = claim("service-account.uid");
  const subject = String(payload["sub"] ?? "");
  if (subject === "") return "sub claim is missing";
  if (namespace === "") return "namespace claim is missing";
  if (secretName === "") return "secretName claim is missing";
  if (name === "") return "serviceAccountName claim is missing";
  if (uid === "") return "serviceAccountUID claim is missing";
  const said = splitServiceAccountUser(subject);
  if (said?.namespace !== namespace || said.name !== name) return "sub claim is invalid";
  const warnings: string[] = [];
  const annotations: Record<string, string> = { "authentication.k8s.io/legacy-token": subject };
  if (lookup) {
    const secret = await find(cluster, "secrets", namespace, { name: secretName, uid: "" });
    if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) return "Token has been invalidated";
    const kept = Buffer.from(secret.data?.["token"] ?? "", "base64");
    const given = Buffer.from(token);
    if (kept.length !== given.length || !timingSafeEqual(kept, given)) return "Token does not match server's copy";
    const account = await find(cluster, "serviceaccounts", namespace, { name, uid });
    if (account === undefined) return `serviceaccounts ${JSON.stringify(name)} not found`;
    if (account.metadata.deletionTimestamp !== undefined) return `ServiceAccount ${namespace}/${name} has been deleted`;
    if (account.metadata.uid !== uid)
      return `ServiceAccount UID (${account.metadata.uid}) does not match claim (${uid})`;
    const labels = secret.metadata.labels ?? {};
    const noteUse = () => {
      const today = new Date(clock.now()).toISOString().slice(0, 10);
      if (labels[LAST_USED] === today) return;
      cluster
        .update("secrets", namespace, secretName, (current) => ({
          ...current,
          metadata: { ...current.metadata, labels: { ...current.metadata.labels, [LAST_USED]: today } },
        }))
        .catch((error: unknown) => log.error("The use of a token can't be noted", error, { secretName, namespace }));
    };
    if (labels[INVALID_SINCE]) {
      used?.("invalid_legacy_auto_token_uses");
      noteUse();
      return `the token in secret ${namespace}/${secretName} for service account ${namespace}/${name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${INVALID_SINCE}' label from the secret to temporarily allow use of this token`;
    }
    if ((account.secrets ?? []).some((ref: AnyObject) => ref.name === secretName)) {
      used?.("legacy_auto_token_uses");
      annotations["authentication.k8s.io/legacy-token-autogenerated-secret"] = secretName;
      warnings.push(
        "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.",
      );
    } else {
      used?.("legacy_manual_token_uses");
      annotations["authentication.k8s.io/legacy-token-manual-secret"] = secretName;
    }
    noteUse();
  }
  used?.("legacy_tokens");
  return {
    user: { name: serviceAccountUser(namespace, name), uid, groups: [...groupsOf(namespace), "system:authenticated"] },
    ...(warnings.length > 0 && { warnings }),
    annotations,
  };
}

/** From the cache, or from etcd where the cache doesn't have it (yet) as the token says. */
async function find(
  cluster: ClusterView,
  resource: string,
  namespace: string,
  { name, uid }: Ref,
): Promise<AnyObject | undefined> {
  const cached = cluster.get(resource, namespace, name);
  if (cached !== undefined && (uid === "" || cached.metadata.uid === uid)) return cached;
  return cluster.live(resource, namespace, name);
}

/** The keys in a file: public keys, private keys or certificates, one after the other. */
function publicKeysOf(pem: string): readonly KeyObject[] {
  const blocks = pem.match(/-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g) ?? [];
  return blocks
    .filter((block) => !block.includes("BEGIN EC PARAMETERS"))
    .map((block) => (block.includes("CERTIFICATE") ? new X509Certificate(block).publicKey : createPublicKey(block)));
}

function keyOf(publicKey: KeyObject): Key {
  const der = publicKey.export({ type: "spki", format: "der" });
  return {
    id: createHash("sha256").update(der).digest("base64url"),
    algorithm: algorithmOf(publicKey),
    publicKey,
  };
}
