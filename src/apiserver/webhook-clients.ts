/**
 * Connections to webhooks, kept between calls: each review would else pay for a handshake that costs more than the rest of it.
 * Upstream: staging/src/k8s.io/apiserver/pkg/util/webhook/client.go, whose cache holds as many; client-go ends idle connections as late.
 */
import type { HttpClient, HttpClientOptions, Net } from "../world/net.ts";
import type { Clock } from "../world/world.ts";

const CLIENTS_MAX = 200;
const IDLE_MS = 90_000;

interface Kept {
  readonly client: HttpClient;
  users: number;
  /** When its last user left. */
  idleSince: number;
}

export class WebhookClients {
  readonly #net: Net;
  readonly #clock: Clock;
  /** The longest unused first. */
  readonly #kept = new Map<string, Kept>();
  #sweep: Disposable | undefined;
  #closed = false;

  constructor(net: Net, clock: Clock) {
    this.#net = net;
    this.#clock = clock;
  }

  /** Calls with a client of these very options; `identity` names what is shown besides. */
  async use<T>(options: HttpClientOptions, identity: string, work: (client: HttpClient) => Promise<T>): Promise<T> {
    const key = JSON.stringify([options.base, options.tls?.serverName, options.tls?.ca, identity]);
    const kept = this.#kept.get(key) ?? { client: this.#net.httpClient(options), users: 0, idleSince: 0 };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    kept.users++;
    this.#closeUnused(() => this.#kept.size > CLIENTS_MAX);
    try {
      return await work(kept.client);
    } finally {
      kept.users--;
      kept.idleSince = this.#clock.monotonic();
      if (this.#closed) void kept.client.close();
      else this.#sweep ??= this.#clock.after(IDLE_MS, () => this.#closeIdle());
    }
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const now = this.#clock.monotonic();
    this.#closeUnused(({ idleSince }) => now - idleSince >= IDLE_MS);
    if (this.#kept.size > 0) this.#sweep = this.#clock.after(IDLE_MS, () => this.#closeIdle());
  }

  #closeUnused(chosen: (kept: Kept) => boolean): void {
    for (const [key, kept] of this.#kept) {
      if (kept.users > 0 || !chosen(kept)) continue;
      this.#kept.delete(key);
      void kept.client.close();
    }
  }

  /** Calls under way end with their own clients. */
  close(): void {
    this.#closed = true;
    this.#sweep?.[Symbol.dispose]();
    this.#closeUnused(() => true);
  }
}
