/**
 * Asks a webhook to authenticate a token, and caches the answer for a while.
 * Upstream: plugin/pkg/authenticator/token/webhook, pkg/authentication/token/cache.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../world/world.ts";
import type { ReviewClient } from "../review-client.ts";
import type { TokenAuthenticator, TokenResult } from "./authenticator.ts";

export interface TokenWebhookOptions {
  readonly client: ReviewClient;
  readonly version: "v1" | "v1beta1";
  /** Good and bad answers alike; 0 remembers nothing. */
  readonly cacheTtlMs: number;
  /** What a token is for where the webhook says nothing of audiences. */
  readonly audiences: readonly string[];
}

export function tokenWebhook(options: TokenWebhookOptions): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      const wanted = audiences.length > 0 ? audiences : options.audiences;
      const result = await options.client.review({
        kind: "TokenReview",
        apiVersion: `authentication.k8s.io/${options.version}`,
        metadata: {},
        spec: { token, ...(wanted.length > 0 && { audiences: wanted }) },
        status: { user: {} },
      });
      if ("error" in result) return { invalid: result.error };
      const status = (result.answer["status"] ?? {}) as any;
      const given: readonly string[] = status.audiences?.length > 0 ? status.audiences : options.audiences;
      const both = wanted.filter((audience) => given.includes(audience));
      if (wanted.length > 0 && both.length === 0) return "unknown";
      if (status.authenticated !== true) return status.error ? { invalid: String(status.error) } : "unknown";
      const { username = "", uid, groups, extra } = status.user ?? {};
      return {
        audiences: both,
        user: { name: username, groups: groups ?? [], ...(uid && { uid }), ...(extra && { extra }) },
      };
    },
  };
}

const REMEMBERED_MAX = 32_768;

/** Answers are kept by token and audiences, errors never; who asks while the answer is under way waits for the same one. */
export function cachedTokens(
  tokens: TokenAuthenticator,
  clock: Clock,
  { successMs, failureMs }: { readonly successMs: number; readonly failureMs: number },
): TokenAuthenticator {
  const known = new Map<string, { readonly result: TokenResult; readonly untilMs: number }>();
  const underWay = new Map<string, Promise<TokenResult>>();
  return {
    authenticateToken(token, audiences) {
      const key = createHash("sha256")
        .update(JSON.stringify([token, audiences]))
        .digest("base64");
      const before = known.get(key);
      if (before !== undefined && before.untilMs > clock.monotonic()) return before.result;
      const already = underWay.get(key);
      if (already !== undefined) return already;
      const asking = ask(key, token, audiences).finally(() => underWay.delete(key));
      underWay.set(key, asking);
      return asking;
    },
  };

  async function ask(key: string, token: string, audiences: readonly string[]): Promise<TokenResult> {
    const result = await tokens.authenticateToken(token, audiences);
    const ttlMs = result === "unknown" ? failureMs : "invalid" in result ? 0 : successMs;
    if (ttlMs > 0) {
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(key, { result, untilMs: clock.monotonic() + ttlMs });
    }
    return result;
  }
}
