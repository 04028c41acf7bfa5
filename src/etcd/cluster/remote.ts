/**
 * What members ask each other besides raft messages, at their peer ports: membership, version, and the state of a downgrade.
 * Upstream: server/etcdserver/cluster_util.go
 */
import type { Logger } from "../../observe/log.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Member } from "../../protocols/etcd/generated.ts";
import type { ClientTls, Headers } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { ETCD_VERSION } from "../version.ts";
import { hexId, parseHexId, parseMemberContext } from "./identity.ts";

export interface Remote {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

export interface Versions {
  readonly server: string;
  /** `not_decided` before the first leader has set it. */
  readonly cluster: string;
}

export interface Remotes {
  /** From the first of these URLs that answers. */
  cluster(urls: readonly string[], timeoutMs: number, quietly?: boolean): Promise<Remote>;
  /** Undefined where the member can't be asked. */
  versions(member: Member): Promise<Versions | undefined>;
  downgradeEnabled(member: Member): Promise<boolean | undefined>;
  /** Asks the leader to promote; `authorization` is the client's token. */
  promote(leader: Member, id: bigint, authorization?: string): Promise<readonly Member[]>;
  /** A member's answer to a JSON or protobuf request under its peer URLs; undefined where it can't be asked. */
  ask(member: Member, request: RemoteRequest): Promise<RemoteAnswer | undefined>;
}

export interface RemoteRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Headers;
  readonly body?: Uint8Array | string;
  readonly timeoutMs?: number;
}

export interface RemoteAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface RemotesOptions {
  readonly tls?: ClientTls;
  readonly requestTimeoutMs: number;
}

export function remotes(
  { requestTimeoutMs, tls }: RemotesOptions,
  { net, clock, log }: Pick<World, "net" | "clock"> & { readonly log: Logger },
): Remotes {
  const request = async (
    url: string,
    { timeoutMs = requestTimeoutMs, ...what }: RemoteRequest,
  ): Promise<RemoteAnswer> => {
    using patience = deadline(clock, timeoutMs);
    await using client = net.httpClient({
      base: url.replace(/\/$/, ""),
      version: "1.1",
      connectTimeoutMs: timeoutMs,
      ...(tls && { tls }),
    });
    const { status, headers, body } = await client.request({ ...what, signal: patience.signal });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return { status, headers, body: Buffer.concat(chunks) };
  };
  const ask = async (member: Member, what: RemoteRequest): Promise<RemoteAnswer | undefined> => {
    for (const url of member.peerURLs) {
      try {
        return await request(url, what);
      } catch (error) {
        log.warn("failed to reach the peer URL", {
          address: url + what.path,
          "remote-member-id": hexId(member.ID),
          error: String(error),
        });
      }
    }
    return undefined;
  };
  return {
    ask,
    async cluster(urls, timeoutMs, quietly = false) {
      for (const url of urls) {
        const address = `${url}/members`;
        try {
          const { headers, body } = await request(url, { method: "GET", path: "/members", timeoutMs });
          const members = parseMembers(body.toString());
          const clusterId = parseHexId(String(headers["x-etcd-cluster-id"] ?? ""));
          if (clusterId === undefined) throw new Error("the answer has no cluster ID");
          if (members.length === 0) throw new NoMembers();
          return { clusterId, members };
        } catch (error) {
          if (error instanceof NoMembers) throw error;
          if (!quietly) log.warn("failed to get cluster response", { address, error: String(error) });
        }
      }
      throw new Error("could not retrieve cluster information from the given URLs");
    },
    async versions(member) {
      const answer = await ask(member, { method: "GET", path: "/version" });
      if (answer?.status !== 200) return undefined;
      try {
        const { etcdserver = "", etcdcluster = "" } = JSON.parse(answer.body.toString()) as Record<string, string>;
        return etcdserver === "" ? undefined : { server: etcdserver, cluster: etcdcluster };
      } catch {
        return undefined; // Not an etcd.
      }
    },
    async downgradeEnabled(member) {
      const answer = await ask(member, { method: "GET", path: "/downgrade/enabled" });
      const text = answer?.status === 200 ? answer.body.toString().trim() : undefined;
      return text === "true" ? true : text === "false" ? false : undefined;
    },
    async promote(leader, id, authorization) {
      const answer = await ask(leader, {
        method: "POST",
        path: `/members/promote/${id}`,
        headers: { ...(authorization !== undefined && { authorization }) },
      });
      if (answer === undefined) throw etcdError("timeout");
      const text = answer.body.toString();
      if (answer.status === 200) return parseMembers(text);
      if (answer.status === 404) throw etcdError("memberNotFound");
      if (answer.status === 412)
        throw etcdError(text.includes("in sync with leader") ? "learnerNotReady" : "memberNotLearner");
      if (answer.status === 408) throw etcdError("timeout");
      throw new Error(`member promote: unknown error(${text})`);
    },
  };
}

class NoMembers extends Error {
  constructor() {
    super("failed to get raft cluster member(s) from the given URLs");
  }
}

/** A list in upstream's JSON. Ids are numbers of 64 bits, which JSON.parse would round. */
export function parseMembers(json: string): readonly Member[] {
  const ids = [...json.matchAll(/"id":\s*(\d+)/g)].map(([, id]) => BigInt(id!));
  const list = JSON.parse(json) as readonly unknown[];
  if (!Array.isArray(list) || ids.length !== list.length) throw new Error("not a list of members");
  return list.map((one, i) => {
    const { isPromote: _, ...member } = parseMemberContext(Buffer.from(JSON.stringify(one)));
    return { ...member, ID: ids[i]! };
  });
}

/** For members that can't be asked, of whom it is known that they are like this one: in one process, or none at all. */
export const LIKE_US: Remotes = {
  ask: async () => undefined,
  cluster: () => Promise.reject(new Error("could not retrieve cluster information from the given URLs")),
  versions: async () => ({ server: ETCD_VERSION, cluster: "not_decided" }),
  downgradeEnabled: async () => undefined,
  promote: () => Promise.reject(etcdError("timeout")),
};
