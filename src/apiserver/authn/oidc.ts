/**
 * Tokens of external issuers: their keys are fetched from where they publish them, and their claims are mapped to a user as the configuration says.
 * Upstream: plugin/pkg/authenticator/token/oidc, github.com/coreos/go-oidc
 */
import type { Logger } from "../../observe/log.ts";
import { parseGoUrl } from "../../machinery/validation/go-url.ts";
import type { Net } from "../../world/net.ts";
import { deadline, pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import type { JwtAuthenticatorConfig } from "./configuration.ts";
import type { TokenAuthenticator, TokenResult } from "./authenticator.ts";
import type { ClaimRules } from "./claim-rules.ts";
import { goTime, type IdToken, jsonKind, readIdToken } from "./id-token.ts";
import type { Algorithm, Jwt, PublicJwk } from "./jwt.ts";
import { isAlgorithm, quoted, readJwks, readJwt, verifyJwt } from "./jwt.ts";
import type { UserInfo } from "./user.ts";

export interface OidcDeps {
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends what goes on in the background; the authenticator is of no use from then on. */
  readonly signal: AbortSignal;
}

export interface OidcOptions {
  readonly config: JwtAuthenticatorConfig;
  readonly rules: ClaimRules;
  readonly algorithms: readonly Algorithm[];
}

/** Those that issuers answer with. */
const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
const REQUEST_MS = 30_000;
const RETRY_MS = 10_000;
const ANSWER_MAX = 4 * 1024 * 1024;
const NOT_BEFORE_LEEWAY_SECONDS = 60;
const GOOGLE = "https://accounts.google.com";
/** Google's tokens say it without a scheme at times. */
const GOOGLE_BARE = "accounts.google.com";

export interface OidcAuthenticator extends TokenAuthenticator {
  /** Why it isn't ready; undefined once it is. */
  health(): string | undefined;
}

export function oidcAuthenticator({ config, rules, algorithms }: OidcOptions, deps: OidcDeps): OidcAuthenticator {
  const { issuer } = config;
  const fetching: Fetching = { deps, ca: issuer.certificateAuthority };
  const provider = new Provider(issuer.url, issuer.discoveryURL || discoveryOf(issuer.url), fetching);
  const others = new Map<string, Provider>();
  provider.start();

  /** The claims of a token that this provider signed for us; throws what is wrong with it. */
  async function claimsOf(from: Provider, token: string): Promise<Record<string, unknown>> {
    const jwt = readJwt(token);
    if (jwt === undefined) throw new Error("oidc: malformed jwt");
    const { alg, kid = "", crit, b64 } = jwt.header;
    if (typeof kid !== "string")
      throw new Error(
        `oidc: malformed jwt: failed to unmarshal key ID: json: cannot unmarshal ${jsonKind(kid)} into Go value of type string: ${JSON.stringify(JSON.stringify(kid))}`,
      );
    if (!isAlgorithm(alg) || !algorithms.includes(alg))
      throw new Error(
        `oidc: id token signed with unsupported algorithm, expected ${quoted(algorithms)} got ${JSON.stringify(alg ?? "")}`,
      );
    // What has to be understood, and isn't, is as good as no signature.
    if (crit !== undefined || b64 !== undefined)
      throw new Error("failed to verify signature: failed to verify id token signature");
    await from.verify(jwt, alg);
    const claims = readIdToken(jwt.payload);
    if (claims.issuer !== from.issuer && !(from.issuer === GOOGLE && claims.issuer === GOOGLE_BARE))
      throw new Error(
        `oidc: id token issued by a different provider, expected ${JSON.stringify(from.issuer)} got ${JSON.stringify(claims.issuer)}`,
      );
    const known = issuer.audiences.some((audience) => claims.audiences.includes(audience));
    if (!known && issuer.audiences.length === 1)
      throw new Error(`oidc: expected audience ${JSON.stringify(issuer.audiences[0])} got ${quoted(claims.audiences)}`);
    checkTimes(claims, deps.clock.now() / 1000);
    if (!known)
      throw new Error(
        `oidc: expected audience in ${quoted([...issuer.audiences].sort())} got ${quoted(claims.audiences)}`,
      );
    const { payload } = jwt;
    return { ...payload };
  }

  /** A claim that lies elsewhere: the token names an address where a token with it can be had. */
  async function fetchDistributed(claims: Record<string, unknown>): Promise<void> {
    const claim = config.claimMappings.groups?.claim ?? "";
    if (claim === "" || Object.hasOwn(claims, claim) || claims["_claim_names"] === undefined) return;
    const source = (claims["_claim_names"] as Record<string, string>)[claim];
    if (claims["_claim_sources"] === undefined) throw new Error("oidc: no claim sources");
    if (source === undefined) return;
    const place = (claims["_claim_sources"] as any)[source];
    if (place === undefined)
      throw new Error(`id token _claim_names contained a source ${source} missing in _claims_sources`);
    if (!place.endpoint) return;
    const url = parseGoUrl(place.endpoint);
    if (typeof url === "string")
      throw new Error(
        `while getting distributed claim ${JSON.stringify(claim)}: while calling ${place.endpoint}: ${url}`,
      );
    const told = (status: string) => `error while getting distributed claim JWT: ${status}`;
    const token = await fetchText(fetching, place.endpoint, told, place.access_token).catch((error: Error) => {
      throw new Error(`while getting distributed claim ${JSON.stringify(claim)}: ${error.message}`);
    });
    const iss = String(readJwt(token.trim())?.payload["iss"] ?? "");
    if (iss === "")
      throw new Error(
        `getting untrusted issuer from endpoint ${place.endpoint} failed for claim ${JSON.stringify(claim)}: malformed token`,
      );
    // Upstream knows the issuers of distributed claims apart, this one's own among them.
    let from = others.get(iss);
    if (from === undefined) {
      from = new Provider(iss, discoveryOf(iss), fetching);
      others.set(iss, from);
      from.start();
    }
    if (!from.isReady)
      throw new Error(
        `verifying untrusted issuer ${iss} failed: verifier not initialized for issuer: ${JSON.stringify(iss)}`,
      );
    const distributed = await claimsOf(from, token.trim()).catch((error: Error) => {
      throw new Error(`verify distributed claim token: ${error.message}`);
    });
    if (!Object.hasOwn(distributed, claim))
      throw new Error(
        `jwt returned by distributed claim endpoint ${JSON.stringify(place.endpoint)} did not contain claim: ${claim}`,
      );
    claims[claim] = distributed[claim];
  }

  return {
    health: () => {
      const error = provider.error;
      return error === undefined
        ? undefined
        : `oidc: authenticator for issuer ${JSON.stringify(issuer.url)} is not healthy: ${error}`;
    },
    async authenticateToken(token): Promise<TokenResult> {
      const iss = readJwt(token)?.payload["iss"];
      if ((iss === GOOGLE_BARE ? GOOGLE : iss) !== issuer.url) return "unknown";
      if (!provider.isReady) return { invalid: "oidc: authenticator not initialized" };
      let claims: Record<string, unknown>;
      try {
        claims = await claimsOf(provider, token);
      } catch (error) {
        return { invalid: `oidc: verify token: ${wordsOf(error)}` };
      }
      try {
        await fetchDistributed(claims);
      } catch (error) {
        return { invalid: `oidc: could not expand distributed claims: ${wordsOf(error)}` };
      }
      try {
        return { user: userOf(config, rules, claims) };
      } catch (error) {
        return { invalid: wordsOf(error) };
      }
    },
  };
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function checkTimes({ expiry, notBefore }: IdToken, nowSeconds: number): void {
  if (expiry === undefined || expiry < nowSeconds)
    throw new Error(
      `oidc: token is expired (Token Expiry: ${expiry === undefined ? "0001-01-01 00:00:00 +0000 UTC" : goTime(expiry)})`,
    );
  if (notBefore !== undefined && nowSeconds + NOT_BEFORE_LEEWAY_SECONDS < notBefore)
    throw new Error(`oidc: current time ${goTime(nowSeconds)} before the nbf (not before) time: ${goTime(notBefore)}`);
}

/** Throws in upstream's words where the claims make no user, or one that a rule turns away. */
export function userOf(
  { claimMappings, claimValidationRules = [] }: JwtAuthenticatorConfig,
  rules: ClaimRules,
  claims: Readonly<Record<string, unknown>>,
): UserInfo {
  const name = nameOf(claimMappings.username, rules, claims);
  const groups = groupsOf(claimMappings.groups, rules, claims);
  const uid = uidOf(claimMappings.uid, rules, claims);
  const extra: Record<string, readonly string[]> = {};
  if (typeof claims["jti"] === "string" && claims["jti"] !== "")
    extra["authentication.kubernetes.io/credential-id"] = [`JTI=${claims["jti"]}`];
  for (const { key, expression, evaluate } of rules.extra) {
    const values = stringsOf(evaluate(claims), `oidc: error evaluating extra claim expression: ${expression}`);
    if (values.length > 0) extra[key] = values;
  }
  for (const { claim, requiredValue = "" } of claimValidationRules) {
    if (claim === undefined || claim === "") continue;
    if (!Object.hasOwn(claims, claim)) throw new Error(`oidc: required claim ${claim} not present in ID token`);
    const value = claims[claim] ?? "";
    if (typeof value !== "string")
      throw new Error(
        `oidc: parse claim ${claim}: json: cannot unmarshal ${jsonKind(value)} into Go value of type string`,
      );
    if (value !== requiredValue)
      throw new Error(`oidc: required claim ${claim} value does not match. Got = ${value}, want = ${requiredValue}`);
  }
  validate(rules.claimValidation, claims, "oidc: error evaluating claim validation expression");
  const user = {
    name,
    groups,
    ...(uid !== "" && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
  validate(
    rules.userValidation,
    { username: name, uid, groups, extra },
    "oidc: error evaluating user info validation rule",
  );
  return user;
}

function validate(rules: ClaimRules["claimValidation"], input: unknown, words: string): void {
  for (const { expression, message, evaluate } of rules) {
    const result = wrapped(words, () => evaluate(input));
    if (typeof result !== "boolean") throw new Error(`${words}: validation expression must return a boolean`);
    if (!result) throw new Error(`${words}: validation expression '${expression}' failed: ${message}`);
  }
}

function wrapped<T>(words: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new Error(`${words}: ${wordsOf(error)}`, { cause: error });
  }
}

type Mapping = JwtAuthenticatorConfig["claimMappings"]["username"];

function nameOf({ claim = "", prefix }: Mapping, rules: ClaimRules, claims: Readonly<Record<string, unknown>>): string {
  if (rules.username !== undefined) {
    const { username } = rules;
    const name = wrapped("oidc: error evaluating username claim expression", () => username(claims));
    if (typeof name !== "string")
      throw new Error(
        "oidc: error evaluating username claim expression: username claim expression must return a string",
      );
    if (name === "") throw new Error("oidc: empty username via CEL expression is not allowed");
    return name;
  }
  const name = claimText(claims, claim, `oidc: parse username claims ${JSON.stringify(claim)}`);
  if (claim === "email" && Object.hasOwn(claims, "email_verified")) {
    const verified = claims["email_verified"] ?? false;
    if (typeof verified !== "boolean")
      throw new Error(
        `oidc: parse 'email_verified' claim: json: cannot unmarshal ${jsonKind(verified)} into Go value of type bool`,
      );
    if (!verified) throw new Error("oidc: email not verified");
  }
  return `${prefix ?? ""}${name}`;
}

function claimText(claims: Readonly<Record<string, unknown>>, claim: string, words: string): string {
  if (!Object.hasOwn(claims, claim)) throw new Error(`${words}: claim not present`);
  const value = claims[claim] ?? "";
  if (typeof value !== "string")
    throw new Error(`${words}: json: cannot unmarshal ${jsonKind(value)} into Go value of type string`);
  return value;
}

function groupsOf(
  mapping: Partial<Mapping> | undefined,
  rules: ClaimRules,
  claims: Readonly<Record<string, unknown>>,
): readonly string[] {
  const { claim = "", prefix = "" } = mapping ?? {};
  if (claim !== "" && Object.hasOwn(claims, claim)) {
    const value = claims[claim] ?? [];
    const groups = typeof value === "string" ? [value] : value;
    if (!Array.isArray(groups) || !groups.every((group) => typeof group === "string"))
      throw new Error(
        `oidc: parse groups claim ${JSON.stringify(claim)}: json: cannot unmarshal ${jsonKind(value)} into Go value of type string`,
      );
    return groups.map((group: string) => `${prefix}${group}`);
  }
  if (rules.groups === undefined) return [];
  const { groups } = rules;
  const words = "oidc: error evaluating group claim expression";
  return stringsOf(
    wrapped(words, () => groups(claims)),
    words,
  );
}

function uidOf(
  mapping: Partial<Mapping> | undefined,
  rules: ClaimRules,
  claims: Readonly<Record<string, unknown>>,
): string {
  const claim = mapping?.claim ?? "";
  if (claim !== "") return claimText(claims, claim, `oidc: parse uid claim ${JSON.stringify(claim)}`);
  if (rules.uid === undefined) return "";
  const { uid } = rules;
  const words = "oidc: error evaluating uid claim expression";
  const value = wrapped(words, () => uid(claims));
  if (typeof value !== "string") throw new Error(`${words}: uid claim expression must return a string`);
  return value;
}

/** A string, a list of strings, or nothing; empty ones are left out. */
function stringsOf(value: unknown, words: string): readonly string[] {
  if (value === null) return [];
  const list = typeof value === "string" ? [value] : value;
  if (!Array.isArray(list) || !list.every((one) => typeof one === "string"))
    throw new Error(`${words}: expression must return a string or a list of strings`);
  return list.filter((one) => one !== "");
}

const discoveryOf = (issuer: string): string => `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;

interface Fetching {
  readonly deps: OidcDeps;
  readonly ca: string | undefined;
}

/** An issuer: where its keys are, asked until it says; the keys, fetched again when a token shows another one. */
class Provider {
  readonly issuer: string;
  readonly #discovery: string;
  readonly #fetching: Fetching;
  #keysUrl: string | undefined;
  #keys: readonly PublicJwk[] = [];
  #underWay: Promise<readonly PublicJwk[]> | undefined;
  error: string | undefined;

  constructor(issuer: string, discovery: string, fetching: Fetching) {
    this.issuer = issuer;
    this.#discovery = discovery;
    this.#fetching = fetching;
    this.error = `oidc: authenticator for issuer ${JSON.stringify(issuer)} is not initialized`;
  }

  get isReady(): boolean {
    return this.#keysUrl !== undefined;
  }

  start(): void {
    void this.#initialize();
  }

  async #initialize(): Promise<void> {
    const { clock, log, signal } = this.#fetching.deps;
    while (!signal.aborted) {
      try {
        const { issuer, jwks_uri: keysUrl } = JSON.parse(
          await fetchText(this.#fetching, this.#discovery, (status, text) => `${status}: ${text}`),
        ) as any;
        if (issuer !== this.issuer)
          throw new Error(
            `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(this.issuer)} got ${JSON.stringify(issuer)}`,
          );
        if (typeof keysUrl !== "string" || keysUrl === "") throw new Error("provider did not return JWKS URL");
        this.#keysUrl = keysUrl;
        this.error = undefined;
        return;
      } catch (error) {
        this.error = wordsOf(error);
        if (signal.aborted) return;
        log.info("oidc authenticator: initializing plugin", { issuer: this.issuer, error: this.error });
      }
      if (!(await pause(clock, RETRY_MS, signal))) return;
    }
  }

  async verify(jwt: Jwt, algorithm: Algorithm): Promise<void> {
    if (!this.isReady) throw new Error(`verifier not initialized for issuer: ${JSON.stringify(this.issuer)}`);
    const kid = typeof jwt.header["kid"] === "string" ? jwt.header["kid"] : "";
    const isSigned = (keys: readonly PublicJwk[]) =>
      keys.some(({ id, key }) => (kid === "" || id === kid) && verifyJwt(jwt, algorithm, key));
    if (isSigned(this.#keys)) return;
    let fresh: readonly PublicJwk[];
    try {
      fresh = await (this.#underWay ??= this.#fetchKeys().finally(() => (this.#underWay = undefined)));
    } catch (error) {
      throw new Error(`failed to verify signature: fetching keys ${wordsOf(error)}`, { cause: error });
    }
    if (!isSigned(fresh)) throw new Error("failed to verify signature: failed to verify id token signature");
  }

  async #fetchKeys(): Promise<readonly PublicJwk[]> {
    this.#keys = readJwks(
      JSON.parse(
        await fetchText(this.#fetching, this.#keysUrl!, (status, text) => `oidc: get keys failed: ${status} ${text}`),
      ),
    );
    return this.#keys;
  }
}

/** `refused` says what is told of an answer that isn't a good one. */
async function fetchText(
  { deps, ca }: Fetching,
  url: string,
  refused: (status: string, text: string) => string,
  token?: string,
): Promise<string> {
  const { origin, pathname, search } = new URL(url);
  const client = deps.net.httpClient({ base: origin, tls: ca === undefined || ca === "" ? {} : { ca } });
  using limit = deadline(deps.clock, REQUEST_MS, deps.signal);
  try {
    const { status, body } = await client.request({
      method: "GET",
      path: `${pathname}${search}`,
      headers: { accept: "*/*", ...(token && { authorization: `Bearer ${token}` }) },
      signal: limit.signal,
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > ANSWER_MAX) throw new Error("the answer is too large");
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    if (status < 200 || status > 299)
      throw new Error(refused(`${status} ${STATUS_WORDS[status] ?? ""}`.trim(), text.slice(0, 200)));
    return text;
  } finally {
    await client.close();
  }
}
