/**
 * Who makes a call: by the token that comes with it, or by the name in the certificate of its connection.
 *
 * Upstream: server/etcdserver/v3_server.go (AuthInfoFromCtx, doSerialize), server/auth/store.go
 */
import { createHash, X509Certificate } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Call } from "../../wire/rpc/service.ts";
import type { Peer } from "../../world/net.ts";
import { sleep } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { NOBODY, type AuthInfo, type AuthStore } from "./store.ts";

/** How long a token of a later entry is waited for, as long as for a request; and how often it is looked for. */
const CATCH_UP_MS = 7000;
const LOOK_MS = 5;

/** What tells who makes a call. A call in this process may come without anything. */
export type Caller = Pick<Call, "metadata" | "signal" | "certificate"> | undefined;

export interface AuthenticatorDeps {
  readonly auth: AuthStore;
  readonly clock: World["clock"];
  /** Up to where the log is applied here. */
  readonly applied: () => number;
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
    const from = auth.tokens.knownFrom(token);
    const until = clock.monotonic() + CATCH_UP_MS;
    for (;;) {
      // Before the look: the entry that brings the token may be the next.
      const behind = applied() < from;
      const info = auth.tokens.info(token, auth.revision);
      if (info !== undefined) return info;
      if (!behind || signal.aborted || clock.monotonic() > until) break;
      await sleep(clock, LOOK_MS, signal).catch(() => {});
    }
    log.info("invalid auth token", {
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

/** The last one, where a subject has several. */
export function commonNameOf(der: Uint8Array): string {
  const { CN } = new X509Certificate(der).toLegacyObject().subject as { readonly CN?: string | readonly string[] };
  return (typeof CN === "string" ? CN : CN?.at(-1)) ?? "";
}
