/** The interface of tokens, which stand for a user whose password was verified. Upstream: server/auth/store.go (NewTokenProvider) */
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { jwtProvider } from "./jwt.ts";
import { SimpleTokens } from "./simple-tokens.ts";
import type { AuthInfo } from "./store.ts";

export interface TokenProvider {
  enable(): void;
  /** Every token is void. */
  disable(): void;
  invalidateUser(name: string): void;
  /** What a proposal carries, so that all members know the same token. */
  prefix(): string;
  /** `index` is that of the entry which says that the password was right. */
  assign(info: AuthInfo, prefix: string, index: number): string;
  /** Whose token it is; undefined for a token that is not valid. `revision` is the store's. */
  info(token: string, revision: number): AuthInfo | undefined;
  /** A member that has not applied the log up to here can't know the token yet. */
  knownFrom(token: string): number;
}

export interface TokenDeps extends Pick<World, "clock" | "random" | "fs"> {
  readonly log: Logger;
}

/** From `--auth-token`: `simple`, or `jwt` with options behind commas. */
export async function tokenProvider(spec: string, ttlSeconds: number, deps: TokenDeps): Promise<TokenProvider> {
  const [kind, ...pairs] = spec.split(",");
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const [name, value, ...more] = pair.split("=");
    if (value === undefined || more.length > 0 || options.has(name!)) {
      deps.log.error("invalid token option", undefined, { option: spec });
      throw new Error(INVALID);
    }
    options.set(name!, value);
  }
  switch (kind) {
    case "simple":
      deps.log.warn("simple token is not cryptographically signed");
      return new SimpleTokens(ttlSeconds, deps);
    case "jwt":
      return await jwtProvider(options, deps);
    case "":
      return NO_TOKENS;
    default:
      deps.log.warn("unknown token type", { type: kind! });
      throw new Error(INVALID);
  }
}

const INVALID = "auth: invalid auth options";

const NO_TOKENS: TokenProvider = {
  enable() {},
  disable() {},
  invalidateUser() {},
  prefix() {
    throw new RpcError("Unknown", INVALID);
  },
  assign() {
    throw new RpcError("Unknown", INVALID);
  },
  info: () => undefined,
  knownFrom: () => 0,
};
