/**
 * The headers that members send with every request, and how they reject one another: sender, version, cluster.
 * Upstream: server/etcdserver/api/rafthttp/http.go, util.go
 */
import type { NodeId } from "../../raft/types.ts";
import type { Exchange, Headers } from "../../world/net.ts";
import { hexId } from "../cluster/identity.ts";
import { ETCD_VERSION, MIN_CLUSTER_VERSION } from "../version.ts";
import type { StreamKind } from "./stream-codec.ts";

export const STREAM_PATHS: Readonly<Record<StreamKind, string>> = {
  msgappv2: "/raft/stream/msgapp",
  message: "/raft/stream/message",
};
/** As they are named in log lines. */
export const STREAM_NAMES: Readonly<Record<StreamKind, string>> = {
  msgappv2: "stream MsgApp v2",
  message: "stream Message",
};

export const INCOMPATIBLE_VERSION = "incompatible version";
export const CLUSTER_MISMATCH = "cluster ID mismatch";
export const MEMBER_REMOVED = "the member has been permanently removed from the cluster";

export interface Identity {
  readonly id: NodeId;
  readonly clusterId: bigint;
  readonly advertisedUrls: readonly string[];
}

export function requestHeaders(self: Identity): Record<string, string> {
  return {
    "x-server-from": hexId(self.id),
    "x-server-version": ETCD_VERSION,
    "x-min-cluster-version": MIN_CLUSTER_VERSION,
    "x-etcd-cluster-id": hexId(self.clusterId),
    ...(self.advertisedUrls.length > 0 && { "x-peerurls": self.advertisedUrls.join(",") }),
  };
}

/** Why a request with these headers is refused with 412, or undefined. Headers that are missing are those of etcd 2.0. */
export function incompatibility(headers: Headers, clusterId: bigint): string | undefined {
  const server = header(headers, "x-server-version") || "2.0.0";
  const minimum = header(headers, "x-min-cluster-version") || "2.0.0";
  if (compareMinor(server, MIN_CLUSTER_VERSION) < 0 || compareMinor(minimum, ETCD_VERSION) > 0)
    return INCOMPATIBLE_VERSION;
  return header(headers, "x-etcd-cluster-id") === hexId(clusterId) ? undefined : CLUSTER_MISMATCH;
}

/** Streams are served since 2.1. */
export function servesStreams(headers: Headers): boolean {
  return compareMinor(header(headers, "x-server-version") || "2.0.0", "2.1.0") >= 0;
}

/** Compares major and minor versions. */
function compareMinor(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}

export function header(headers: Headers, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? (value as readonly string[])[0] : (value as string | undefined)) ?? "";
}

/** The URLs where the asking member says it can be reached. */
export function peerUrlsOf(headers: Headers): readonly string[] {
  const urls = header(headers, "x-peerurls");
  return urls === "" ? [] : urls.split(",").filter((url) => URL.canParse(url));
}

export function refuse(exchange: Exchange, status: number, words: string, headers: Headers = {}): void {
  exchange.respond(
    status,
    { ...headers, "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    `${words}\n`,
  );
}

export function refuseMethod(exchange: Exchange, allow: string): void {
  refuse(exchange, 405, "Method Not Allowed", { allow });
}
