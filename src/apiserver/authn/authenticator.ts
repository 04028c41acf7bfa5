/** Finds out who asks, trying each way in upstream's order. Upstream: pkg/kubeapiserver/authenticator/config.go. */
import type { ApiRequest } from "../request.ts";
import type { UserInfo } from "./user.ts";
import { ANONYMOUS } from "./user.ts";

export interface Authenticator {
  /** Undefined: a proof was shown and is not good, or none was and nobody may be anonymous. */
  authenticate(request: ApiRequest): Promise<UserInfo | undefined> | UserInfo | undefined;
}

/** Knows a user by a bearer token. `invalid`: it is one of ours and it is bad. */
export interface TokenAuthenticator {
  authenticateToken(token: string, audiences: readonly string[]): Promise<TokenResult> | TokenResult;
}
export type TokenResult =
  | { readonly user: UserInfo; readonly audiences?: readonly string[] }
  | "unknown"
  | { readonly invalid: string };

export interface AuthenticatorOptions {
  /** By the verified certificate of the peer. */
  readonly certificates: ((request: ApiRequest) => UserInfo | undefined) | undefined;
  readonly tokens: TokenAuthenticator;
  readonly anonymous: boolean;
}

export function createAuthenticator({ certificates, tokens, anonymous }: AuthenticatorOptions): Authenticator {
  return {
    async authenticate(request) {
      const byCertificate = certificates?.(request);
      if (byCertificate !== undefined) return authenticated(byCertificate);
      const token = bearerToken(request);
      if (token !== undefined) {
        const result = await tokens.authenticateToken(token, []);
        // A bad token is never taken for no token.
        return result === "unknown" || "invalid" in result ? undefined : authenticated(result.user);
      }
      // Nor is a certificate that nobody here signed taken for none.
      const shown = request.peer?.certificate;
      if (certificates !== undefined && shown !== undefined && !shown.authorized) return undefined;
      return anonymous ? ANONYMOUS : undefined;
    },
  };
}

function authenticated(user: UserInfo): UserInfo {
  const group = "system:authenticated";
  return user.groups.includes(group) || user.groups.includes("system:unauthenticated")
    ? user
    : { ...user, groups: [...user.groups, group] };
}

const SUBPROTOCOL = "base64url.bearer.authorization.k8s.io.";

function bearerToken(request: ApiRequest): string | undefined {
  const header = request.header("authorization");
  if (header !== undefined) {
    const [scheme, token] = header.trim().split(/\s+/) as [string, string | undefined];
    if (scheme.toLowerCase() === "bearer" && token !== undefined && token !== "") return token;
  }
  // Browsers can't set headers on a WebSocket, so the token travels as a subprotocol.
  const offered = (request.header("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
  const carrying = offered.find((protocol) => protocol.startsWith(SUBPROTOCOL));
  return carrying === undefined ? undefined : Buffer.from(carrying.slice(SUBPROTOCOL.length), "base64url").toString();
}

/** Asks each until one knows the token. */
export function tokenUnion(all: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      let last: TokenResult = "unknown";
      for (const one of all) {
        const result = await one.authenticateToken(token, audiences);
        if (result !== "unknown" && !("invalid" in result)) return result;
        if (result !== "unknown") last = result;
      }
      return last;
    },
  };
}
