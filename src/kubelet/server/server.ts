/** The kubelet's own API on port 10250, for the API server, metrics collectors and administrators. Upstream: pkg/kubelet/server/server.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Exchange, Listener } from "../../world/net.ts";
import { METRICS } from "../metrics.ts";
import type { KubeletView } from "../view.ts";
import { findContainer, isStatic } from "../pod.ts";
import { errorText } from "../runtime/context.ts";
import { podLogDir } from "../runtime/sandbox-config.ts";
import { newestOf } from "../runtime/state.ts";
import { DelegatedAuth } from "./auth.ts";
import { containerForLogs, fileLogs, logOptions, renderLog, sourceLog } from "./logs.ts";
import type { LogOptions } from "./logs.ts";
import { serveNodeLogs } from "./node-logs.ts";
import { resourceMetrics, summary } from "./stats.ts";
import { servePortForward, serveRemoteCommand } from "./streams.ts";

const TEXT = { "content-type": "text/plain; charset=utf-8" };
const JSON_TYPE = { "content-type": "application/json" };
const METRICS_TYPE = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

type Route = (exchange: Exchange, parts: readonly string[], query: URLSearchParams) => Promise<void> | void;

export async function serveKubelet(kubelet: KubeletView): Promise<Listener> {
  const { settings, world } = kubelet;
  const auth = new DelegatedAuth(kubelet.client, world.clock, settings.nodeName);
  const routes = routesOf(kubelet);
  const tls = settings.tls && {
    ...settings.tls,
    ...(settings.clientCa !== undefined && { clientCa: settings.clientCa }),
  };
  return world.net.serveHttp(
    { host: settings.address, port: settings.port ?? 0, http1Only: true, ...(tls && { tls }) },
    async (exchange) => {
      const { request } = exchange;
      try {
        if (settings.authorization !== "AlwaysAllow") {
          const decision = await auth.decide(request);
          if (decision.kind === "unauthorized") return exchange.respond(401, TEXT, "Unauthorized");
          if (decision.kind === "forbidden") return exchange.respond(403, TEXT, decision.message);
        }
        const { pathname, searchParams } = new URL(request.url, "http://node");
        const [root = "", ...parts] = pathname
          .split("/")
          .slice(1)
          .filter((part, i) => i === 0 || part !== "")
          .map(decodeURIComponent);
        const route = routes[root];
        if (route === undefined) return exchange.respond(404, TEXT, "404 page not found\n");
        await route(exchange, parts, searchParams);
      } catch (error) {
        kubelet.log.error("HTTP request failed", error, { url: request.url });
        exchange.respond(500, TEXT, errorText(error));
      }
    },
  );
}

/** On 10248, for the machine itself: no secrets, no certificates. */
export function serveHealthz(kubelet: KubeletView): Promise<Listener> {
  return kubelet.world.net.serveHttp(
    { host: "127.0.0.1", port: kubelet.settings.healthzPort, http1Only: true },
    (exchange) => {
      const { pathname } = new URL(exchange.request.url, "http://node");
      if (!pathname.startsWith("/healthz")) return exchange.respond(404, TEXT, "404 page not found\n");
      if (kubelet.isHealthy()) exchange.respond(200, TEXT, "ok");
      else
        exchange.respond(500, TEXT, "[-]syncloop failed: sync Loop took longer than expected\nhealthz check failed\n");
    },
  );
}

function routesOf(kubelet: KubeletView): Readonly<Record<string, Route>> {
  const podList = (pods: readonly Pod[]) =>
    JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: {}, items: pods });
  return {
    pods: (exchange) => exchange.respond(200, JSON_TYPE, podList(kubelet.pods())),
    runningpods: (exchange) => {
      const running = kubelet
        .pods()
        .filter(({ metadata }) => kubelet.runtimeOf(metadata.uid).sandboxes.some(({ ready }) => ready));
      exchange.respond(200, JSON_TYPE, podList(running));
    },
    healthz: (exchange) => {
      if (kubelet.isHealthy()) exchange.respond(200, TEXT, "ok");
      else exchange.respond(500, TEXT, "healthz check failed\n");
    },
    logs: (exchange) => {
      const { method, url } = exchange.request;
      if (method !== "GET") return exchange.respond(405, TEXT, "405: Method Not Allowed");
      const path = decodeURIComponent(new URL(url, "http://node").pathname);
      return serveNodeLogs(kubelet.world, "/var/log", exchange, path.slice("/logs".length));
    },
    configz: (exchange) => {
      const { tls: _tls, configz, ...visible } = kubelet.settings;
      exchange.respond(
        200,
        JSON_TYPE,
        JSON.stringify({ kubeletconfig: configz ?? { ...visible, enableServer: true } }),
      );
    },
    metrics: async (exchange, [which]) => {
      if (which === "resource") return exchange.respond(200, METRICS_TYPE, await resourceMetrics(kubelet));
      if (which !== undefined && which !== "cadvisor" && which !== "probes" && which !== "slis")
        return exchange.respond(404, TEXT, "404 page not found\n");
      if (which !== undefined) return exchange.respond(200, METRICS_TYPE, "");
      countPods(kubelet);
      exchange.respond(200, METRICS_TYPE, await kubelet.metrics.render());
    },
    stats: async (exchange, [which]) => {
      if (which !== "summary") return exchange.respond(404, TEXT, "404 page not found\n");
      exchange.respond(200, JSON_TYPE, JSON.stringify(await summary(kubelet)));
    },
    containerLogs: (exchange, [namespace = "", name = "", container = ""], query) => {
      const options = logOptions(query, kubelet.world.clock.now());
      if (options === undefined)
        return exchange.respond(422, JSON_TYPE, JSON.stringify({ message: "Invalid request." }));
      const pod = kubelet.podByName(namespace, name);
      if (pod === undefined) return exchange.respond(404, TEXT, `pod "${name}" does not exist\n`);
      if (findContainer(pod, container) === undefined)
        return exchange.respond(404, TEXT, `container "${container}" not found in pod "${name}"\n`);
      return sendLog(kubelet, exchange, pod, container, options);
    },
    exec: (exchange, parts, query) => {
      const target = containerTarget(kubelet, exchange, parts);
      if (target === undefined) return;
      return serveRemoteCommand(kubelet, exchange, query, {
        kind: "exec",
        containerId: target,
        command: query.getAll("command"),
      });
    },
    attach: (exchange, parts, query) => {
      const target = containerTarget(kubelet, exchange, parts);
      if (target !== undefined)
        return serveRemoteCommand(kubelet, exchange, query, { kind: "attach", containerId: target });
    },
    portForward: (exchange, [namespace = "", name = ""], query) => {
      const pod = kubelet.podByName(namespace, name);
      const sandbox = pod && kubelet.runtimeOf(pod.metadata.uid).sandboxes.find(({ ready }) => ready);
      if (sandbox === undefined) return exchange.respond(404, TEXT, "pod does not exist");
      return servePortForward(kubelet, exchange, query, sandbox.id);
    },
    run: async (exchange, parts, query) => {
      if (exchange.request.method !== "POST") return exchange.respond(405, TEXT, "405: Method Not Allowed");
      const target = containerTarget(kubelet, exchange, parts);
      if (target === undefined) return;
      const cmd = (query.get("cmd") ?? "").split(" ").filter((word) => word !== "");
      const answer = await kubelet.cri.runtime.ExecSync({ container_id: target, cmd, timeout: 0 });
      const output = Buffer.concat([answer.stdout, answer.stderr]);
      if (answer.exit_code === 0) return exchange.respond(200, TEXT, output);
      exchange.respond(
        500,
        TEXT,
        `command '${cmd.join(" ")}' exited with ${answer.exit_code}: ${output.toString("utf8")}`,
      );
    },
  };
}

/** `NAMESPACE/POD[/UID]/CONTAINER`: the id of the running container, or undefined when the answer was given. */
function containerTarget(kubelet: KubeletView, exchange: Exchange, parts: readonly string[]): string | undefined {
  const [namespace = "", name = ""] = parts;
  const container = parts[parts.length - 1] ?? "";
  const pod = kubelet.podByName(namespace, name);
  if (pod === undefined) {
    exchange.respond(404, TEXT, "pod does not exist");
    return undefined;
  }
  const found = newestOf(kubelet.runtimeOf(pod.metadata.uid), container);
  if (found === undefined) {
    exchange.respond(500, TEXT, `container not found ("${container}")`);
    return undefined;
  }
  return found.id;
}

async function sendLog(
  kubelet: KubeletView,
  exchange: Exchange,
  pod: Pod,
  container: string,
  options: LogOptions,
): Promise<void> {
  const wanted = containerForLogs(pod, container, options.previous);
  if ("error" in wanted) return exchange.respond(400, TEXT, wanted.error);
  const { signal } = exchange.request;
  const found = () => kubelet.runtimeOf(pod.metadata.uid).containers.find(({ id }) => id === wanted.id);
  const known = found();
  const response = exchange.stream(200, TEXT);
  const missing = `unable to retrieve container logs for ${kubelet.runtimeName}://${wanted.id}`;
  if (known === undefined) {
    response.write(missing);
    return response.end();
  }
  const path = `${podLogDir(kubelet.settings.podLogsDir, pod)}/${container}/${known.restartCount}.log`;
  const lines =
    kubelet.cri.logs === undefined
      ? fileLogs(kubelet.world, () => found()?.state === "running").read(path, { ...options, signal })
      : sourceLog(kubelet.cri.logs, wanted.id, options, signal);
  try {
    for await (const bytes of renderLog(lines, options)) if (!response.write(bytes)) await response.drained;
  } catch (error) {
    if (signal.aborted) return;
    response.write(`${missing}: ${errorText(error)}`);
  }
  response.end();
}

function countPods(kubelet: KubeletView): void {
  const pods = kubelet.pods();
  const containers = pods.flatMap(({ metadata }) => kubelet.runtimeOf(metadata.uid).containers);
  const { metrics } = kubelet;
  metrics.set(METRICS.nodeName, { node: kubelet.settings.nodeName }, 1);
  metrics.set(METRICS.desiredPods, { static: "true" }, pods.filter(isStatic).length);
  metrics.set(METRICS.desiredPods, { static: "" }, pods.filter((pod) => !isStatic(pod)).length);
  metrics.set(
    METRICS.runningPods,
    {},
    pods.filter(({ metadata }) => kubelet.runtimeOf(metadata.uid).sandboxes.some(({ ready }) => ready)).length,
  );
  for (const state of ["created", "running", "exited", "unknown"] as const)
    metrics.set(
      METRICS.runningContainers,
      { container_state: state },
      containers.filter((each) => each.state === state).length,
    );
}
