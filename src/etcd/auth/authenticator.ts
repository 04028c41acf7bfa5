/**
 * Identifies the caller: by the token of the call, or by the name in the certificate of its connection.
 * Upstream: server/etcdserver/v3_server.go (AuthInfoFromCtx, doSerialize), server/auth/store.go
 */
import { createHash, X509Certificate } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Call } from "../../wire/rpc/service.ts";
import type { Peer } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { NOBODY, type AuthInfo, type AuthStore } from "./store.ts";

/** How long an entry is waited for that may say whose a token is: about as long as a request waits for its own. */
const CATCH_UP_MS = 7000;

/** What tells who makes a call. A call in this process may come without anything. */
export type Caller = Pick<Call, "metadata" | "signal" | "certificate"> | undefined;

export interface AuthenticatorDeps {
  readonly auth: AuthStore;
  readonly clock: World["clock"];
  /** Resolves when the log is applied here up to this index; undefined where it is. */
  readonly applied: (index: number) => Promise<void> | undefined;
  readonly clientCertAuth: boolean;
  readonly log: Logger;
}

export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  /** By connection. */
  readonly #commonNames = new WeakMap<NonNullable<Peer["certificate"]>, string>();

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
  }

  /** Undefined for a call that says nothing of its maker, and for every call while authentication is off. */
  async infoOf(caller: Caller): Promise<AuthInfo | undefined> {
    const { auth, clientCertAuth } = this.#deps;
    if (!auth.enabled || caller === undefined) return undefined;
    const token = caller.metadata["token"] ?? caller.metadata["authorization"];
    if (token !== undefined) return await this.#infoOfToken(token.replace(/^Bearer /, ""), caller.signal);
    if (!clientCertAuth || caller.certificate?.authorized !== true) return undefined;
    return { username: this.#commonName(caller.certificate), revision: auth.revision };
  }

  /** Who has to be someone. */
  async require(caller: Caller): Promise<void> {
    if (this.#deps.auth.enabled && (await this.infoOf(caller)) === undefined) throw etcdError("userEmpty");
  }

  async requireAdmin(caller: Caller): Promise<void> {
    const { auth } = this.#deps;
    if (auth.enabled) auth.checkAdmin((await this.infoOf(caller)) ?? NOBODY);
  }

  /** For what is answered without the log: `check` throws what the caller may not, and what changed meanwhile makes the answer void. */
  async read<T>(caller: Caller, check: (info: AuthInfo) => void, answer: () => T | Promise<T>): Promise<T> {
    const { auth } = this.#deps;
    const info = (await this.infoOf(caller)) ?? NOBODY;
    check(info);
    const given = await answer();
    auth.checkRevision(info);
    return given;
  }

  async #infoOfToken(token: string, signal: AbortSignal): Promise<AuthInfo> {
    const { auth, applied, clock, log } = this.#deps;
    const known = auth.tokens.info(token, auth.revision);
    if (known !== undefined) return known;
    // It may be one that another member gave just now.
    const behind = applied(auth.tokens.knownFrom(token));
    if (behind !== undefined) {
      using limit = deadline(clock, CATCH_UP_MS, signal);
      await Promise.race([behind, aborted(limit.signal)]);
      const caughtUp = auth.tokens.info(token, auth.revision);
      if (caughtUp !== undefined) return caughtUp;
    }
    log.warn("invalid auth token", {
      "token-fingerprint": createHash("sha256").update(token).digest("hex").slice(0, 12),
    });
    throw etcdError("invalidAuthToken");
  }

  #commonName(certificate: NonNullable<Peer["certificate"]>): string {
    let name = this.#commonNames.get(certificate);
    if (name === undefined) this.#commonNames.set(certificate, (name = commonNameOf(certificate.der)));
    return name;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The last one, where a subject has several. */
export function commonNameOf(der: Uint8Array): string {
  const { CN } = new X509Certificate(der).toLegacyObject().subject as { readonly CN?: string | readonly string[] };
  return (typeof CN === "string" ? CN : CN?.at(-1)) ?? "";
}
