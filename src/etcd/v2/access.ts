/** Identifies and authorizes v2 requests. Upstream: server/etcdserver/api/v2http/client_auth.go */
import { X509Certificate } from "node:crypto";
import type { Exchange } from "../../world/net.ts";
import { headerOf } from "./answer.ts";
import type { User, V2Auth } from "./auth.ts";

export class Access {
  readonly #auth: V2Auth;
  readonly #byCertificate: boolean;

  /** `byCertificate`: clients show certificates, whose common names are users. */
  constructor(auth: V2Auth, byCertificate: boolean) {
    this.#auth = auth;
    this.#byCertificate = byCertificate;
  }

  async isRoot(exchange: Exchange): Promise<boolean> {
    if (!this.#auth.enabled) return true;
    const named = headerOf(exchange, "authorization") !== "" || !this.#byCertificate;
    const user = named ? await this.#basic(exchange) : this.#certified(exchange);
    return user?.roles?.includes("root") === true;
  }

  /** Whoever only reads may. */
  async mayAdminister(exchange: Exchange): Promise<boolean> {
    return isRead(exchange) || (await this.isRoot(exchange));
  }

  async mayUseKey(exchange: Exchange, key: string, recursive: boolean): Promise<boolean> {
    if (!this.#auth.enabled) return true;
    const write = !isRead(exchange);
    let user: User | undefined;
    if (headerOf(exchange, "authorization") === "") {
      if (this.#byCertificate) user = this.#certified(exchange);
      if (user === undefined) return this.#auth.guestMayAccess(key, write);
    } else user = await this.#basic(exchange);
    return user !== undefined && this.#auth.mayAccess(user.roles, key, write, recursive);
  }

  async #basic(exchange: Exchange): Promise<User | undefined> {
    const encoded = /^basic (.*)$/i.exec(headerOf(exchange, "authorization"))?.[1];
    if (encoded === undefined) return undefined;
    const text = Buffer.from(encoded, "base64").toString();
    const colon = text.indexOf(":");
    return colon < 0 ? undefined : this.#auth.authenticate(text.slice(0, colon), text.slice(colon + 1));
  }

  #certified({ request }: Exchange): User | undefined {
    const { certificate } = request.peer;
    if (certificate?.authorized !== true) return undefined;
    const name = /^CN=(.*)$/m.exec(new X509Certificate(certificate.der).subject)?.[1];
    return name === undefined ? undefined : this.#auth.find(name);
  }
}

function isRead({ request }: Exchange): boolean {
  return request.method === "GET" || request.method === "HEAD";
}
