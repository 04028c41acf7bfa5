/** Service account tokens bound to a pod, asked for once and renewed in time. Upstream: pkg/kubelet/token/token_manager.go */
import type { TokenRequest } from "../../api/generated/authentication.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { serviceAccounts } from "../../client/resources.ts";

const MAX_AGE_MS = 24 * 3_600_000;
const JITTER_MS = 10_000;

interface Issued {
  readonly token: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly lifetimeMs: number;
}

export class TokenManager {
  readonly #client: Client;
  readonly #world: Pick<World, "clock" | "random">;
  readonly #log: Logger;
  readonly #tokens = new Map<string, Issued>();

  constructor(client: Client, world: Pick<World, "clock" | "random">, log: Logger) {
    this.#client = client;
    this.#world = world;
    this.#log = log;
  }

  async token(pod: Pod, audiences: readonly string[], expirationSeconds: number): Promise<string> {
    const { name, namespace = "", uid } = pod.metadata;
    const account = pod.spec.serviceAccountName ?? "default";
    const key = `${uid}/${account}/${audiences.join()}/${expirationSeconds}`;
    const known = this.#tokens.get(key);
    const now = this.#world.clock.now();
    if (known !== undefined && !needsRenewal(known, now, this.#world.random.next() * JITTER_MS)) return known.token;
    try {
      const answer = (await this.#client.createSubresource(serviceAccounts, { namespace, name: account }, "token", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: {},
        spec: { audiences, expirationSeconds, boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid } },
      })) as TokenRequest;
      const expiresMs = Date.parse(answer.status.expirationTimestamp ?? "");
      const issued = { token: answer.status.token, issuedMs: now, expiresMs, lifetimeMs: expirationSeconds * 1000 };
      this.#tokens.set(key, issued);
      return issued.token;
    } catch (error) {
      if (known === undefined || now > known.expiresMs) throw error;
      this.#log.error("Couldn't update token", error, { pod: name, namespace });
      return known.token;
    }
  }

  forget(uid: string): void {
    for (const key of this.#tokens.keys()) if (key.startsWith(`${uid}/`)) this.#tokens.delete(key);
  }
}

/** After 80 % of its life, or a day. */
export function needsRenewal(token: Omit<Issued, "token">, nowMs: number, jitterMs: number): boolean {
  return nowMs > token.issuedMs + MAX_AGE_MS - jitterMs || nowMs > token.expiresMs - token.lifetimeMs * 0.2 - jitterMs;
}
