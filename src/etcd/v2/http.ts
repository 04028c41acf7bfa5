/**
 * The v2 API on a client port: `/v2/keys`, `/v2/members`, `/v2/machines`, `/v2/stats`, `/v2/auth`.
 *
 * Requests are read, planned on the tree as it lies in the v3 store (`layout.ts`, `plan.ts`) and written through the log (`store.ts`).
 *
 * Upstream: server/etcdserver/api/v2http
 */
import type { Logger } from "../../observe/log.ts";
import { formatDuration } from "../../machinery/meta/time.ts";
import type { Exchange, Headers, HttpHandler } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import type { AppendCounts } from "../append-counts.ts";
import type { Member } from "../member.ts";
import { Access } from "./access.ts";
import { allowMethod, answerError, answerJson, answerText, mediaType, readBody } from "./answer.ts";
import { serveAuth } from "./auth-http.ts";
import { V2Auth } from "./auth.ts";
import { HttpError, V2Error } from "./errors.ts";
import { cleanPath, EscapeError, parseForm, unescape } from "./form.ts";
import { serveMembers, type ClusterService } from "./members-http.ts";
import { goJson, goTime, trimEvent, type Event } from "./node.ts";
import { bcryptPasswords } from "./passwords.ts";
import { KEYS_ROOT, parseKeyRequest, type KeyRequest, type Write } from "./request.ts";
import { V2Store, type Answer } from "./store.ts";

/** What may wait for a slow reader of a stream before it is cut off. */
const QUEUED_BYTES_MAX = 1024 * 1024;
const KEY_METHODS = ["HEAD", "GET", "PUT", "POST", "DELETE"] as const;

export type V2Deps = Pick<World, "clock" | "random"> & { readonly log: Logger };

export class V2Api implements Disposable {
  readonly store: V2Store;
  readonly #member: Member;
  readonly #cluster: ClusterService;
  readonly #auth: V2Auth;
  readonly #access: Access;
  readonly #deps: V2Deps;
  readonly #startedAt: number;
  #leaderSince: number;
  readonly #leaderChanges: Disposable;
  readonly #headers: Headers;

  constructor(member: Member, cluster: ClusterService, deps: V2Deps) {
    this.#member = member;
    this.#cluster = cluster;
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
    this.#leaderSince = this.#startedAt;
    this.#leaderChanges = member.leadership.onLeaderChange(() => (this.#leaderSince = deps.clock.now()));
    this.#headers = { "x-etcd-cluster-id": member.clusterId.toString(16) };
    this.store = new V2Store(member, deps);
    this.#auth = new V2Auth(this.store, bcryptPasswords(deps, member.auth.bcryptCost));
    this.#access = new Access(this.#auth, member.options.clientTls?.requireClientCert === true);
  }

  [Symbol.dispose](): void {
    this.#leaderChanges[Symbol.dispose]();
    this.store[Symbol.dispose]();
  }

  /** For requests below `/v2`. */
  readonly handle: HttpHandler = async (exchange) => {
    const [path, query] = splitUrl(exchange.request.url);
    if (path === undefined) return answerText(exchange, 400, "400 Bad Request");
    const clean = cleanPath(path) + (path.endsWith("/") && cleanPath(path) !== "/" ? "/" : "");
    if (clean !== path) return redirect(exchange, clean, query);
    try {
      await this.#route(exchange, path, query);
    } catch (error) {
      if (error instanceof V2Error || error instanceof HttpError) return answerError(exchange, this.#headers, error);
      this.#deps.log.error("a v2 request failed unexpectedly", error, { path });
      answerError(exchange, this.#headers, new HttpError(500, "Internal Server Error"));
    }
  };

  async #route(exchange: Exchange, path: string, query: string): Promise<void> {
    const below = (prefix: string) =>
      path === prefix || path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
    const key = below("/v2/keys");
    if (key !== undefined) return this.#keys(exchange, key, query);
    const memberPath = below("/v2/members");
    if (memberPath !== undefined) {
      const { members, leader, membership } = this.#member;
      const view = { members, leader, isRemoved: (id: bigint) => membership.isIdRemoved(id) };
      return serveMembers(exchange, memberPath, this.#cluster, view, this.#access, this.#headers);
    }
    const authPath = below("/v2/auth");
    if (authPath !== undefined && (await serveAuth(exchange, authPath, this.#auth, this.#access, this.#headers)))
      return;
    if (path === "/v2/machines") return this.#machines(exchange);
    const stats = /^\/v2\/stats\/(store|self|leader)$/.exec(path)?.[1];
    if (stats !== undefined) return this.#stats(exchange, stats);
    answerText(exchange, 404, "404 page not found");
  }

  async #keys(exchange: Exchange, key: string, query: string): Promise<void> {
    const method = exchange.request.method as KeyRequest["method"];
    if (!allowMethod(exchange, ...KEY_METHODS)) return;
    const isForm = method === "PUT" || method === "POST";
    const body = isForm && mediaType(exchange) === "application/x-www-form-urlencoded" ? await readBody(exchange) : "";
    const request = parseKeyRequest(method, key, parseForm(body, query), this.#deps.clock.now());
    if (!(await this.#access.mayUseKey(exchange, key, request.recursive)))
      throw new V2Error("unauthorized", "Insufficient credentials");
    if (method === "GET" && request.wait && !request.quorum) return this.#watch(exchange, request);
    const { path, recursive, quorum } = request;
    const answer =
      method === "GET" && quorum
        ? await this.store.quorumGet(path, recursive)
        : method === "GET" || method === "HEAD"
          ? this.store.get(path, recursive)
          : await this.store.write(request as Write);
    this.#answerKey(exchange, answer, request.noValueOnSuccess);
  }

  #answerKey(exchange: Exchange, { event, index }: Answer, withoutValue: boolean): void {
    const { action, prevNode } = event;
    const created = action === "create" || (action === "set" && prevNode === undefined);
    const isWrite = ["set", "compareAndSwap", "create", "update"].includes(action);
    const body = withoutValue && isWrite ? { action } : trimEvent(event, KEYS_ROOT);
    answerJson(exchange, created ? 201 : 200, this.#keyHeaders(index), body);
  }

  #keyHeaders(index: number): Headers {
    return {
      ...this.#headers,
      "x-etcd-index": String(index),
      "x-raft-index": String(this.#member.committedIndex),
      "x-raft-term": String(this.#member.term),
    };
  }

  #watch(exchange: Exchange, { path, recursive, stream, since }: KeyRequest): void {
    let begun: Event[] | undefined = [];
    let stop: () => void = () => {};
    let onEvent = (event: Event) => void begun?.push(event);
    let onLost = () => {};
    const watching = this.store.watch({
      path,
      recursive,
      stream,
      since,
      onEvent: (event) => onEvent(event),
      onLost: () => onLost(),
    });
    stop = watching.stop;
    const answer = exchange.stream(200, { "content-type": "application/json", ...this.#keyHeaders(watching.index) });
    const end = () => {
      stop();
      this.#member.closing.removeEventListener("abort", end);
      answer.end();
    };
    onLost = end;
    onEvent = (event) => {
      answer.write(`${goJson(trimEvent(event, KEYS_ROOT))}\n`);
      if (!stream || answer.queuedBytes > QUEUED_BYTES_MAX) end();
    };
    exchange.request.signal.addEventListener("abort", end, { once: true });
    this.#member.closing.addEventListener("abort", end, { once: true });
    for (const event of begun) onEvent(event);
    begun = undefined;
  }

  #machines(exchange: Exchange): void {
    if (!allowMethod(exchange, "GET", "HEAD")) return;
    const urls = this.#member.members.flatMap(({ clientURLs }) => clientURLs).sort();
    exchange.respond(200, { "content-type": "text/plain; charset=utf-8" }, urls.join(", "));
  }

  #stats(exchange: Exchange, kind: string): void {
    if (!allowMethod(exchange, "GET")) return;
    const { appendCounts, id, leader, options, leadership } = this.#member;
    const now = this.#deps.clock.now();
    const answers: Readonly<Record<string, () => object>> = {
      store: () => this.store.stats.tell(this.store.hub.watchers),
      leader: () => {
        if (!leadership.isLeader) throw new HttpError(403, "not current leader");
        return { leader: id.toString(16), followers: followersOf(appendCounts) };
      },
      self: () => ({
        name: options.name,
        id: id.toString(16),
        state: leader === 0n ? "StateCandidate" : leadership.isLeader ? "StateLeader" : "StateFollower",
        startTime: goTime(this.#startedAt),
        leaderInfo: {
          leader: leader === 0n ? "" : leader.toString(16),
          uptime: formatDuration((now - this.#leaderSince) * 1e6),
          startTime: goTime(this.#leaderSince),
        },
        recvAppendRequestCnt: appendCounts.received,
        sendAppendRequestCnt: appendCounts.sent,
      }),
    };
    exchange.respond(200, { "content-type": "application/json" }, goJson(answers[kind]!()));
  }
}

/** Upstream's latency is the time it takes to encode an append, which nobody measures here. */
function followersOf({ followers }: AppendCounts): object {
  const latency = { current: 0, average: 0, standardDeviation: 0, minimum: 0, maximum: 0 };
  const told = [...followers].map(([id, { fail, success }]) => [
    id.toString(16),
    { latency, counts: { fail, success } },
  ]);
  return Object.fromEntries(told);
}

/** The path without escapes, or undefined where they are malformed; and the query as it is. */
function splitUrl(url: string): readonly [path: string | undefined, query: string] {
  const mark = url.indexOf("?");
  const query = mark < 0 ? "" : url.slice(mark + 1);
  try {
    return [unescape(mark < 0 ? url : url.slice(0, mark), false), query];
  } catch (error) {
    if (error instanceof EscapeError) return [undefined, query];
    throw error;
  }
}

/** As Go's router answers paths that could be shorter. */
function redirect(exchange: Exchange, path: string, query: string): void {
  const location = encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23") + (query === "" ? "" : `?${query}`);
  const { method } = exchange.request;
  if (method !== "GET" && method !== "HEAD") return exchange.respond(301, { location });
  const shown = location.replaceAll("&", "&amp;").replaceAll('"', "&#34;").replaceAll("'", "&#39;");
  const body = `<a href="${shown}">Moved Permanently</a>.\n\n`;
  exchange.respond(301, { location, "content-type": "text/html; charset=utf-8" }, body);
}
