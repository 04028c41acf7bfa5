/**
 * What a client port serves: gRPC, the JSON gateway, the v2 API, and plain HTTP for people, probes and Prometheus.
 * Upstream: server/embed/serve.go, server/etcdserver/api/etcdhttp
 */
import type { Logger } from "../../observe/log.ts";
import { gatewayHandler } from "../../wire/rpc/gateway.ts";
import { grpcHandler, isGrpc, type Binding } from "../../wire/rpc/grpc-server.ts";
import type { Exchange, HttpHandler } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import { commonNameOf } from "../auth/authenticator.ts";
import { ETCD_VERSION, type Member } from "../member.ts";
import { requestLog } from "../request-log.ts";
import { RpcCounts } from "../rpc-counts.ts";
import { withAccess } from "./access.ts";
import { isGet, JSON_HEADERS, TEXT_HEADERS } from "./answers.ts";
import { answerChecks, answerHealth } from "./health.ts";

export interface HandlerDeps extends Pick<World, "clock"> {
  readonly log: Logger;
  /** For `/debug/vars`. */
  readonly commandLine?: readonly string[];
}

export interface ClientHandler extends Disposable {
  /** Both of the following, told apart by what is asked. */
  readonly handle: HttpHandler;
  readonly grpc: HttpHandler;
  readonly plain: HttpHandler;
}

export function clientHandler(
  member: Member,
  services: readonly Binding[],
  deps: HandlerDeps,
  v2?: HttpHandler,
): ClientHandler {
  const { codec, options } = member;
  const counts = new RpcCounts(options.metrics === "extensive");
  const logRequest = requestLog({
    ...deps,
    warningMs: options.warningUnaryRequestDurationMs,
    every: options.logEveryRequest,
    warningApplyMs: options.warningApplyDurationMs,
    onSlowRead: () => void member.applyTimes.slow++,
  });
  const grpc = grpcHandler({
    services,
    codec,
    clock: deps.clock,
    maxRequestBytes: options.maxRequestBytes + 512 * 1024,
    onError: (error, method) => deps.log.error("a request failed unexpectedly", error, { method }),
    tally: (service, method, kind) => counts.tally(service, method, kind),
    onEnd: (call) => {
      counts.ended(call);
      if (call.kind === "unary") logRequest(call);
    },
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
  const pages = plainHandler(member, deps);
  const plain = withAccess(options, (exchange) => {
    const { url } = exchange.request;
    if (options.enableGrpcGateway && /^\/v3(beta)?\//.test(url))
      return namesItsOwner(exchange, member)
        ? exchange.respond(400, TEXT_HEADERS, `${NAME_IS_IGNORED}\n`)
        : gateway(exchange);
    if (v2 !== undefined && url.startsWith("/v2/")) return v2(exchange);
    return pages(exchange);
  });
  const reading = member.metrics.from(() => counts.readings());
  return {
    grpc,
    plain,
    handle: (exchange) => (isGrpc(exchange.request.headers) ? grpc(exchange) : plain(exchange)),
    [Symbol.dispose]: () => reading[Symbol.dispose](),
  };
}

const NAME_IS_IGNORED =
  "CommonName of client sending a request against gateway will be ignored and not used as expected";

/** Clients that authenticate by certificate might expect the gateway to do so, too. */
function namesItsOwner({ request: { peer } }: Exchange, { auth, options }: Member): boolean {
  return (
    options.clientCertAuth &&
    auth.enabled &&
    peer.certificate?.authorized === true &&
    commonNameOf(peer.certificate.der) !== ""
  );
}

/** The pages alone, as on `--listen-metrics-urls`. */
export function plainHandler(member: Member, deps: HandlerDeps): HttpHandler {
  return async (exchange) => {
    const url = new URL(exchange.request.url, "http://etcd");
    switch (url.pathname) {
      case "/version":
        if (!isGet(exchange)) return;
        return exchange.respond(
          200,
          JSON_HEADERS,
          JSON.stringify({
            etcdserver: ETCD_VERSION,
            etcdcluster: member.clusterVersion || "not_decided",
            storage: member.clusterVersion || "not_decided",
          }),
        );
      case "/health":
        return answerHealth(exchange, member, deps.log, url.searchParams);
      case "/metrics": {
        const text = await member.metrics.render();
        return exchange.respond(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }, text);
      }
      case "/debug/vars":
        return answerVars(exchange, member, deps);
      default:
        if (member.options.enablePprof && url.pathname.startsWith("/debug/pprof"))
          return exchange.respond(
            501,
            TEXT_HEADERS,
            "There are no profiles in Go's form here: start the member with NODE_OPTIONS=--cpu-prof or --heap-prof.\n",
          );
        return answerChecks(exchange, member, deps.log, url);
    }
  };
}

function answerVars(exchange: Exchange, member: Member, { commandLine = [] }: HandlerDeps): void {
  const status = member.raftStatus();
  const vars = {
    cmdline: commandLine,
    "raft.status": {
      id: member.id.toString(16),
      term: member.term,
      lead: member.leader.toString(16),
      vote: status.vote.toString(16),
      raftState: status.raftState,
      commit: status.commit,
      applied: member.appliedIndex,
    },
  };
  exchange.respond(200, { "content-type": "application/json; charset=utf-8" }, `${JSON.stringify(vars)}\n`);
}
