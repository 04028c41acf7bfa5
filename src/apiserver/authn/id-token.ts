/** The claims that every ID token has, read as Go reads them into its struct. Upstream: github.com/coreos/go-oidc */
import { goQuote } from "../../base/go-quote.ts";

export interface IdToken {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Seconds; undefined where nothing is said: that is long ago. */
  readonly expiry: number | undefined;
  readonly notBefore: number | undefined;
}

type Payload = Readonly<Record<string, unknown>>;

/** Throws in Go's words where a claim is of the wrong type. */
export function readIdToken(payload: Payload): IdToken {
  const token = {
    issuer: stringOf(payload, "iss"),
    audiences: audiencesOf(payload["aud"]),
    expiry: timeOf(payload, "exp"),
    notBefore: payload["nbf"] === null ? undefined : timeOf(payload, "nbf"),
  };
  timeOf(payload, "iat");
  for (const name of ["sub", "nonce", "at_hash"]) stringOf(payload, name);
  checkSources(payload);
  return token;
}

const wrongClaims = (why: string): Error => new Error(`oidc: failed to unmarshal claims: ${why}`);

function mismatch(value: unknown, field: string, type: string): Error {
  return wrongClaims(`json: cannot unmarshal ${jsonKind(value)} into Go struct field idToken.${field} of type ${type}`);
}

export function jsonKind(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
}

function stringOf(payload: Payload, name: string): string {
  const value = payload[name] ?? "";
  if (typeof value !== "string") throw mismatch(value, name, "string");
  return value;
}

function audiencesOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (value === null || typeof value === "string") return [value ?? ""];
  if (!Array.isArray(value)) throw mismatch(value, "aud", "[]string");
  return value.map((one) => {
    if (one !== null && typeof one !== "string") throw mismatch(one, "aud", "string");
    return one ?? "";
  });
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** A number, or one in quotes. */
function timeOf(payload: Payload, name: string): number | undefined {
  const value = payload[name];
  if (value === undefined) return undefined;
  if (value === null) throw wrongClaims('strconv.ParseFloat: parsing "": invalid syntax');
  if (typeof value === "string" && !NUMBER.test(value))
    throw wrongClaims(
      `json: invalid number literal, trying to unmarshal ${goQuote(JSON.stringify(value))} into Number`,
    );
  if (typeof value !== "number" && typeof value !== "string") throw mismatch(value, name, "json.Number");
  return Math.trunc(Number(value));
}

/** What lies elsewhere has a place where it lies. */
function checkSources(payload: Payload): void {
  const names = payload["_claim_names"] ?? {};
  const sources = payload["_claim_sources"] ?? {};
  if (typeof names !== "object" || Array.isArray(names)) throw mismatch(names, "_claim_names", "map[string]string");
  if (typeof sources !== "object" || Array.isArray(sources))
    throw mismatch(sources, "_claim_sources", "map[string]oidc.claimSource");
  for (const source of Object.values(sources)) {
    if (source !== null && (typeof source !== "object" || Array.isArray(source)))
      throw mismatch(source, "_claim_sources", "oidc.claimSource");
    for (const field of ["endpoint", "access_token"]) {
      const value = (source as Payload | null)?.[field] ?? "";
      if (typeof value !== "string")
        throw wrongClaims(
          `json: cannot unmarshal ${jsonKind(value)} into Go struct field claimSource._claim_sources.${field} of type string`,
        );
    }
  }
  for (const source of Object.values(names)) {
    if (source !== null && typeof source !== "string") throw mismatch(source, "_claim_names", "string");
    if (!source) throw new Error("oidc: failed to obtain source from claim name");
    if (!Object.hasOwn(sources, source)) throw new Error("oidc: source does not exist");
  }
}

/** As Go prints a time of this second. */
export const goTime = (seconds: number): string =>
  `${new Date(seconds * 1000)
    .toISOString()
    .replace("T", " ")
    .replace(/\.?0*Z$/, "")} +0000 UTC`;
