/**
 * kube-proxy: keeps a node's kernel in step with services and their endpoints. It watches, models, renders and applies; changes are collected for
 * `minSyncPeriodMs`, a failure is retried, and periodically everything is written anew.
 * Upstream: cmd/kube-proxy, pkg/proxy
 */
import type { Component } from "../base/component-group.ts";
import { deferred } from "../base/deferred.ts";
import { nodes } from "../api/core/v1/node/resource.ts";
import { services } from "../api/core/v1/service/resource.ts";
import { endpointSlices } from "../api/discovery/v1/endpointslice/resource.ts";
import type { Service } from "../api/generated/core.v1.ts";
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";
import type { Informers } from "../client/informer/informer.ts";
import { keyOf } from "../machinery/meta/object.ts";
import type { Logger } from "../observe/log.ts";
import { counter, gauge, histogram, type Metrics } from "../observe/metrics.ts";
import type { World } from "../world/world.ts";
import type { Backend } from "./backends/backend.ts";
import { cleanConntrack } from "./conntrack.ts";
import { serveHealth } from "./health.ts";
import { modelService, type PortModel } from "./model/model.ts";
import type { Family } from "./model/service-port.ts";

export interface ProxyOptions {
  readonly nodeName: string;
  readonly family: Family;
  readonly minSyncPeriodMs: number;
  readonly syncPeriodMs: number;
  /** `host:port`; empty serves none. */
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  /** What /configz shows: a KubeProxyConfiguration. */
  readonly configz?: object;
  /** Leave no rule behind at the end. */
  readonly cleanupOnExit: boolean;
}

export interface ProxyDependencies extends Pick<World, "clock" | "net" | "host"> {
  readonly informers: Informers;
  readonly backend: Backend;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const syncDuration = histogram("kubeproxy_sync_proxy_rules_duration_seconds", {
  help: "SyncProxyRules latency in seconds",
  buckets: [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384],
});
const lastSync = gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds", {
  help: "The last time proxy rules were successfully synced",
});
const failures = counter("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", {
  help: "Cumulative proxy iptables restore failures",
});

const SERVICE_NAME = "kubernetes.io/service-name";
const FULL_SYNC_MS = 3_600_000;

export function createProxy(options: ProxyOptions, deps: ProxyDependencies): Component {
  return { name: "kube-proxy", run: (signal, ready) => run(options, deps, signal, ready) };
}

async function run(
  options: ProxyOptions,
  deps: ProxyDependencies,
  signal: AbortSignal,
  ready: () => void,
): Promise<void> {
  const { clock, informers, backend, log, metrics } = deps;
  const serviceInformer = informers.of<Service>(services, {
    labelSelector: "!service.kubernetes.io/service-proxy-name",
  });
  const sliceInformer = informers.of<EndpointSlice>(endpointSlices, {
    labelSelector: "!service.kubernetes.io/headless",
  });
  const nodeInformer = informers.of(nodes, { fieldSelector: `metadata.name=${options.nodeName}` });
  sliceInformer.addIndex("service", (slice) => {
    const name = slice.metadata.labels?.[SERVICE_NAME];
    return name === undefined ? [] : [`${slice.metadata.namespace}/${name}`];
  });

  const model = new Map<string, readonly PortModel[]>();
  const dirty = new Set<string>();
  let everything = true;
  let wake = deferred();
  let zone: string | undefined;
  const health = { queuedAt: undefined as number | undefined, lastUpdatedMs: clock.now() };
  const touch = (key?: string) => {
    if (key === undefined) everything = true;
    else dirty.add(key);
    health.queuedAt ??= clock.monotonic();
    wake.resolve();
  };

  const touchService = (service: Service) => touch(keyOf(service));
  const touchSlice = (slice: EndpointSlice) => {
    const name = slice.metadata.labels?.[SERVICE_NAME];
    if (name !== undefined) touch(`${slice.metadata.namespace}/${name}`);
  };
  using _services = serviceInformer.subscribe({
    add: touchService,
    update: (_, service) => touchService(service),
    delete: touchService,
  });
  using _slices = sliceInformer.subscribe({
    add: touchSlice,
    update: (_, slice) => touchSlice(slice),
    delete: touchSlice,
  });
  const readZone = () => {
    const now = nodeInformer.get(options.nodeName)?.metadata.labels?.["topology.kubernetes.io/zone"];
    if (now !== zone) touch();
    zone = now;
  };
  using _node = nodeInformer.subscribe({ add: readZone, update: readZone });

  // No rules are written before both lists are in: half a list would cut off running services.
  await Promise.all([serviceInformer.waitForSync(signal), sliceInformer.waitForSync(signal)]);

  await using server = await serveHealth(options, deps, () => ({
    healthy: health.queuedAt === undefined || clock.monotonic() - health.queuedAt < 2 * options.syncPeriodMs,
    lastUpdatedMs: health.lastUpdatedMs,
    node: nodeInformer.get(options.nodeName),
    local: localEndpoints(model),
  }));

  let lastFullMs = -Infinity;
  let failed = false;
  let first = true;
  while (!signal.aborted) {
    const startedMs = clock.monotonic();
    const full = everything || failed || startedMs - lastFullMs > FULL_SYNC_MS || !(await backend.intact());
    const changed = full ? new Set([...model.keys(), ...serviceInformer.list().map(keyOf)]) : new Set(dirty);
    dirty.clear();
    everything = false;
    wake = deferred();
    let udpChanged = false;
    for (const key of changed) {
      const service = serviceInformer.get(key);
      const ports =
        service === undefined
          ? []
          : modelService(service, sliceInformer.byIndex("service", key), options.family, {
              name: options.nodeName,
              zone,
            });
      udpChanged ||= [...ports, ...(model.get(key) ?? [])].some(({ port }) => port.protocol === "udp");
      if (ports.length === 0) model.delete(key);
      else model.set(key, ports);
    }
    try {
      await backend.sync(model, full ? undefined : changed);
      failed = false;
      if (full) lastFullMs = startedMs;
      health.lastUpdatedMs = clock.now();
      health.queuedAt = dirty.size > 0 || everything ? startedMs : undefined;
      metrics.set(lastSync, {}, clock.now() / 1000);
      metrics.observe(syncDuration, {}, (clock.monotonic() - startedMs) / 1000);
      if (udpChanged) await cleanConntrack(deps.host, model, options.family, log);
      await server.update();
    } catch (error) {
      failed = true;
      metrics.add(failures, {});
      log.error("Failed to execute iptables-restore", error);
    }
    if (first) ready();
    first = false;
    await nextSync(
      clock,
      wake.promise,
      startedMs,
      failed ? Math.min(options.syncPeriodMs, 5000) : options.syncPeriodMs,
      options.minSyncPeriodMs,
      signal,
    );
  }
  if (options.cleanupOnExit) await backend.cleanup();
}

/** Waits for a change (but not less than `leastMs` after the last start) or for `mostMs`, whichever is first. */
async function nextSync(
  clock: World["clock"],
  change: Promise<void>,
  startedMs: number,
  mostMs: number,
  leastMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return; // While rules were written: no listener would hear of it.
  const over = deferred();
  const onAbort = () => over.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  using _most = clock.after(mostMs, () => over.resolve());
  await Promise.race([change, over.promise]);
  const left = startedMs + leastMs - clock.monotonic();
  if (left > 0 && !signal.aborted) {
    const least = deferred();
    using _least = clock.after(left, () => least.resolve());
    signal.addEventListener("abort", () => least.resolve(), { once: true });
    await least.promise;
  }
  signal.removeEventListener("abort", onAbort);
}

export interface LocalEndpoints {
  readonly namespace: string;
  readonly name: string;
  readonly ready: number;
}

/** Health check node ports and how many endpoints are ready here behind each. */
function localEndpoints(model: ReadonlyMap<string, readonly PortModel[]>): ReadonlyMap<number, LocalEndpoints> {
  const byPort = new Map<number, LocalEndpoints>();
  for (const ports of model.values()) {
    for (const { port, all } of ports) {
      if (port.healthCheckNodePort === 0) continue;
      const ready = new Set(all.filter((endpoint) => endpoint.local && endpoint.ready).map((endpoint) => endpoint.ip))
        .size;
      byPort.set(port.healthCheckNodePort, { namespace: port.namespace, name: port.service, ready });
    }
  }
  return byPort;
}
