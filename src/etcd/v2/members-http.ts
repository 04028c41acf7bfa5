/** `/v2/members`, on top of the v3 member service. Upstream: server/etcdserver/api/v2http/client.go (membersHandler) */
import type { Cluster, Member as MemberInfo } from "../../protocols/etcd/generated.ts";
import { isEtcdError } from "../../protocols/etcd/errors.ts";
import { RpcError, type Call, type Implementation } from "../../wire/rpc/service.ts";
import type { Exchange, Headers } from "../../world/net.ts";
import type { Access } from "./access.ts";
import { allowMethod, answerJson, answerText, headerOf, mediaType, readBody } from "./answer.ts";
import { noAuth } from "./auth-http.ts";
import { HttpError } from "./errors.ts";

export type ClusterService = Pick<Implementation<typeof Cluster>, "MemberAdd" | "MemberRemove" | "MemberUpdate">;

export interface MembersView {
  readonly members: readonly MemberInfo[];
  /** 0 while there is none. */
  readonly leader: bigint;
  isRemoved(id: bigint): boolean;
}

/** `path` is what follows `/v2/members`. */
export async function serveMembers(
  exchange: Exchange,
  path: string,
  cluster: ClusterService,
  { members, leader, isRemoved }: MembersView,
  access: Access,
  headers: Headers,
): Promise<void> {
  if (!allowMethod(exchange, "GET", "POST", "DELETE", "PUT")) return;
  if (!(await access.mayAdminister(exchange))) throw noAuth();
  const rest = path.replace(/^\//, "");
  const call: Call = { metadata: {}, signal: exchange.request.signal, peer: exchange.request.peer.address.host };
  switch (exchange.request.method) {
    case "GET":
      if (rest === "") return answerJson(exchange, 200, headers, { members: members.map(memberView) });
      if (rest === "leader") {
        const found = members.find(({ ID }) => ID === leader);
        if (found === undefined) throw new HttpError(503, "During election");
        return answerJson(exchange, 200, headers, memberView(found));
      }
      throw new HttpError(404, "Not found");

    case "POST": {
      const peerURLs = await readUrls(exchange);
      const { member } = await telling(() => cluster.MemberAdd({ peerURLs, isLearner: false }, call), "");
      return answerJson(exchange, 201, headers, memberView(member as MemberInfo));
    }

    case "DELETE": {
      const id = idOf(exchange, rest);
      if (id === undefined) return;
      if (isRemoved(id)) throw new HttpError(410, `Member permanently removed: ${id.toString(16)}`);
      await telling(() => cluster.MemberRemove({ ID: id }, call), id.toString(16));
      return exchange.respond(204, headers);
    }

    case "PUT": {
      const id = idOf(exchange, rest);
      if (id === undefined) return;
      const peerURLs = await readUrls(exchange);
      await telling(() => cluster.MemberUpdate({ ID: id, peerURLs }, call), id.toString(16));
      return exchange.respond(204, headers);
    }
  }
}

function memberView({ ID, name = "", peerURLs = [], clientURLs = [] }: Partial<MemberInfo>): object {
  return { id: ID!.toString(16), name, peerURLs, clientURLs };
}

function idOf(exchange: Exchange, text: string): bigint | undefined {
  if (text === "") {
    answerText(exchange, 405, "Method Not Allowed");
    return undefined;
  }
  if (!/^[0-9A-Fa-f]{1,16}$/.test(text)) throw new HttpError(404, `No such member: ${text}`);
  return BigInt(`0x${text}`);
}

/** What the v3 service refuses, in the words of this one. */
async function telling<T>(act: () => T | Promise<T>, id: string): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    if (isEtcdError(error, "memberNotFound")) throw new HttpError(404, `No such member: ${id}`, { cause: error });
    if (/Peer URLs already exists/.test(error.message))
      throw new HttpError(409, "membership: peerURL exists", { cause: error });
    if (/member ID already exist/.test(error.message))
      throw new HttpError(409, "membership: ID exists", { cause: error });
    throw new HttpError(500, "Internal Server Error", { cause: error });
  }
}

async function readUrls(exchange: Exchange): Promise<readonly string[]> {
  const type = mediaType(exchange);
  if (type !== "application/json") {
    const shown = headerOf(exchange, "content-type").includes(";") ? type : headerOf(exchange, "content-type");
    throw new HttpError(415, `Bad Content-Type ${shown}, accept application/json`);
  }
  let urls: unknown;
  const body = await readBody(exchange);
  try {
    urls = (JSON.parse(body) as { readonly peerURLs?: unknown } | null)?.peerURLs ?? [];
  } catch (error) {
    const words = body.trim() === "" ? "unexpected end of JSON input" : (error as Error).message;
    throw new HttpError(400, words, { cause: error });
  }
  if (!Array.isArray(urls) || urls.some((url) => typeof url !== "string"))
    throw new HttpError(400, "json: cannot unmarshal peerURLs of type []string");
  return checkUrls(urls as readonly string[]);
}

/** Upstream: client/pkg/types/urls.go */
function checkUrls(urls: readonly string[]): readonly string[] {
  if (urls.length === 0) throw new HttpError(400, "no valid URLs given");
  for (const text of urls.map((url) => url.trim())) {
    const parts = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)/.exec(text);
    const [, scheme = "", host = "", path = ""] = parts ?? [];
    if (!["http", "https", "unix", "unixs"].includes(scheme))
      throw new HttpError(400, `URL scheme must be http, https, unix, or unixs: ${text}`);
    if (!scheme.startsWith("unix")) {
      if (!/:[^:\]]*$/.test(host)) throw new HttpError(400, `URL address does not have the form "host:port": ${text}`);
      if (path !== "") throw new HttpError(400, `URL must not contain a path: ${text}`);
    }
  }
  return urls.map((url) => url.trim()).sort();
}
