/**
 * Authenticates a request by trying each method in upstream's order. The failure of one method does not keep another from succeeding; but a request
 * with credentials that no method accepts is unauthenticated, not anonymous.
 * Upstream: pkg/kubeapiserver/authenticator/config.go.
 */
import { aggregate } from "../authz/authorizer.ts";
import type { ApiRequest } from "../request.ts";
import type { UserInfo } from "./user.ts";
import { ANONYMOUS } from "./user.ts";

/** What one way says: undefined where the request shows nothing that it knows. */
export type Finding = UserInfo | { readonly error: string } | undefined;
export type RequestAuthenticator = (request: ApiRequest) => Finding;

export interface Authenticator {
  authenticate(request: ApiRequest): Finding | Promise<Finding>;
}

/** Knows a user by a bearer token. `invalid`: it is one of ours and it is bad. */
export interface TokenAuthenticator {
  /** Audiences that the token must be for, one of them at least; none: this server's own. */
  authenticateToken(token: string, audiences: readonly string[]): Promise<TokenResult> | TokenResult;
}
export type TokenResult =
  | {
      readonly user: UserInfo;
      readonly audiences?: readonly string[];
      /** Shown to whoever used the token. */
      readonly warnings?: readonly string[];
      /** Noted where requests are audited. */
      readonly annotations?: Readonly<Record<string, string>>;
    }
  | "unknown"
  | { readonly invalid: string };

/** Who shows nothing is anonymous: never, always, or on these paths. */
export interface AnonymousPolicy {
  readonly enabled: boolean;
  readonly paths: readonly string[];
}

export interface AuthenticatorOptions {
  /** Ways that look at the request alone, in order: front proxy, certificates. */
  readonly requests: readonly RequestAuthenticator[];
  readonly tokens: TokenAuthenticator;
  readonly anonymous: () => AnonymousPolicy;
}

export function createAuthenticator({ requests, tokens, anonymous }: AuthenticatorOptions): Authenticator {
  return {
    authenticate(request) {
      const errors: string[] = [];
      for (const way of requests) {
        const finding = way(request);
        if (finding === undefined) continue;
        if ("name" in finding) return withAuthenticatedGroup(finding);
        errors.push(finding.error);
      }
      const token = bearerToken(request) ?? protocolToken(request);
      if (typeof token === "string") return byToken(request, token, errors);
      if (token !== undefined) errors.push(token.error);
      if (errors.length > 0) return { error: aggregate(errors) };
      const { enabled, paths } = anonymous();
      return enabled && (paths.length === 0 || paths.includes(request.path)) ? ANONYMOUS : undefined;
    },
  };

  async function byToken(request: ApiRequest, token: string, errors: readonly string[]): Promise<Finding> {
    const result = await tokens.authenticateToken(token, []);
    if (result === "unknown") return { error: aggregate([...errors, INVALID]) };
    if ("invalid" in result) return { error: aggregate([...errors, result.invalid]) };
    request.warnings.push(...(result.warnings ?? []));
    for (const [key, value] of Object.entries(result.annotations ?? {})) request.audit?.annotate(key, value);
    return withAuthenticatedGroup(result.user);
  }
}

/** What is said of a token that nobody knows. */
export const INVALID = "invalid bearer token";

export function withAuthenticatedGroup(user: UserInfo): UserInfo {
  const group = "system:authenticated";
  return user.groups.includes(group) || user.groups.includes("system:unauthenticated") || user.name === ANONYMOUS.name
    ? user
    : { ...user, groups: [...user.groups, group] };
}

function bearerToken(request: ApiRequest): string | undefined {
  const header = request.header("authorization")?.trim();
  if (header === undefined) return undefined;
  const [scheme = "", token = "", more] = header.split(" ");
  if (scheme.toLowerCase() !== "bearer") return undefined;
  if (token !== "") return token;
  if (more !== undefined)
    request.warnings.push(
      "the provided Authorization header contains extra space before the bearer token, and is ignored",
    );
  return undefined;
}

const SUBPROTOCOL = "base64url.bearer.authorization.k8s.io.";

/** Browsers can't set headers on a WebSocket, so the token travels as a subprotocol. */
function protocolToken(request: ApiRequest): string | { readonly error: string } | undefined {
  if (request.header("upgrade")?.toLowerCase() !== "websocket") return undefined;
  const offered = request
    .headers("sec-websocket-protocol")
    .flatMap((header) => header.split(","))
    .map((protocol) => protocol.trim());
  const [carrying, another] = offered.filter((protocol) => protocol.startsWith(SUBPROTOCOL));
  if (carrying === undefined) return undefined;
  if (another !== undefined) return { error: "multiple base64.bearer.authorization tokens specified" };
  const encoded = carrying.slice(SUBPROTOCOL.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) return { error: "invalid base64.bearer.authorization token encoding" };
  const token = Buffer.from(encoded, "base64url").toString();
  if (token === "") return undefined;
  return offered.length === 1 ? { error: "missing additional subprotocol" } : token;
}

/** Asks each until one knows the token. What all that failed say is said together. */
export function tokenUnion(all: () => readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      const errors: string[] = [];
      for (const one of all()) {
        const result = await one.authenticateToken(token, audiences);
        if (result === "unknown") continue;
        if (!("invalid" in result)) return result;
        errors.push(result.invalid);
      }
      return errors.length === 0 ? "unknown" : { invalid: aggregate(errors) };
    },
  };
}

/** Tokens that know nothing of audiences are for this server, and for nobody else. */
export function forAudiences(own: readonly string[], tokens: TokenAuthenticator): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      const both = audiences.length === 0 ? own : own.filter((audience) => audiences.includes(audience));
      if (both.length === 0) return "unknown";
      const result = await tokens.authenticateToken(token, audiences);
      return result === "unknown" || "invalid" in result ? result : { ...result, audiences: both };
    },
  };
}
