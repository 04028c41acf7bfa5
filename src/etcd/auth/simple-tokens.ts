/**
 * Random tokens that members keep in memory: a token identifies a user for as long as it is used. The log distributes tokens to all members, so that
 * a client may present one to any of them.
 * Upstream: server/auth/simple_token.go
 */
import type { World } from "../../world/world.ts";
import { assert } from "../../base/assert.ts";
import type { AuthInfo } from "./store.ts";
import type { TokenProvider } from "./tokens.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LENGTH = 16;
const DEFAULT_TTL_SECONDS = 300;

interface Token {
  readonly username: string;
  endsAtMs: number;
}

export class SimpleTokens implements TokenProvider {
  readonly #clock: World["clock"];
  readonly #random: World["random"];
  readonly #ttlMs: number;
  #enabled = false;
  /** The one used last is at the end. */
  readonly #tokens = new Map<string, Token>();

  constructor(ttlSeconds: number, { clock, random }: Pick<World, "clock" | "random">) {
    this.#clock = clock;
    this.#random = random;
    this.#ttlMs = (ttlSeconds > 0 ? ttlSeconds : DEFAULT_TTL_SECONDS) * 1000;
  }

  enable(): void {
    this.#enabled = true;
  }

  disable(): void {
    this.#enabled = false;
    this.#tokens.clear();
  }

  invalidateUser(name: string): void {
    for (const [token, { username }] of this.#tokens) if (username === name) this.#tokens.delete(token);
  }

  prefix(): string {
    let prefix = "";
    while (prefix.length < LENGTH)
      // The rest of a byte's range would make some letters likelier than others.
      for (const byte of this.#random.bytes(LENGTH))
        if (byte < 4 * LETTERS.length && prefix.length < LENGTH) prefix += LETTERS[byte % LETTERS.length];
    return prefix;
  }

  assign({ username }: AuthInfo, prefix: string, index: number): string {
    const token = `${prefix}.${index}`;
    if (!this.#enabled) return token;
    this.#expire();
    assert(!this.#tokens.has(token), "a token is given to a second user");
    this.#tokens.set(token, { username, endsAtMs: this.#clock.monotonic() + this.#ttlMs });
    return token;
  }

  info(token: string, revision: number): AuthInfo | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined) return undefined;
    const now = this.#clock.monotonic();
    this.#tokens.delete(token);
    if (known.endsAtMs < now) return undefined;
    known.endsAtMs = now + this.#ttlMs;
    this.#tokens.set(token, known);
    return { username: known.username, revision };
  }

  knownFrom(token: string): number {
    const index = Number(/^[^.]*\.(\d+)$/.exec(token)?.[1] ?? 0);
    return Number.isSafeInteger(index) ? index : 0;
  }

  #expire(): void {
    const now = this.#clock.monotonic();
    for (const [token, { endsAtMs }] of this.#tokens) {
      if (endsAtMs >= now) return;
      this.#tokens.delete(token);
    }
  }
}
