/** Which of a peer's URLs to use: the one that works, until it fails. Upstream: server/etcdserver/api/rafthttp/urlpick.go */
import type { ClientTls, HttpClient, Net } from "../../world/net.ts";

export class UrlPicker {
  readonly #net: Net;
  readonly #tls: ClientTls | undefined;
  readonly #connectTimeoutMs: number;
  #urls: readonly string[];
  #picked = 0;
  #clients = new Map<string, HttpClient>();

  constructor(net: Net, urls: readonly string[], tls: ClientTls | undefined, connectTimeoutMs: number) {
    this.#net = net;
    this.#urls = urls;
    this.#tls = tls;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  update(urls: readonly string[]): void {
    this.close();
    this.#urls = urls;
    this.#picked = 0;
  }

  pick(): { readonly url: string; readonly client: HttpClient } {
    const url = this.#urls[this.#picked]!;
    let client = this.#clients.get(url);
    if (client === undefined) {
      const base = url.replace(/\/$/, "");
      client = this.#net.httpClient({
        base,
        version: "1.1",
        connectTimeoutMs: this.#connectTimeoutMs,
        ...(this.#tls && { tls: this.#tls }),
      });
      this.#clients.set(url, client);
    }
    return { url, client };
  }

  unreachable(url: string): void {
    if (this.#urls[this.#picked] === url) this.#picked = (this.#picked + 1) % this.#urls.length;
  }

  close(): void {
    for (const client of this.#clients.values()) void client.close();
    this.#clients = new Map();
  }
}
