/**
 * What a client port serves: gRPC, and beside it plain HTTP for people, probes and Prometheus.
 *
 * Upstream: server/embed/serve.go, server/etcdserver/api/etcdhttp
 */
import type { Metrics } from "../observe/metrics.ts";
import type { AlarmType } from "../protocols/etcd/generated.ts";
import { gatewayHandler } from "../wire/rpc/gateway.ts";
import { grpcHandler, isGrpc, type Binding } from "../wire/rpc/grpc-server.ts";
import type { Logger } from "../observe/log.ts";
import type { Exchange, HttpHandler } from "../world/net.ts";
import type { World } from "../world/world.ts";
import { ETCD_VERSION, type Member } from "./member.ts";
import * as counted from "./metrics.ts";

const JSON_HEADERS = { "content-type": "application/json" } as const;
const TEXT_HEADERS = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" } as const;

export function clientHandler(
  member: Member,
  services: readonly Binding[],
  deps: Pick<World, "clock"> & { readonly log: Logger },
  v2?: HttpHandler,
): HttpHandler {
  const { codec, options } = member;
  const grpc = grpcHandler({
    services,
    codec,
    clock: deps.clock,
    maxRequestBytes: options.maxRequestBytes + 512 * 1024,
    onError: (error, method) => deps.log.error("a request failed unexpectedly", error, { method }),
  });
  const gateway = gatewayHandler({
    services,
    codec,
    clock: deps.clock,
    maxRequestBytes: 2 * (options.maxRequestBytes + 512 * 1024), // Base64 and names.
    aliases: {
      "/v3/kv/lease/revoke": "/v3/lease/revoke",
      "/v3/kv/lease/timetolive": "/v3/lease/timetolive",
      "/v3/kv/lease/leases": "/v3/lease/leases",
    },
  });
  return (exchange) => {
    const { request } = exchange;
    if (isGrpc(request.headers)) return grpc(exchange);
    if (/^\/v3(alpha|beta)?\//.test(request.url)) return gateway(exchange);
    if (v2 !== undefined && request.url.startsWith("/v2/")) return v2(exchange);
    const url = new URL(request.url, "http://etcd");
    switch (url.pathname) {
      case "/version":
        return onlyGet(exchange, () =>
          exchange.respond(
            200,
            JSON_HEADERS,
            JSON.stringify({
              etcdserver: ETCD_VERSION,
              etcdcluster: member.clusterVersion || "not_decided",
              storage: member.clusterVersion || "not_decided",
            }),
          ),
        );
      case "/health":
        return onlyGet(exchange, () => answerHealth(exchange, member, url.searchParams.getAll("exclude")));
      case "/metrics":
        return answerMetrics(exchange, member, member.metrics);
      default: {
        const check = /^\/(livez|readyz)(?:\/([a-z_]+))?$/.exec(url.pathname);
        if (check !== null)
          return onlyGet(exchange, () =>
            answerChecks(exchange, member, check[1] as "livez" | "readyz", check[2], url.searchParams),
          );
        return exchange.respond(404, TEXT_HEADERS, "404 page not found\n");
      }
    }
  };
}

function onlyGet(exchange: Exchange, answer: () => void): void {
  if (exchange.request.method === "GET") return answer();
  exchange.respond(405, { ...TEXT_HEADERS, allow: "GET" }, "Method Not Allowed\n");
}

function answerHealth(exchange: Exchange, member: Member, excluded: readonly string[]): void {
  const alarm = member.alarms.raised.find((raised) => !excluded.includes(raised.alarm));
  const reason = alarm === undefined ? "" : `ALARM ${alarm.alarm}`;
  exchange.respond(
    reason === "" ? 200 : 503,
    JSON_HEADERS,
    JSON.stringify({ health: reason === "" ? "true" : "false", reason }),
  );
}

/** Named checks, each of which is fine or tells why not. */
const CHECKS: Readonly<Record<string, (member: Member) => string | undefined>> = {
  data_corruption: (member) => (raised(member, "CORRUPT") ? "alarm activated: CORRUPT" : undefined),
  serializable_read: (member) => (member.closing.aborted ? "etcdserver: server stopped" : undefined),
  linearizable_read: (member) => (member.closing.aborted ? "etcdserver: server stopped" : undefined),
  non_learner: () => undefined,
};
const CHECKS_OF = {
  livez: ["serializable_read"],
  readyz: ["data_corruption", "serializable_read", "linearizable_read", "non_learner"],
} as const;

function raised(member: Member, alarm: AlarmType): boolean {
  return member.alarms.has(alarm);
}

function answerChecks(
  exchange: Exchange,
  member: Member,
  kind: "livez" | "readyz",
  only: string | undefined,
  query: URLSearchParams,
): void {
  const names: readonly string[] = CHECKS_OF[kind];
  if (only !== undefined && !names.includes(only)) return exchange.respond(404, TEXT_HEADERS, "404 page not found\n");
  const excluded = query.getAll("exclude");
  let failed = false;
  const lines = (only === undefined ? names.filter((name) => !excluded.includes(name)) : [only]).map((name) => {
    const failure = CHECKS[name]!(member);
    failed ||= failure !== undefined;
    return failure === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${failure}\n`;
  });
  if (failed) return exchange.respond(503, TEXT_HEADERS, `${lines.join("")}${kind} check failed\n`);
  exchange.respond(200, TEXT_HEADERS, query.has("verbose") ? `${lines.join("")}ok\n` : "ok\n");
}

async function answerMetrics(exchange: Exchange, member: Member, metrics: Metrics): Promise<void> {
  metrics.set(counted.hasLeader, {}, 1);
  metrics.set(counted.isLeader, {}, 1);
  metrics.set(counted.serverVersion, { server_version: ETCD_VERSION }, 1);
  metrics.set(counted.proposalsPending, {}, member.pendingProposals);
  metrics.set(counted.proposalsApplied, {}, member.appliedIndex);
  metrics.set(counted.proposalsCommitted, {}, member.appliedIndex);
  metrics.set(counted.quotaBytes, {}, member.options.quotaBackendBytes);
  metrics.set(counted.dbSize, {}, member.sizeBytes);
  metrics.set(counted.dbSizeInUse, {}, member.sizeBytes);
  metrics.set(counted.keys, {}, member.store.keys);
  metrics.set(counted.currentRevision, {}, member.store.revision);
  metrics.set(counted.compactRevision, {}, member.store.compactRevision);
  metrics.set(counted.watchers, {}, member.watchable.watchers);
  metrics.set(counted.watchStreams, {}, member.watchable.streams);
  metrics.set(counted.slowWatchers, {}, member.watchable.slow);
  exchange.respond(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }, await metrics.render());
}
