/**
 * Authentication and authorization for the kubelet's port: client certificates, tokens and access reviews, the latter two decided by the API server.
 * Upstream: pkg/kubelet/server/auth.go
 */
import { X509Certificate } from "node:crypto";
import type { UserInfo } from "../../api/generated/authentication.v1.ts";
import type { Client } from "../../client/client.ts";
import { subjectAccessReviews, tokenReviews } from "../../client/resources.ts";
import type { HttpRequest } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";

const TOKEN_TTL_MS = 120_000;
const ALLOWED_TTL_MS = 300_000;
const DENIED_TTL_MS = 30_000;
const CACHE_MAX = 1000;

export type Decision =
  | { readonly kind: "allowed" }
  | { readonly kind: "unauthorized" }
  | { readonly kind: "forbidden"; readonly message: string };

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** The subresources of the node that a path stands for; the first that is allowed opens it. */
export function subresourcesOf(path: string): readonly string[] {
  const under = (prefix: string) => path === prefix || path.startsWith(`${prefix}/`);
  if (under("/pods") || under("/runningpods")) return ["pods", "proxy"];
  if (under("/healthz")) return ["healthz", "proxy"];
  if (under("/configz")) return ["configz", "proxy"];
  if (under("/flagz")) return ["configz"];
  if (under("/statusz")) return ["statusz"];
  if (under("/stats")) return ["stats"];
  if (under("/metrics")) return ["metrics"];
  if (under("/logs")) return ["log"];
  if (under("/checkpoint")) return ["checkpoint"];
  return ["proxy"];
}

interface Remembered<T> {
  readonly value: T;
  readonly untilMs: number;
}

export class DelegatedAuth {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #nodeName: string;
  readonly #users = new Map<string, Remembered<UserInfo | undefined>>();
  readonly #decisions = new Map<string, Remembered<boolean>>();

  constructor(client: Client, clock: Clock, nodeName: string) {
    this.#client = client;
    this.#clock = clock;
    this.#nodeName = nodeName;
  }

  async decide(request: HttpRequest): Promise<Decision> {
    const user = certificateUser(request) ?? (await this.#tokenUser(request));
    if (user === undefined) return { kind: "unauthorized" };
    const verb = VERBS[request.method] ?? "";
    const subresources = subresourcesOf(new URL(request.url, "http://node").pathname);
    for (const subresource of subresources)
      if (await this.#mayAccess(user, verb, subresource)) return { kind: "allowed" };
    return {
      kind: "forbidden",
      message: `Forbidden (user=${user.username ?? ""}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(" ")}])\n`,
    };
  }

  async #tokenUser(request: HttpRequest): Promise<UserInfo | undefined> {
    const header = request.headers["authorization"];
    const token = typeof header === "string" ? /^Bearer\s+(\S+)$/i.exec(header)?.[1] : undefined;
    if (token === undefined) return undefined;
    return this.#remember(this.#users, token, async () => {
      const review = await this.#client.create(tokenReviews, { spec: { token } });
      return { value: review.status?.authenticated === true ? review.status.user : undefined, ttlMs: TOKEN_TTL_MS };
    });
  }

  #mayAccess(user: UserInfo, verb: string, subresource: string): Promise<boolean> {
    const key = JSON.stringify([user.username, user.groups, verb, subresource]);
    return this.#remember(this.#decisions, key, async () => {
      const review = await this.#client.create(subjectAccessReviews, {
        spec: {
          user: user.username,
          groups: user.groups ?? [],
          ...(user.uid !== undefined && { uid: user.uid }),
          ...(user.extra && { extra: user.extra }),
          resourceAttributes: { verb, group: "", version: "v1", resource: "nodes", name: this.#nodeName, subresource },
        },
      });
      const allowed = review.status?.allowed === true;
      return { value: allowed, ttlMs: allowed ? ALLOWED_TTL_MS : DENIED_TTL_MS };
    });
  }

  async #remember<T>(
    cache: Map<string, Remembered<T>>,
    key: string,
    ask: () => Promise<{ readonly value: T; readonly ttlMs: number }>,
  ): Promise<T> {
    const known = cache.get(key);
    if (known !== undefined && known.untilMs > this.#clock.monotonic()) return known.value;
    const { value, ttlMs } = await ask();
    cache.delete(key);
    if (cache.size >= CACHE_MAX) cache.delete(cache.keys().next().value!);
    cache.set(key, { value, untilMs: this.#clock.monotonic() + ttlMs });
    return value;
  }
}

function certificateUser(request: HttpRequest): UserInfo | undefined {
  const { certificate } = request.peer;
  if (certificate === undefined || !certificate.authorized) return undefined;
  const lines = new X509Certificate(certificate.der).subject.split("\n");
  const all = (name: string) =>
    lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
  return { username: all("CN")[0] ?? "", groups: [...all("O"), "system:authenticated"] };
}
