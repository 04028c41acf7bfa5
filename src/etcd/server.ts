/**
 * etcd as a component: opens the data folder, replays, serves.
 *
 * Upstream: server/embed/etcd.go
 */
import type { Component } from "../base/component-group.ts";
import { deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import { Auth, Cluster, Election, KV, Lease, Lock, Maintenance, Watch } from "../protocols/etcd/generated.ts";
import { Health, ServerReflection } from "../protocols/grpc/generated.ts";
import { bind, type Binding } from "../wire/rpc/grpc-server.ts";
import { defineService } from "../wire/rpc/service.ts";
import type { Listener, ListenOptions } from "../world/net.ts";
import type { World } from "../world/world.ts";
import { authService } from "./api/auth.ts";
import { clusterService } from "./api/cluster.ts";
import { electionService } from "./api/election.ts";
import { healthService, HealthState } from "./api/health.ts";
import { kvService } from "./api/kv.ts";
import { leaseService } from "./api/lease.ts";
import { lockService } from "./api/lock.ts";
import { maintenanceService } from "./api/maintenance.ts";
import { reflectionService } from "./api/reflection.ts";
import { SharedEvents } from "./api/shared-events.ts";
import { watchService } from "./api/watch.ts";
import { tokenProvider } from "./auth/tokens.ts";
import { directClient } from "./direct-client.ts";
import { lockDataDir } from "./exclusive.ts";
import { clientHandler } from "./http.ts";
import { Member } from "./member.ts";
import { DEFAULTS, type EtcdOptions } from "./options.ts";
import { V2Api } from "./v2/http.ts";

export type EtcdDeps = Pick<World, "clock" | "random" | "fs" | "net"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
};

export interface EtcdServer extends Component {
  /** Calls the member in this process. It may be made at any time, and fails with "no leader" while the member doesn't run. */
  client(): EtcdClient;
}

/** What requests under way get to end when the member stops. */
const DRAIN_MS = 500;

/** Everything but the data folder has upstream's default. */
export function createEtcd(options: Partial<EtcdOptions> & Pick<EtcdOptions, "dataDir">, deps: EtcdDeps): EtcdServer {
  const whole: EtcdOptions = { ...DEFAULTS, ...options };
  let services: ReturnType<typeof servicesOf> | undefined;
  return {
    name: "etcd",
    client: () =>
      directClient(() => {
        if (services === undefined) throw etcdError("noLeader");
        return services;
      }),
    async run(signal, ready) {
      const failure = deferred<never>();
      failure.promise.catch(() => {});
      await using _lock = await lockDataDir(deps, whole.dataDir);
      const tokens = await tokenProvider(whole.authToken, whole.authTokenTtlSeconds, deps);
      const member = await Member.open(whole, { ...deps, tokens }, (error) =>
        failure.reject(new Error("etcd: the log can't be written any more", { cause: error })),
      );
      const listeners: Listener[] = [];
      const health = new HealthState();
      let v2: V2Api | undefined;
      try {
        services = servicesOf(member, deps);
        if (whole.enableV2 && whole.listenClientUrls.length > 0) v2 = new V2Api(member, services.cluster, deps);
        await listen(whole, member, services, health, deps, listeners, v2);
        deps.log.info("ready to serve client requests", { revision: member.store.revision });
        ready();
        const aborted = new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve(), { once: true });
        });
        await Promise.race([aborted, failure.promise]);
      } finally {
        services = undefined;
        // Streams end with the reason, requests under way with their answer; what takes longer is cut.
        health.close();
        v2?.[Symbol.dispose]();
        member.stopStreams();
        await Promise.all(listeners.map((listener) => listener.close(DRAIN_MS)));
        await member.close();
      }
    },
  };
}

function servicesOf(member: Member, { random }: EtcdDeps) {
  return {
    kv: kvService(member),
    watch: watchService(member),
    lease: leaseService(member, random),
    maintenance: maintenanceService(member),
    cluster: clusterService(member),
    auth: authService(member),
  };
}

/** The older name of the same protocol, which most tools still ask for first. */
const ServerReflectionAlpha = defineService("grpc.reflection.v1alpha.ServerReflection", ServerReflection.methods);

/** All that a client port serves. */
function bindings(member: Member, services: ReturnType<typeof servicesOf>, health: HealthState): readonly Binding[] {
  const sharedEvents = new SharedEvents(member.codec);
  const list: Binding[] = [
    bind(KV, services.kv),
    bind(
      Watch,
      watchService(member, (response) => sharedEvents.prepare(response)),
    ),
    bind(Lease, services.lease),
    bind(Maintenance, services.maintenance),
    bind(Cluster, services.cluster),
    bind(Auth, services.auth),
    bind(Lock, lockService(services)),
    bind(Election, electionService(services)),
    bind(Health, healthService(health)),
  ];
  const reflection = reflectionService(
    [...list.map(({ service }) => service), ServerReflection, ServerReflectionAlpha],
    member.codec,
  );
  return [...list, bind(ServerReflection, reflection), bind(ServerReflectionAlpha, reflection)];
}

async function listen(
  options: EtcdOptions,
  member: Member,
  services: ReturnType<typeof servicesOf>,
  health: HealthState,
  deps: EtcdDeps,
  listeners: Listener[],
  v2: V2Api | undefined,
): Promise<void> {
  if (options.listenClientUrls.length === 0) return;
  const handle = clientHandler(member, bindings(member, services, health), deps, v2?.handle);
  for (const url of options.listenClientUrls) {
    listeners.push(await deps.net.serveHttp(addressOf(url, options), handle));
    deps.log.info("serving client traffic", { url });
  }
}

/** `http://host:port`, `https://host:port`, `unix:///path`. */
function addressOf(text: string, { clientTls }: EtcdOptions): ListenOptions {
  if (text.startsWith("unix:")) return { path: text.replace(/^unix:(\/\/)?/, "") };
  const { protocol, hostname, port } = new URL(text);
  const address = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 2379) };
  if (protocol === "http:") return address;
  if (protocol !== "https:") throw new Error(`URL scheme must be http, https, unix, or unixs: ${text}`);
  if (clientTls === undefined)
    throw new Error(`cannot listen on TLS for ${text}: KeyFile and CertFile are not presented`);
  return { ...address, tls: clientTls };
}
