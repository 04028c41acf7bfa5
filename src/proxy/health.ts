/**
 * The proxy's HTTP endpoints: its health, its metrics, and for load balancers the number of endpoints on the node.
 * Upstream: pkg/proxy/healthcheck
 */
import type { Node } from "../api/generated/core.v1.ts";
import type { Exchange, Listener } from "../world/net.ts";
import type { LocalEndpoints, ProxyDependencies, ProxyOptions } from "./proxy.ts";

export interface HealthState {
  readonly healthy: boolean;
  readonly lastUpdatedMs: number;
  readonly node: Node | undefined;
  /** By health check node port. */
  readonly local: ReadonlyMap<number, LocalEndpoints>;
}

export interface HealthServers extends AsyncDisposable {
  /** Opens and closes the servers of health check node ports, after a sync. */
  update(): Promise<void>;
}

export async function serveHealth(
  options: ProxyOptions,
  deps: Pick<ProxyDependencies, "net" | "clock" | "metrics" | "log">,
  state: () => HealthState,
): Promise<HealthServers> {
  const listeners: Listener[] = [];
  const checks = new Map<number, Listener>();
  const json = (exchange: Exchange, status: number, body: unknown) =>
    exchange.respond(
      status,
      { "content-type": "application/json", "x-content-type-options": "nosniff" },
      `${JSON.stringify(body)}\n`,
    );
  const stamp = (ms: number) => new Date(ms).toISOString();

  const handle = async (exchange: Exchange) => {
    const path = exchange.request.url.split("?")[0];
    const { healthy, lastUpdatedMs, node } = state();
    const family = { lastUpdated: stamp(healthy ? deps.clock.now() : lastUpdatedMs), healthy };
    const report = {
      lastUpdated: family.lastUpdated,
      currentTime: stamp(deps.clock.now()),
      healthy,
      status: { [`IPv${options.family}`]: family },
    };
    switch (path) {
      case "/livez":
        return json(exchange, healthy ? 200 : 503, report);
      case "/healthz": {
        const leaving =
          node?.metadata.deletionTimestamp !== undefined ||
          node?.spec.taints?.some(({ key }) => key === "ToBeDeletedByClusterAutoscaler") === true;
        return json(exchange, healthy && !leaving ? 200 : 503, { ...report, nodeEligible: !leaving });
      }
      case "/metrics":
        return exchange.respond(
          200,
          { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
          await deps.metrics.render(),
        );
      case "/configz":
        return exchange.respond(
          200,
          { "content-type": "application/json" },
          JSON.stringify({ "kubeproxy.config.k8s.io": options.configz ?? {} }),
        );
      case "/proxyMode":
        return exchange.respond(200, { "content-type": "text/plain; charset=utf-8" }, "iptables");
      default:
        return exchange.respond(404, { "content-type": "text/plain; charset=utf-8" }, "404 page not found\n");
    }
  };
  for (const address of new Set([options.healthzBindAddress, options.metricsBindAddress])) {
    if (address === "") continue;
    const colon = address.lastIndexOf(":");
    try {
      listeners.push(
        await deps.net.serveHttp({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }, handle),
      );
    } catch (error) {
      // Upstream goes on without it unless --bind-address-hard-fail.
      deps.log.error("Failed to listen", error, { address });
    }
  }
  return {
    async update() {
      const wanted = state().local;
      for (const [port, listener] of checks) {
        if (wanted.has(port)) continue;
        checks.delete(port);
        await listener.close();
      }
      for (const port of wanted.keys()) {
        if (checks.has(port)) continue;
        try {
          const answer = (exchange: Exchange) => {
            const { healthy, local } = state();
            const { namespace = "", name = "", ready = 0 } = local.get(port) ?? {};
            const body = JSON.stringify(
              { service: { namespace, name }, localEndpoints: ready, serviceProxyHealthy: healthy },
              null,
              "\t",
            );
            const headers = {
              "content-type": "application/json",
              "x-content-type-options": "nosniff",
              "x-load-balancing-endpoint-weight": String(ready),
            };
            exchange.respond(ready > 0 && healthy ? 200 : 503, headers, body);
          };
          checks.set(port, await deps.net.serveHttp({ host: options.family === 6 ? "::" : "0.0.0.0", port }, answer));
        } catch (error) {
          deps.log.error("Failed to start healthcheck", error, { port });
        }
      }
    },
    async [Symbol.asyncDispose]() {
      for (const listener of [...listeners, ...checks.values()]) await listener.close(0);
    },
  };
}
