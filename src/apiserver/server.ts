/**
 * The API server: etcd on one side, clients on the other, over HTTPS or in process. This file puts the parts together; the path of a request is in
 * `filters/index.ts` and then in `handlers/`.
 * Upstream: cmd/kube-apiserver, pkg/controlplane, staging/src/k8s.io/apiserver.
 */
import type { ResourceName } from "../machinery/resource.ts";
import { builtinResources } from "../api/index.ts";
import type { Component } from "../base/component-group.ts";
import type { Transport } from "../client/transport.ts";
import { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import type { Address, HttpHandler, ServerTls } from "../world/net.ts";
import type { World } from "../world/world.ts";
import { createAccess, usesRoles } from "./access.ts";
import { CompiledPolicies, MatchConditions } from "./admission/expressions.ts";
import { AdmissionMetrics } from "./admission/metrics.ts";
import { createAdmission } from "./admission/framework.ts";
import { enabledPlugins } from "./admission/plugins/index.ts";
import { Aggregator } from "./aggregation/aggregator.ts";
import type { AuthenticationConfiguration } from "./authn/configuration.ts";
import { AccessMetrics, type TokenUse } from "./authn/metrics.ts";
import { serviceAccountTokens } from "./authn/service-account.ts";
import type { UserInfo } from "./authn/user.ts";
import { compactRegularly } from "./bootstrap/compaction.ts";
import { bootstrap, ensureAuthenticationConfig } from "./bootstrap/index.ts";
import { MasterLeases } from "./bootstrap/master-leases.ts";
import { ensure } from "./bootstrap/write.ts";
import { carryOver, equivalentsOf } from "./storage/versions.ts";
import { WebhookClients } from "./webhook-clients.ts";
import { pause } from "../world/time.ts";
import { clusterView } from "./cluster-view.ts";
import { followDefinitions } from "./crd/controller.ts";
import { Auditor } from "./audit/auditor.ts";
import { auditEvents, auditRejected } from "./audit/metrics.ts";
import { cacheMisses, seedSeconds } from "./encryption/metrics.ts";
import { UNSAFE_DELETE_GATE } from "./storage/corrupt.ts";
import { EncryptionAtRest } from "./encryption/at-rest.ts";
import { chain, filters } from "./filters/index.ts";
import { FlowControl } from "./flow-control/flow-control.ts";
import { followFlowControl } from "./flow-control/keep.ts";
import { WatchTracker } from "./flow-control/watch-tracker.ts";
import { Documents } from "./handlers/documents.ts";
import { type HealthCheck, HealthResults } from "./handlers/health.ts";
import { handleNonResource } from "./handlers/non-resource.ts";
import { handleResource, pageNotFound } from "./handlers/resources.ts";
import { httpHandler } from "./http.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Turns } from "./turns.ts";
import { countedEtcd } from "./storage/counted-etcd.ts";
import { tracedAdmission, tracedEtcd } from "./tracing/traced.ts";
import { Tracing } from "./tracing/tracing.ts";
import { logTlsFailures } from "./streaming/pods.ts";
import { inProcessTransport } from "./in-process.ts";
import type { Resource } from "../machinery/resource.ts";
import { ServerMetrics } from "./metrics.ts";
import { expressionCompiler } from "./expressions.ts";
import type { ApiServerOptions, AuthorizationOptions } from "./options.ts";
import { OwnQueues } from "./own-queues.ts";
import { ownReads } from "./own-reads.ts";
import type { Services } from "./registry/context.ts";
import { Registry } from "./registry/registry.ts";
import { AllocationMetrics } from "./registry/specials/allocation-metrics.ts";
import { ClusterIPs } from "./registry/specials/cluster-ips.ts";
import { NodePorts } from "./registry/specials/node-ports.ts";
import type { Handler } from "./request.ts";

export interface ApiServerDeps extends Pick<World, "clock" | "random" | "net" | "fs"> {
  readonly etcd: EtcdClient;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What may change while the server runs. */
export interface Changes {
  readonly secure?: { readonly cert: string; readonly key: string };
  readonly byName?: ReadonlyMap<string, { readonly cert: string; readonly key: string }>;
  readonly clientCa?: string;
  readonly requestHeaderClientCa?: string;
  readonly authentication?: AuthenticationConfiguration;
  readonly authorization?: AuthorizationOptions;
}

export interface ApiServer extends Component {
  /** A client's way in, without bytes: this identity is authorised and its writes are admitted as anybody's. */
  transport(user: UserInfo, userAgent?: string): Transport;
  readonly handler: HttpHandler;
  /** New contents of files that the options came from. What isn't named stays; what is wrong throws and changes nothing. */
  /** False where all that was given says the same as before. */
  reload(changes: Changes): Promise<boolean>;
  /** Where the HTTPS port listens, once it does. */
  readonly address: Address | undefined;
}

export function createApiServer(options: ApiServerOptions, deps: ApiServerDeps): ApiServer {
  const { clock, net, log, metrics } = deps;
  const random = deps.random.fork("apiserver");
  const tracing =
    options.tracing &&
    new Tracing(options.tracing, options.advertiseAddress ?? "localhost", { ...deps, random: random.fork("tracing") });
  const asking = countedEtcd(deps.etcd, metrics);
  const etcd = tracing === undefined ? asking : tracedEtcd(asking, tracing);
  const codec = new ProtobufCodec();
  const encryption =
    options.encryption && new EncryptionAtRest(options.encryption, { ...deps, random: random.fork("encryption") });
  const protobuf = options.storageMediaType === "application/vnd.kubernetes.protobuf";
  const counted = new ServerMetrics(metrics, {
    clock,
    etcd,
    ...(options.featureGates && { featureGates: options.featureGates }),
    stored: () => registry.stored(),
  });
  const asked = (resource: Resource) => counted.asked(resource);
  const cbor = options.featureGates?.get("CBORServingAndStorage") === true;
  const leased = (objects: number) => counted.leased(objects);
  const { enableAdmissionPlugins = [], disableAdmissionPlugins = [] } = options;
  const plugins = enabledPlugins(enableAdmissionPlugins, disableAdmissionPlugins, options.admission);
  const registry = new Registry({
    etcd,
    clock,
    log,
    codec,
    protobuf,
    cbor,
    namesCorrupt: options.featureGates?.get(UNSAFE_DELETE_GATE) === true,
    asked,
    leased,
    ownReads: ownReads(plugins),
    ...(encryption && { encryption }),
  });
  for (const resource of options.resources ?? builtinResources.filter(({ servedByDefault }) => servedByDefault))
    registry.add(resource);
  const cluster = clusterView(registry, clock);
  const admissionMetrics = new AdmissionMetrics(metrics);
  const accessMetrics = new AccessMetrics(metrics);
  const used = (use: TokenUse) => accessMetrics.token(use);
  const accounts = serviceAccountTokens(options.serviceAccount, { clock, random, cluster, log, used });
  const access = createAccess(options, {
    cluster,
    clock,
    random,
    net,
    log,
    metrics,
    accessMetrics,
    accounts,
    expressions: expressionCompiler(),
  });
  const { authorizer, tokens } = access;
  const webhooks = new WebhookClients(net, clock);
  const served = ({ group, version, plural }: ResourceName) => registry.find(group, version, plural);
  const admission = createAdmission(plugins, {
    cluster,
    authorizer,
    clock,
    random,
    net,
    webhooks,
    log,
    matchConditions: new MatchConditions(),
    policies: new CompiledPolicies((compile) => {
      const began = clock.monotonic();
      try {
        return compile();
      } finally {
        admissionMetrics.compiled(clock.monotonic() - began);
      }
    }),
    metrics: admissionMetrics,
    gate: (name, otherwise) => options.featureGates?.get(name) ?? otherwise,
    async createNamespace(name) {
      await ensure(services, "namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    },
    served,
    equivalents(name) {
      const resource = served(name);
      return resource === undefined ? [] : equivalentsOf(resource, registry.resources);
    },
    carryOver: (object, from, to) => carryOver(object, served(from)!, served(to)!),
    findKind: (group, version, kind) => registry.ofKind(group, version, kind),
  });
  const allocations = new AllocationMetrics(metrics);
  const services: Services = {
    deprecated: (resource, subresource) => counted.deprecated(resource, subresource),
    registry,
    clock,
    random,
    net,
    webhooks,
    log,
    cluster,
    authorizer,
    accounts,
    tokens,
    options,
    admission: tracing === undefined ? admission : tracedAdmission(admission, tracing),
    allocators: {
      clusterIPs: new ClusterIPs(options.serviceClusterIpRange ?? "10.96.0.0/12", {
        registry,
        clock,
        random,
        metrics: allocations,
      }),
      nodePorts: new NodePorts(options.serviceNodePortRange ?? "30000-32767", { random, etcd, metrics: allocations }),
      metrics: allocations,
    },
    featureGates: options.featureGates ?? new Map(),
    queues: new OwnQueues(metrics, clock),
    etcdHealth: () => etcdError(etcd),
    metrics,
  };

  const turns = new Turns(clock);
  const documents = new Documents(registry, options.describe, clock, turns, cbor);
  const { requestTimeoutMs = 60_000, livezGraceMs = 0 } = options;
  const lifecycle = new Lifecycle(
    { delayMs: 0, sendRetryAfter: false, watchGraceMs: 0, ...options.shutdown, requestTimeoutMs },
    { clock, log },
  );
  const startedAt = clock.now();
  const livezFrom = clock.monotonic() + livezGraceMs;
  let state: "starting" | "ready" | "stopping" = "starting";
  let address: Address | undefined;
  const health = new HealthResults(clock.now());
  const checks: readonly HealthCheck[] = [
    { name: "ping", on: ["healthz", "livez", "readyz"], check: () => undefined },
    { name: "log", on: ["healthz", "livez", "readyz"], check: () => undefined },
    // The certificate for calls of the server to itself, which are made without one.
    { name: "loopback-serving-certificate", on: ["healthz", "livez"], check: () => undefined },
    {
      name: "etcd",
      on: ["healthz", "livez", "readyz"],
      check: () => etcdError(etcd),
    },
    { name: "etcd-readiness", on: ["readyz"], check: () => etcdError(etcd) },
    {
      name: "kms-providers",
      // A restart mends no plugin.
      on: ["healthz", "readyz"],
      applies: () => encryption?.hasPlugins === true,
      check: () => encryption?.check(),
    },
    {
      name: "informer-sync",
      on: ["readyz"],
      check: () => {
        const behind = registry.storages.filter(({ cache }) => !cache.isReady).length;
        return behind === 0 ? undefined : `${behind} informers not started yet`;
      },
    },
    ...startChecks(options).map((name): HealthCheck => ({
      name,
      on: ["healthz", "livez", "readyz"],
      check: (endpoint) =>
        state === "starting" && (endpoint !== "livez" || clock.monotonic() >= livezFrom) ? "not finished" : undefined,
    })),
    {
      name: "shutdown",
      on: ["readyz"],
      check: () => (lifecycle.stopping ? "process is shutting down" : undefined),
    },
  ];

  const aggregator = new Aggregator(services, (request, code, component) =>
    counted.terminated(request, code, component),
  );
  documents.remote = aggregator.openApi;
  const dispatch: Handler = async (request) => {
    // Filters take slashes at the start as one. No page and no resource does.
    if (!request.path.startsWith("/") || request.path.startsWith("//")) return pageNotFound();
    if (request.path.startsWith("/apis/")) {
      const [, group, version] = request.path.split("/").filter((part) => part !== "");
      const remote = group === undefined || version === undefined ? undefined : aggregator.remote(group, version);
      if (remote !== undefined) return aggregator.answer(request, remote);
    }
    return request.info.isResourceRequest && request.info.verb !== "proxy"
      ? handleResource(services, request)
      : handleNonResource(
          {
            services,
            codec,
            aggregator,
            checks,
            startedAt,
            health,
            metrics,
            counted,
            documents,
            flow,
            address: () => address,
          },
          request,
        );
  };
  metrics.declare(auditEvents, auditRejected, cacheMisses, seedSeconds, logTlsFailures);
  const auditor =
    options.audit === undefined ? undefined : new Auditor(options.audit, { ...deps, random: random.fork("audit") });
  const { maxRequestsInFlight = 400, maxMutatingRequestsInFlight = 200 } = options;
  const flow =
    options.priorityAndFairness === false
      ? undefined
      : new FlowControl(maxRequestsInFlight + maxMutatingRequestsInFlight, () => clock.monotonic());
  if (flow !== undefined) metrics.from(() => flow.readings());
  const handle = chain(
    filters({
      clock,
      random,
      authorizer,
      authenticator: access.authenticator,
      accessMetrics,
      log,
      constrainedImpersonation: options.featureGates?.get("ConstrainedImpersonation") ?? true,
      requestTimeoutMs,
      terminated: (request, code) => counted.terminated(request, code),
      goawayChance: options.goawayChance ?? 0,
      ...(options.browsers && { browsers: options.browsers }),
      lifecycle,
      ...(auditor !== undefined && { auditor }),
      ...(tracing !== undefined && { tracing }),
      maxRequestsInFlight,
      maxMutatingRequestsInFlight,
      ...(flow !== undefined && {
        fairness: {
          flow,
          watches: new WatchTracker(),
          stored({ apiGroup, apiVersion, resource: plural }) {
            const resource = registry.find(apiGroup, apiVersion, plural);
            if (resource === undefined || resource.storage.virtual === true) return undefined;
            const { cache, store } = registry.storage(resource);
            return { objects: cache.size, averageBytes: store.averageBytes };
          },
        },
      }),
    }),
    dispatch,
  );
  const handler = httpHandler(handle, {
    codec,
    cbor,
    clock,
    turns,
    log,
    describe: options.describe,
    begun: (request) => counted.begun(request),
    observe: (request, code, ms) => counted.ended(request, code, ms),
    watched: (resource, request) => counted.watched(resource, request),
  });

  /** Clients are told first that this server goes; one whose etcd is gone ends all the same. */
  const leaveInTime = async (leaving: Promise<void>): Promise<void> => {
    const over = new AbortController();
    const left = leaving.catch((error: unknown) => log.error("This server's endpoint can't be removed", error));
    await Promise.race([left, pause(clock, LEAVE_MS, over.signal)]);
    over.abort();
  };

  let changed: Changes = {};
  let reloadListener: (tls: ServerTls) => void = () => {};
  return {
    name: "kube-apiserver",
    handler,
    async reload(changes) {
      const isNew = changes.authorization === undefined || access.reloadAuthorization(changes.authorization);
      access.reloadAuthorities(changes);
      changed = { ...changed, ...changes };
      if (options.secure !== undefined) reloadListener(listenerTls(options, changed));
      if (state === "ready" && (changes.clientCa ?? changes.requestHeaderClientCa) !== undefined)
        await ensureAuthenticationConfig(services, changed);
      if (changes.authentication !== undefined) await access.reloadAuthentication(changes.authentication);
      return isNew;
    },
    get address() {
      return address;
    },
    transport: (user, userAgent = "typernetes") => inProcessTransport({ clock, handle, user, userAgent }),
    async run(signal, ready) {
      await encryption?.open(signal);
      for (const resource of registry.resources) if (resource.storage.virtual !== true) registry.storage(resource);
      const definitions = followDefinitions(services, signal);
      try {
        await until(signal, Promise.all(registry.storages.map(({ cache }) => cache.whenReady)));
        await definitions.settled();
        await auditor?.open();
        const { secure } = options;
        await using listener =
          secure === undefined
            ? undefined
            : await net.serveHttp(
                {
                  host: secure.bindAddress ?? "0.0.0.0",
                  port: secure.port,
                  ...(secure.http1Only === true && { http1Only: true }),
                  ...(secure.maxStreams && { http2: { maxConcurrentStreams: secure.maxStreams } }),
                  tls: { ...listenerTls(options, changed), onRefused: () => accessMetrics.handshakeFailed() },
                },
                handler,
              );
        address = listener?.address;
        reloadListener = (tls) => listener?.reload({ ...tls, onRefused: () => accessMetrics.handshakeFailed() });
        const hooks = new AbortController();
        const running = await bootstrap(
          services,
          {
            port: address?.port ?? 6443,
            address: options.advertiseAddress,
            hostname: options.hostname ?? options.advertiseAddress ?? "localhost",
            leases: new MasterLeases(etcd),
            reconciler: options.endpointReconciler ?? "lease",
            count: options.apiserverCount ?? 1,
          },
          hooks.signal,
        );
        const compaction = compactRegularly(
          { etcd, clock, log },
          options.etcdCompactionIntervalMs ?? 5 * 60_000,
          hooks.signal,
          (revision) => {
            for (const { cache } of registry.storages) cache.compact(revision);
          },
        );
        const aggregating = aggregator.run(hooks.signal);
        const exporting = tracing?.run(hooks.signal);
        const fairness = flow === undefined ? undefined : await followFlowControl(services, flow, hooks.signal);
        state = "ready";
        ready();
        await until(signal, new Promise<never>(() => {}));
        await leaveInTime(running.leave());
        await lifecycle.shutdown(() => void listener?.close(LAST_ANSWERS_MS));
        state = "stopping";
        hooks.abort();
        await running.done;
        await compaction;
        await aggregating;
        await fairness?.done;
        await exporting;
        await auditor?.close();
        await definitions.settled();
      } finally {
        access.close();
        webhooks.close();
        await registry.close();
        await encryption?.close();
      }
    },
  };
}

/** How long a connection may take to hear its last answer. */
const LEAVE_MS = 2_000;
const LAST_ANSWERS_MS = 2_000;

function startChecks(options: ApiServerOptions): readonly string[] {
  return [
    ...(options.encryption?.reload === true ? ["poststarthook/start-encryption-provider-config-automatic-reload"] : []),
    ...START_CHECKS.filter((name) => name !== "poststarthook/rbac/bootstrap-roles" || usesRoles(options)),
  ];
}

/** What a start does, by upstream's names: each is a health check of its own, and all are over when the server says that it is ready. */
const START_CHECKS = [
  "poststarthook/start-apiserver-admission-initializer",
  "poststarthook/generic-apiserver-start-informers",
  "poststarthook/priority-and-fairness-config-consumer",
  "poststarthook/priority-and-fairness-filter",
  "poststarthook/storage-object-count-tracker-hook",
  "poststarthook/start-apiextensions-informers",
  "poststarthook/start-apiextensions-controllers",
  "poststarthook/crd-informer-synced",
  "poststarthook/start-system-namespaces-controller",
  "poststarthook/peer-endpoint-reconciler-controller",
  "poststarthook/start-cluster-authentication-info-controller",
  "poststarthook/start-kube-apiserver-identity-lease-controller",
  "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
  "poststarthook/storage-readiness",
  "poststarthook/start-legacy-token-tracking-controller",
  "poststarthook/start-service-ip-repair-controllers",
  "poststarthook/rbac/bootstrap-roles",
  "poststarthook/scheduling/bootstrap-system-priority-classes",
  "poststarthook/priority-and-fairness-config-producer",
  "poststarthook/bootstrap-controller",
  "poststarthook/start-kubernetes-service-cidr-controller",
  "poststarthook/start-kube-aggregator-informers",
  "poststarthook/apiservice-status-local-available-controller",
  "poststarthook/apiservice-status-remote-available-controller",
  "poststarthook/apiservice-registration-controller",
  "poststarthook/apiservice-discovery-controller",
  "poststarthook/kube-apiserver-autoregistration",
  "autoregister-completion",
  "poststarthook/apiservice-openapi-controller",
  "poststarthook/apiservice-openapiv3-controller",
] as const;

/** The promise's end or the signal's, whichever comes first. */
async function until(signal: AbortSignal, promise: Promise<unknown>): Promise<void> {
  if (signal.aborted) return void promise.catch(() => {}); // Nobody waits for it any longer.
  let stop!: () => void;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function etcdError(etcd: EtcdClient): Promise<string | undefined> {
  try {
    await etcd.kv.Range({ key: new TextEncoder().encode("/registry/health"), limit: 1 });
    return undefined;
  } catch (error) {
    return `error getting data from etcd: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function listenerTls({ secure, requestHeader }: ApiServerOptions, changed: Changes) {
  const pair = changed.secure ?? secure!;
  const cas = [changed.clientCa ?? secure!.clientCa, changed.requestHeaderClientCa ?? requestHeader?.clientCa].filter(
    (ca) => ca !== undefined,
  );
  const byName = changed.byName ?? secure!.byName;
  return {
    cert: pair.cert,
    key: pair.key,
    ...(cas.length > 0 && { clientCa: cas.join("\n"), verifiedByCaller: true }),
    ...(byName !== undefined && { byName }),
    ...(secure!.bounds && { bounds: secure!.bounds }),
  };
}

export type { ApiServerOptions, UserInfo };
