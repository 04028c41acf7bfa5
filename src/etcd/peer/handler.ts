/**
 * What a member's peer port serves: raft messages, and what members ask each other besides.
 * Upstream: server/etcdserver/api/etcdhttp/peer.go, server/lease/leasehttp, server/etcdserver/corrupt.go (HashKVHandler)
 */
import { ETCD_ERRORS } from "../../protocols/etcd/errors.ts";
import {
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeasepbLeaseInternalRequest,
  LeasepbLeaseInternalResponse,
  type Member as MemberInfo,
} from "../../protocols/etcd/generated.ts";
import { DecodeError } from "../../wire/rpc/reader.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { Exchange, HttpHandler } from "../../world/net.ts";
import { hexId, memberJson } from "../cluster/identity.ts";
import type { Member } from "../member.ts";
import { hashRevDuration } from "../metrics.ts";
import type { KeysHash } from "../mvcc/hash.ts";
import { ETCD_VERSION } from "../version.ts";
import { CLUSTER_MISMATCH, header, refuse, refuseMethod } from "./protocol.ts";

const BODY_BYTES_MAX = 64 * 1024;
const PROMOTE = "/members/promote/";
const JSON_HEADERS = { "content-type": "application/json" } as const;

export function peerHandler(member: Member): HttpHandler {
  const cluster = { "x-etcd-cluster-id": hexId(member.clusterId) };
  return (exchange) => {
    const { method } = exchange.request;
    const path = exchange.request.url.split("?", 1)[0]!;
    if (path === "/raft" || path.startsWith("/raft/")) {
      if (member.transport === undefined) return refuse(exchange, 404, "404 page not found");
      return member.transport.handler(exchange);
    }
    switch (path) {
      case "/members":
        if (method !== "GET") return refuseMethod(exchange, "GET");
        return exchange.respond(200, { ...cluster, ...JSON_HEADERS }, `${membersJson(member.members)}\n`);
      case "/version":
        if (method !== "GET") return refuseMethod(exchange, "GET");
        return exchange.respond(200, JSON_HEADERS, versionJson(member));
      case "/downgrade/enabled":
        if (method !== "GET") return refuseMethod(exchange, "GET");
        return answered(exchange, () => downgradeEnabled(exchange, member));
      case "/members/hashkv":
        if (method !== "GET") return refuseMethod(exchange, "GET");
        return answered(exchange, () => answerHash(exchange, member));
      case "/leases":
      case "/leases/internal":
        if (method !== "POST") return refuseMethod(exchange, "POST");
        return answered(exchange, () => answerLease(exchange, member, path));
    }
    if (path.startsWith(PROMOTE)) {
      if (method !== "POST") return refuseMethod(exchange, "POST");
      return answered(exchange, () => promote(exchange, member, path.slice(PROMOTE.length)));
    }
    return refuse(exchange, 404, "404 page not found");
  };
}

function membersJson(members: readonly MemberInfo[]): string {
  return `[${members.map((one) => memberJson(one)).join(",")}]`;
}

function versionJson(member: Member): string {
  const cluster = member.clusterVersion || "not_decided";
  return JSON.stringify({ etcdserver: ETCD_VERSION, etcdcluster: cluster, storage: cluster });
}

/** An error that a handler throws is its answer, as plain text. */
async function answered(exchange: Exchange, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    if (error instanceof DecodeError) return refuse(exchange, 400, "error unmarshalling request");
    if (!(error instanceof RpcError)) throw error;
    const timedOut = error.message.startsWith(ETCD_ERRORS.timeout[1]);
    refuse(exchange, timedOut ? 408 : 500, plainWords(error));
  }
}

async function body(exchange: Exchange): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of exchange.request.body) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) {
      refuse(exchange, 413, "request body too large");
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function downgradeEnabled(exchange: Exchange, member: Member): Promise<void> {
  await member.linearizable();
  exchange.respond(200, { "content-type": "text/plain" }, String(member.membership.downgrade.enabled));
}

async function answerHash(exchange: Exchange, member: Member): Promise<void> {
  const asked = header(exchange.request.headers, "x-etcd-cluster-id");
  if (asked !== "" && asked !== hexId(member.clusterId)) return refuse(exchange, 412, CLUSTER_MISMATCH);
  const bytes = await body(exchange);
  if (bytes === undefined) return;
  let revision: number;
  try {
    revision = Number((JSON.parse(bytes.toString()) as { readonly revision?: number }).revision ?? 0);
  } catch {
    return refuse(exchange, 400, "error unmarshalling request");
  }
  let hashed: KeysHash;
  try {
    hashed = await member.maintenance.hash(hashRevDuration, revision);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return refuse(exchange, 400, plainWords(error));
  }
  const { hash, hashRevision, compactRevision } = hashed;
  exchange.respond(
    200,
    { ...JSON_HEADERS, "x-etcd-cluster-id": hexId(member.clusterId) },
    JSON.stringify({
      header: { revision: member.store.revision },
      hash,
      compact_revision: compactRevision,
      hash_revision: hashRevision,
    }),
  );
}

async function answerLease(exchange: Exchange, member: Member, path: string): Promise<void> {
  const { codec, leases } = member;
  const bytes = await body(exchange);
  if (bytes === undefined) return;
  const found = (answer: Uint8Array) => exchange.respond(200, { "content-type": "application/protobuf" }, answer);
  if (path === "/leases") {
    const { ID } = codec.decode(LeaseKeepAliveRequest, bytes);
    member.failpoints.beforeServeHTTPLeaseRenew?.strike();
    const TTL = await leases.renewHere(ID);
    if (TTL === undefined) return refuse(exchange, 404, "lease not found");
    if (TTL === "not primary") return refuse(exchange, 400, "not a primary lessor");
    return found(codec.encode(LeaseKeepAliveResponse, { ID, TTL }));
  }
  const { LeaseTimeToLiveRequest: asked } = codec.decode(LeasepbLeaseInternalRequest, bytes);
  const ID = asked?.ID ?? 0n;
  const times = await leases.timeToLiveHere(ID, asked?.keys ?? false);
  if (times === undefined) return refuse(exchange, 404, "lease not found");
  found(
    codec.encode(LeasepbLeaseInternalResponse, {
      LeaseTimeToLiveResponse: { header: {}, ID, TTL: times.ttl, grantedTTL: times.grantedTtl, keys: times.keys },
    }),
  );
}

async function promote(exchange: Exchange, member: Member, text: string): Promise<void> {
  const cluster = { "x-etcd-cluster-id": hexId(member.clusterId) };
  if (!/^\d+$/.test(text)) return refuse(exchange, 404, `member ${text} not found in cluster`, cluster);
  const token = header(exchange.request.headers, "authorization");
  try {
    await member.authenticator.requireAdmin(
      token === "" ? undefined : { metadata: { token }, signal: exchange.request.signal },
    );
    const members = await member.reconfigure.promoteHere(BigInt.asUintN(64, BigInt(text)));
    exchange.respond(200, { ...cluster, ...JSON_HEADERS }, `${membersJson(members)}\n`);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const status =
      error.message === ETCD_ERRORS.memberNotFound[1]
        ? 404
        : error.message === ETCD_ERRORS.memberNotLearner[1] || error.message === ETCD_ERRORS.learnerNotReady[1]
          ? 412
          : error.message.startsWith(ETCD_ERRORS.timeout[1])
            ? 408
            : 500;
    refuse(exchange, status, PLAIN[error.message] ?? error.message, cluster);
  }
}

/** Between members some errors have the words of the package that they come from. */
const PLAIN: Readonly<Record<string, string>> = {
  [ETCD_ERRORS.memberNotFound[1]]: "membership: ID not found",
  [ETCD_ERRORS.memberNotLearner[1]]: "membership: can only promote a learner member",
  [ETCD_ERRORS.compacted[1]]: "mvcc: required revision has been compacted",
  [ETCD_ERRORS.futureRevision[1]]: "mvcc: required revision is a future revision",
};

function plainWords(error: RpcError): string {
  return PLAIN[error.message] ?? error.message;
}
