/** The ports of a member: gRPC and HTTP for clients, and metrics and health alone on ports for metrics. Upstream: server/embed/serve.go, etcd.go */
import { Auth, Cluster, Election, KV, Lease, Lock, Maintenance, Watch } from "../protocols/etcd/generated.ts";
import { Health, ServerReflection } from "../protocols/grpc/generated.ts";
import { bind, type Binding } from "../wire/rpc/grpc-server.ts";
import { defineService } from "../wire/rpc/service.ts";
import type { Listener, ListenOptions, ServerTls } from "../world/net.ts";
import { electionService } from "./api/election.ts";
import { kvService } from "./api/kv.ts";
import { Guard } from "./api/guard.ts";
import { healthService, type HealthState } from "./api/health.ts";
import { lockService } from "./api/lock.ts";
import { reflectionService } from "./api/reflection.ts";
import { SharedEvents } from "./api/shared-events.ts";
import { watchService } from "./api/watch.ts";
import { clientHandler, plainHandler } from "./http/handler.ts";
import type { Member } from "./member.ts";
import type { EtcdOptions } from "./options.ts";
import type { EtcdDeps, EtcdServices } from "./server.ts";
import { V2Api } from "./v2/http.ts";

export interface Serving {
  /** Takes nothing new; what is under way gets so long to end. */
  close(graceMs: number): Promise<void>;
}

export async function serve(
  options: EtcdOptions,
  member: Member,
  services: EtcdServices,
  health: HealthState,
  deps: EtcdDeps,
): Promise<Serving> {
  const { net, log } = deps;
  const listeners: Listener[] = [];
  const parts: Disposable[] = [];
  const close = async (graceMs: number) => {
    for (const part of parts) part[Symbol.dispose]();
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
  };
  try {
    if (options.listenClientUrls.length > 0) {
      const v2 = options.enableV2 ? new V2Api(member, services.cluster, deps) : undefined;
      if (v2 !== undefined) parts.push(v2);
      const guard = new Guard(member, deps.clock);
      const guarded = bindings(member, services, health).map((binding) => guard.binding(binding));
      const handler = clientHandler(member, guarded, deps, v2?.handle);
      parts.push(handler, guard);
      for (const url of options.listenClientUrls) {
        const listening = addressOf(url, options.clientTls, 2379);
        const handle = options.listenClientHttpUrls.length > 0 ? handler.grpc : handler.handle;
        listeners.push(await net.serveHttp({ ...listening, http2: options.http2 }, handle));
        const how = listening.tls === undefined ? "insecurely; this is strongly discouraged!" : "securely";
        log.info(`serving client traffic ${how}`, { traffic: "grpc+http", address: url.replace(/^\w+:\/\//, "") });
      }
      for (const url of options.listenClientHttpUrls) {
        listeners.push(await net.serveHttp(addressOf(url, options.clientTls, 2379), handler.plain));
        log.info("serving client traffic", { traffic: "http", address: url.replace(/^\w+:\/\//, "") });
      }
    }
    for (const url of options.listenMetricsUrls) {
      listeners.push(await net.serveHttp(addressOf(url, options.clientTls, 2379), plainHandler(member, deps)));
      log.info("serving metrics", { address: url });
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  return { close };
}

/** The older name of the same protocol, which most tools still ask for first. */
const ServerReflectionAlpha = defineService("grpc.reflection.v1alpha.ServerReflection", ServerReflection.methods);

/** All that a client port serves. */
export function bindings(member: Member, services: EtcdServices, health: HealthState): readonly Binding[] {
  const sharedEvents = new SharedEvents(member.codec);
  const list: Binding[] = [
    bind(KV, kvService(member, member.codec)),
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

/** `http://host:port`, `https://host:port`, `unix:///path`. */
export function addressOf(text: string, tls: ServerTls | undefined, defaultPort: number): ListenOptions {
  const { protocol, hostname, port } = new URL(text);
  const address = protocol.startsWith("unix")
    ? { path: text.replace(/^unixs?:(\/\/)?/, "") }
    : { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || defaultPort) };
  if (protocol === "http:" || protocol === "unix:") return address;
  if (protocol !== "https:" && protocol !== "unixs:")
    throw new Error(`URL scheme must be http, https, unix, or unixs: ${text}`);
  if (tls === undefined) throw new Error(`cannot listen on TLS for ${text}: KeyFile and CertFile are not presented`);
  return { ...address, tls };
}
