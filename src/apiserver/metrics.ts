/**
 * The server's metrics: requests, responses, watches, stored objects, and calls to etcd.
 * Upstream: pkg/endpoints/metrics, pkg/storage/etcd3/metrics.
 */
import type { Resource } from "../machinery/resource.ts";
import { qualified } from "../machinery/status.ts";
import { counter, type Distribution, gauge, histogram, type Metrics, type Reading } from "../observe/metrics.ts";
import { counts, distributions } from "../observe/series.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import type { Clock } from "../world/world.ts";
import gates from "./feature-gates.json" with { type: "json" };
import type { ApiRequest } from "./request.ts";
import { isLongRunning } from "./request-info.ts";
import type { EtcdOperation, Store } from "./storage/store.ts";
import type { WatchCache } from "./storage/watch-cache.ts";
import { VERSION } from "./version.ts";

const ABOUT = ["group", "version", "resource", "subresource", "scope", "component"] as const;
const SECONDS = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

export const requestTotal = counter("apiserver_request_total", {
  help: "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
  labels: ["verb", "dry_run", ...ABOUT, "code"],
  stability: "STABLE",
});
export const requestDuration = histogram("apiserver_request_duration_seconds", {
  help: "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
  labels: ["verb", "dry_run", ...ABOUT],
  stability: "STABLE",
  buckets: [0.005, 0.025, ...SECONDS],
});
export const requestSliDuration = histogram("apiserver_request_sli_duration_seconds", {
  help: "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
  labels: ["verb", ...ABOUT],
  buckets: SECONDS,
});
export const responseSizes = histogram("apiserver_response_sizes", {
  help: "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
  labels: ["verb", ...ABOUT],
  stability: "STABLE",
  buckets: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
});
export const longRunning = gauge("apiserver_longrunning_requests", {
  help: "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
  labels: ["verb", ...ABOUT],
  stability: "STABLE",
});
export const deprecatedApis = gauge("apiserver_requested_deprecated_apis", {
  help: "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.",
  labels: ["group", "version", "resource", "subresource", "removed_release"],
  stability: "STABLE",
});
export const watchEvents = counter("apiserver_watch_events_total", {
  help: "Number of events sent in watch clients",
  labels: ["group", "version", "resource"],
});
export const watchEventSizes = histogram("apiserver_watch_events_sizes", {
  help: "Watch event size distribution in bytes",
  labels: ["group", "version", "resource"],
  buckets: [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072],
});
export const storageObjects = gauge("apiserver_storage_objects", {
  help: "(Deprecated since 1.34.0) [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
  labels: ["resource"],
  stability: "STABLE",
});
export const resourceObjects = gauge("apiserver_resource_objects", {
  help: "Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
  labels: ["group", "resource"],
});
export const cacheRevision = gauge("apiserver_watch_cache_resource_version", {
  help: "Current resource version of watch cache broken by resource type. This is truncated to the 15 least significant digits.",
  labels: ["group", "resource"],
});
export const etcdSeconds = histogram("etcd_request_duration_seconds", {
  help: "Etcd request latency in seconds for each operation and object type.",
  labels: ["operation", "group", "resource"],
  buckets: [0.005, 0.025, ...SECONDS],
});
export const etcdRequests = counter("etcd_requests_total", {
  help: "Etcd request counts for each operation and object type.",
  labels: ["operation", "group", "resource"],
});
export const etcdErrors = counter("etcd_request_errors_total", {
  help: "Etcd failed request counts for each operation and object type.",
  labels: ["operation", "group", "resource"],
});
export const leaseObjects = histogram("etcd_lease_object_counts", {
  help: "Number of objects attached to a single etcd lease.",
  buckets: [10, 50, 100, 500, 1000, 2500, 5000],
});
export const bodySizes = histogram("apiserver_request_body_size_bytes", {
  help: "Apiserver request body size in bytes broken out by resource and verb.",
  labels: ["group", "resource", "verb"],
  buckets: Array.from({ length: 31 }, (_, i) => 50_000 + i * 100_000),
});
export const terminations = counter("apiserver_request_terminations_total", {
  help: "Number of requests which apiserver terminated in self-defense.",
  labels: ["verb", ...ABOUT, "code"],
});
export const watchListSeconds = histogram("apiserver_watch_list_duration_seconds", {
  help: "Response latency distribution in seconds for watch list requests broken by group, version, resource and scope.",
  labels: ["group", "version", "resource", "scope"],
  stability: "BETA",
  buckets: [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60],
});
export const fieldValidationSeconds = histogram("field_validation_request_duration_seconds", {
  help: "Response latency distribution in seconds for each field validation value",
  labels: ["field_validation"],
  buckets: SECONDS,
});
export const sizeEstimate = gauge("apiserver_resource_size_estimate_bytes", {
  help: "Estimated size of stored objects in database. Estimate is based on sum of last observed sizes of serialized objects. In case of a fetching error, the value will be -1.",
  labels: ["group", "resource"],
});
export const storageBytes = gauge("apiserver_storage_size_bytes", {
  help: "Size of the storage database file physically allocated in bytes.",
  labels: ["storage_cluster_id"],
  stability: "STABLE",
});
export const featureEnabled = gauge("kubernetes_feature_enabled", {
  help: "This metric records the data about the stage and enablement of a k8s feature.",
  labels: ["name", "stage"],
  stability: "BETA",
});
export const versionInfo = gauge("version_info", {
  help: "Provides the compatibility version info of the component. The component label is the name of the component, usually kube, but is relevant for aggregated-apiservers.",
  labels: ["binary", "component", "emulation", "min_compat"],
});
export const buildInfo = gauge("kubernetes_build_info", {
  help: "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
  labels: [
    "major",
    "minor",
    "git_version",
    "git_commit",
    "git_tree_state",
    "build_date",
    "go_version",
    "compiler",
    "platform",
  ],
  stability: "BETA",
});

/** What isn't a resource is told by the beginning of its path, of which there are few. */
const PATHS = ["/openapi/v2", "/openapi/v3", "/healthz", "/livez", "/readyz", "/metrics", "/version", "/apis", "/api"];
const READS = new Set(["GET", "LIST"]);

export interface StoredOf {
  readonly resource: Resource;
  readonly cache: Pick<WatchCache, "size" | "revision" | "isReady" | "counts">;
  readonly store: Pick<Store, "averageBytes">;
}

/** Where a request of one kind is counted; what it has none of is not there. */
interface Counted {
  readonly about: readonly string[];
  readonly total: { value: number };
  duration?: Distribution;
  sli?: Distribution;
  sizes?: Distribution;
  bodies?: Distribution;
}
const KNOWN_MAX = 1000;

export interface ServerMetricsOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly etcd: Pick<EtcdClient, "maintenance">;
  readonly featureGates?: ReadonlyMap<string, boolean>;
  stored(): Iterable<StoredOf>;
}

const WRITES: ReadonlySet<string> = new Set(["create", "update", "patch", "delete"]);

export class ServerMetrics {
  readonly #counted = new Map<string, Counted>();
  readonly #total = counts(requestTotal);
  readonly #duration = distributions(requestDuration);
  readonly #sli = distributions(requestSliDuration);
  readonly #sizes = distributions(responseSizes);
  readonly #running = counts(longRunning);
  readonly #deprecated = counts(deprecatedApis);
  readonly #events = counts(watchEvents);
  readonly #eventSizes = distributions(watchEventSizes);
  readonly #etcdSeconds = distributions(etcdSeconds);
  readonly #etcdRequests = counts(etcdRequests);
  readonly #etcdErrors = counts(etcdErrors);
  readonly #bodies = distributions(bodySizes);
  readonly #terminations = counts(terminations);
  readonly #leases = distributions(leaseObjects);
  readonly #watchLists = distributions(watchListSeconds);
  readonly #fieldValidation = distributions(fieldValidationSeconds);
  readonly #options: ServerMetricsOptions;
  /** When lists began that are watches. */
  readonly #lists = new WeakMap<ApiRequest, number>();
  /** As of the last question; undefined before the first. */
  #storageBytes: number | undefined;

  constructor(metrics: Metrics, options: ServerMetricsOptions) {
    this.#options = options;
    metrics.from(() => this.#read());
  }

  /** Asks etcd how large its file is: to be told when metrics are read. */
  async refresh(): Promise<void> {
    try {
      this.#storageBytes = Number((await this.#options.etcd.maintenance.Status({})).dbSize);
    } catch {
      this.#storageBytes = undefined; // Who reads metrics sees from others that etcd is away.
    }
  }

  begun(request: ApiRequest): void {
    if (request.info.verb === "watch" && request.query.get("sendInitialEvents") === "true")
      this.#lists.set(request, this.#options.clock.monotonic());
    if (isLongRunning(request.info)) this.#running.at([verbOf(request), ...aboutOf(request)]).value++;
  }

  ended(request: ApiRequest, code: number, ms: number): void {
    const verb = verbOf(request);
    const dryRun = request.query.has("dryRun") ? request.query.getAll("dryRun").sort().join(",") : "";
    const { info, path } = request;
    // All that the labels are made of.
    const about = info.isResourceRequest
      ? `${info.apiGroup}\u0000${info.apiVersion}\u0000${info.resource}\u0000${info.subresource}\u0000${info.name !== "" ? "resource" : info.namespace === ""}`
      : path;
    const key = `${verb}\u0000${dryRun}\u0000${code}\u0000${about}`;
    let counted = this.#counted.get(key);
    if (counted === undefined) {
      counted = { about: aboutOf(request), total: this.#total.at([verb, dryRun, ...aboutOf(request), String(code)]) };
      // Paths that are no resource's are anybody's to invent.
      if (this.#counted.size >= KNOWN_MAX) this.#counted.clear();
      this.#counted.set(key, counted);
    }
    counted.total.value++;
    if (isLongRunning(info)) {
      this.#running.at([verb, ...counted.about]).value--;
      return;
    }
    counted.duration ??= this.#duration.at([verb, dryRun, ...counted.about]).value;
    counted.sli ??= this.#sli.at([verb, ...counted.about]).value;
    counted.duration.observe(ms / 1000);
    counted.sli.observe(ms / 1000);
    if (info.isResourceRequest && info.subresource === "" && WRITES.has(info.verb)) {
      counted.bodies ??= this.#bodies.at([info.apiGroup, info.resource, info.verb]).value;
      counted.bodies.observe(request.bodyBytes ?? 0);
      if (info.verb !== "delete")
        this.#fieldValidation.at([request.query.get("fieldValidation") ?? ""]).value.observe(ms / 1000);
    }
    if (request.answeredBytes === undefined || !READS.has(verb)) return;
    counted.sizes ??= this.#sizes.at([verb, ...counted.about]).value;
    counted.sizes.observe(request.answeredBytes);
  }

  deprecated({ group, version, plural }: Resource, subresource: string): void {
    this.#deprecated.at([group, version, plural, subresource, ""]).value = 1;
  }

  /** A request that was ended to protect the server, or since whoever should answer it isn't there. */
  terminated(request: ApiRequest, code: number, component = "apiserver"): void {
    const [group = "", version = "", resource = "", subresource = ""] = aboutOf(request);
    const about = [group, version, resource, subresource, scopeOf(request), component];
    this.#terminations.at([verbOf(request), ...about, String(code)]).value++;
  }

  /** A function to call with the bytes of each event of a watch, and whether it is the one that ends the list the watch began with. */
  watched({ group, version, plural }: Resource, request: ApiRequest): (bytes: number, endsList: boolean) => void {
    const labels = [group, version, plural];
    const events = this.#events.at(labels);
    const sizes = this.#eventSizes.at(labels);
    const began = this.#lists.get(request);
    return (bytes, endsList) => {
      events.value++;
      sizes.value.observe(bytes);
      if (!endsList || began === undefined) return;
      const seconds = (this.#options.clock.monotonic() - began) / 1000;
      this.#watchLists.at([...labels, scopeOf(request)]).value.observe(seconds);
    };
  }

  leased(objects: number): void {
    this.#leases.at([]).value.observe(objects);
  }

  /** A function to call with each request to etcd about a kind. */
  asked({ group, plural }: Resource): (operation: EtcdOperation, ms: number, failed: boolean) => void {
    const known = new Map<EtcdOperation, { readonly requests: { value: number }; readonly seconds: Distribution }>();
    return (operation, ms, failed) => {
      let counted = known.get(operation);
      if (counted === undefined) {
        const labels = [operation, group, plural];
        counted = { requests: this.#etcdRequests.at(labels), seconds: this.#etcdSeconds.at(labels).value };
        known.set(operation, counted);
      }
      counted.requests.value++;
      counted.seconds.observe(ms / 1000);
      if (failed) this.#etcdErrors.at([operation, group, plural]).value++;
    };
  }

  *#read(): Iterable<Reading> {
    for (const series of [
      this.#total,
      this.#duration,
      this.#sli,
      this.#sizes,
      this.#running,
      this.#deprecated,
      this.#events,
      this.#eventSizes,
      this.#etcdSeconds,
      this.#etcdRequests,
      this.#etcdErrors,
      this.#bodies,
      this.#terminations,
      this.#watchLists,
      this.#leases,
      this.#fieldValidation,
    ])
      yield* series.readings();
    for (const { resource, cache, store } of this.#options.stored()) {
      const { group, plural } = resource;
      const objects = cache.isReady ? cache.size : -1;
      yield { metric: storageObjects, labels: { resource: qualified(resource) }, value: objects };
      yield { metric: resourceObjects, labels: { group, resource: plural }, value: objects };
      yield { metric: cacheRevision, labels: { group, resource: plural }, value: cache.revision % 1e15 };
      const bytes = cache.isReady ? Math.round(cache.size * store.averageBytes) : -1;
      yield { metric: sizeEstimate, labels: { group, resource: plural }, value: bytes };
      yield* cache.counts.readings(group, plural);
    }
    if (this.#storageBytes !== undefined)
      yield { metric: storageBytes, labels: { storage_cluster_id: "etcd-0" }, value: this.#storageBytes };
    for (const [name, stage, otherwise] of gates as unknown as readonly (readonly [string, string, number])[])
      yield { metric: featureEnabled, labels: { name, stage }, value: this.#enabled(name, stage, otherwise) };
    const { major, minor, gitVersion, gitCommit, gitTreeState, buildDate, goVersion, compiler, platform } = VERSION;
    const labels = {
      major,
      minor,
      git_version: gitVersion,
      git_commit: gitCommit,
      git_tree_state: gitTreeState,
      build_date: buildDate,
      go_version: goVersion,
      compiler,
      platform,
    };
    yield { metric: buildInfo, labels, value: 1 };
    const info = {
      binary: gitVersion.replace(/^v|[-+].*$/g, ""),
      component: "kube",
      emulation: `${VERSION.emulationMajor}.${VERSION.emulationMinor}`,
      min_compat: `${VERSION.minCompatibilityMajor}.${VERSION.minCompatibilityMinor}`,
    };
    yield { metric: versionInfo, labels: info, value: 1 };
  }

  /** As it was asked for by its own name, with all of its stage, or as it is. */
  #enabled(name: string, stage: string, otherwise: number): number {
    const { featureGates } = this.#options;
    const all = { ALPHA: "AllAlpha", BETA: "AllBeta" }[stage] ?? "";
    const asked = featureGates?.get(name) ?? (otherwise === 1 ? undefined : featureGates?.get(all));
    return asked === undefined ? otherwise : Number(asked);
  }
}

function verbOf(request: ApiRequest): string {
  const { info, method } = request;
  if (!info.isResourceRequest) return method;
  switch (info.verb) {
    case "create":
      return "POST";
    case "update":
      return "PUT";
    case "patch":
      return (request.header("content-type") ?? "").startsWith("application/apply-patch+") ? "APPLY" : "PATCH";
    default:
      return info.verb.toUpperCase();
  }
}

function aboutOf({ info, path }: ApiRequest): readonly string[] {
  if (!info.isResourceRequest) {
    const known = PATHS.find((one) => path === one || path.startsWith(`${one}/`)) ?? "";
    return ["", "", "", known, "", ""];
  }
  const { apiGroup, apiVersion, resource, subresource } = info;
  return [apiGroup, apiVersion, resource, subresource, scopeOf({ info }), "apiserver"];
}

function scopeOf({ info: { name, namespace, verb } }: Pick<ApiRequest, "info">): string {
  return name !== "" || verb === "create" ? "resource" : namespace !== "" ? "namespace" : "cluster";
}
