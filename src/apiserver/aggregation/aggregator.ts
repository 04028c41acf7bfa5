/**
 * API aggregation: an APIService names the service that serves a group version. Requests are forwarded there with the user's name in headers, and
 * discovery includes what is served.
 * Upstream: kube-aggregator.
 */
import { formatTime } from "../../machinery/meta/time.ts";
import { hostPort } from "../../base/host-port.ts";
import { parseJson } from "../../machinery/codec/json.ts";
import type { APIResourceList } from "../../machinery/meta/types.ts";
import type { RemoteVersion } from "../../machinery/discovery/groups.ts";
import type { Resource, Verb } from "../../machinery/resource.ts";
import { counter, gauge, type Reading } from "../../observe/metrics.ts";
import { counts } from "../../observe/series.ts";
import type { ClientTls } from "../../world/net.ts";
import { deadline, pause } from "../../world/time.ts";
import { randomInt } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { text } from "../request.ts";
import { readyEndpoints, slicesOf } from "../service-endpoints.ts";
import type { Target } from "../streaming/relay.ts";
import { hostOf, relay } from "../streaming/relay.ts";
import { RemoteOpenApi } from "./openapi.ts";

const API_SERVICES = "apiservices.apiregistration.k8s.io";
export const READ_FOR_SERVICES: readonly string[] = [API_SERVICES, "services"];
const PROBE_EVERY_MS = 30_000;
/** When a status that the store didn't take is tried again. */
const UNTOLD_MS = 1_000;
const PROBE_TIMEOUT_MS = 5_000;

const unavailableNow = gauge("aggregator_unavailable_apiservice", {
  help: "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
  labels: ["name"],
});
const unavailableTotal = counter("aggregator_unavailable_apiservice_total", {
  help: "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
  labels: ["name", "reason"],
});

interface Verdict {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

const LOCAL: Verdict = { status: "True", reason: "Local", message: "Local APIServices are always available" };

const isLocal = ({ status }: any): boolean =>
  (status?.conditions ?? []).some(({ type, reason }: any) => type === "Available" && reason === "Local");

/** What leads to an extension server, and which service it is of. */
const BEHIND: readonly (readonly [plural: string, serviceOf: (metadata: any) => string | undefined])[] = [
  ["services", ({ name }) => name],
  ["endpointslices.discovery.k8s.io", ({ labels }) => labels?.["kubernetes.io/service-name"]],
];

export class Aggregator {
  readonly #services: Services;
  /** What each remote group version last said it serves. */
  readonly #served = new Map<string, readonly Resource[]>();
  /** Those that said so when they were last asked. */
  readonly #fresh = new Set<string>();
  readonly openApi = new RemoteOpenApi();
  readonly #becameUnavailable = counts(unavailableTotal);
  #changed = false;
  #wake: (() => void) | undefined;

  readonly #terminated: (request: ApiRequest, code: number, component: string) => void;

  constructor(services: Services, terminated: (request: ApiRequest, code: number, component: string) => void) {
    this.#services = services;
    this.#terminated = terminated;
  }

  /** Resources of other servers, for discovery alone. */
  get resources(): readonly Resource[] {
    return [...this.#served.values()].flat();
  }

  /** All that other servers are said to serve. */
  get versions(): readonly RemoteVersion[] {
    return this.#remotes().map(({ metadata, spec }) => ({
      group: spec.group,
      version: spec.version,
      groupPriority: spec.groupPriorityMinimum,
      versionPriority: spec.versionPriority,
      isStale: !this.#fresh.has(metadata.name),
    }));
  }

  /** The APIService of a group version that another server answers. */
  remote(group: string, version: string): any {
    const found = this.#services.cluster.get(API_SERVICES, "", `${version}.${group}`);
    return found?.spec.service === undefined ? undefined : found;
  }

  async answer(request: ApiRequest, apiService: any): Promise<ApiResponse> {
    const available = (apiService.status?.conditions ?? []).find((one: any) => one.type === "Available");
    if (available?.status !== "True") return this.#unavailable(request);
    const target = this.#target(apiService);
    if ("reason" in target) return this.#unavailable(request);
    const query = request.query.toString();
    const path = request.rawPath ?? request.path;
    return relay(
      this.#services,
      request,
      { ...target, headers: { host: hostOf(target.base), ...remoteHeaders(request.user!) } },
      query === "" ? path : `${path}?${query}`,
    );
  }

  /** Plain words: whoever proxies has no Status to give. */
  #unavailable(request: ApiRequest): ApiResponse {
    this.#terminated(request, 503, "aggregator");
    return text(503, "service unavailable\n");
  }

  /** Asks every remote group version what it serves, now and every half minute, and says in its status how that went. */
  async run(signal: AbortSignal): Promise<void> {
    const { registry, clock, log, queues, metrics } = this.#services;
    const resource = registry.named(API_SERVICES);
    if (resource === undefined) return;
    /** A store that can't be reached, mostly: the server serves on, and says it later. */
    const untold = (name: string, error: unknown) =>
      log.v(2).info("An APIService's status can't be written", { name, error: String(error) });
    const look = () => {
      this.#changed = true;
      this.#wake?.();
    };
    registry.storage(resource).cache.onEvent(({ type, entry, old }) => {
      const { metadata, spec } = entry.stored as any;
      if (type === "DELETED" || JSON.stringify(spec) !== JSON.stringify((old?.stored as any)?.spec)) {
        if (spec?.service !== undefined || this.#served.has(metadata.name)) look();
      }
      if (type === "DELETED" || spec?.service !== undefined || isLocal(entry.stored)) return;
      queues
        .run("LocalAvailabilityController", () => this.#tell(metadata.name, LOCAL))
        .catch((error: unknown) => untold(metadata.name, error));
    });
    metrics.from(() => this.#availability());
    // What is behind a remote group has changed: a look at once, not in half a minute.
    for (const [plural, serviceOf] of BEHIND) {
      const watched = registry.named(plural);
      if (watched === undefined) continue;
      registry.storage(watched).cache.onEvent(({ entry }) => {
        const { namespace } = entry.stored.metadata;
        const name = serviceOf(entry.stored.metadata);
        if (this.#remotes().some(({ spec: { service } }) => service.name === name && service.namespace === namespace))
          look();
      });
    }
    while (!signal.aborted) {
      this.#changed = false;
      const remotes = this.#remotes();
      for (const name of this.#served.keys())
        if (!remotes.some(({ metadata }) => metadata.name === name)) this.#forget(name);
      let isTold = true;
      await Promise.all(
        remotes.map((one) =>
          queues
            .run("RemoteAvailabilityController", () => this.#probe(one, signal))
            .catch((error: unknown) => {
              isTold = false;
              untold(one.metadata.name, error);
            }),
        ),
      );
      // Without remote groups there is nothing to ask, only to wait for.
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const ms = isTold ? PROBE_EVERY_MS : UNTOLD_MS;
      if (!this.#changed) await pause(clock, ms, AbortSignal.any([signal, woken.signal]));
      this.#wake = undefined;
    }
  }

  *#availability(): Iterable<Reading> {
    for (const { metadata, status } of this.#services.cluster.list(API_SERVICES)) {
      const isAvailable = (status?.conditions ?? []).some(
        (one: any) => one.type === "Available" && one.status === "True",
      );
      yield { metric: unavailableNow, labels: { name: metadata.name }, value: Number(!isAvailable) };
    }
    yield* this.#becameUnavailable.readings();
  }

  #remotes(): readonly any[] {
    return this.#services.cluster.list(API_SERVICES).filter(({ spec }) => spec.service !== undefined);
  }

  async #probe(apiService: any, signal: AbortSignal): Promise<void> {
    const { name } = apiService.metadata;
    const target = this.#target(apiService);
    let verdict: Verdict;
    if ("reason" in target) {
      this.#miss(name);
      verdict = target;
    } else {
      const { group, version } = apiService.spec;
      try {
        const { body } = await this.#fetch(target, `/apis/${group}/${version}`, signal);
        this.#served.set(name, resourcesOf(group, version, parseJson(body) as APIResourceList));
        this.#fresh.add(name);
        verdict = { status: "True", reason: "Passed", message: "all checks passed" };
      } catch (error) {
        if (signal.aborted) return;
        this.#miss(name);
        const words = error instanceof Error ? error.message : String(error);
        verdict = {
          status: "False",
          reason: "FailedDiscoveryCheck",
          message: `failing or missing response from ${target.base}/apis/${group}/${version}: ${words}`,
        };
      }
    }
    await this.#tell(name, verdict);
    if (verdict.status === "False" || "reason" in target) return;
    const { group, version } = apiService.spec;
    await this.openApi.refresh(name, group, version, async (path, etag) => {
      const answer = await this.#fetch(target, path, signal, etag);
      return answer.status === 304 ? undefined : { body: answer.body.toString(), etag: answer.etag };
    });
  }

  /** What it said last is told on, as stale. */
  #miss(name: string): void {
    this.#fresh.delete(name);
    this.openApi.forget(name);
  }

  #forget(name: string): void {
    this.#served.delete(name);
    this.#fresh.delete(name);
    this.openApi.forget(name);
  }

  async #tell(name: string, { status, reason, message }: Verdict): Promise<void> {
    let turned = false;
    await this.#services.cluster.update(
      API_SERVICES,
      "",
      name,
      (current) => {
        turned = false;
        const conditions: readonly any[] = current.status?.conditions ?? [];
        const before = conditions.find(({ type }) => type === "Available");
        if (before?.status === status && before.reason === reason && before.message === message) return undefined;
        if (status === "False" && before?.status === "True") turned = true;
        const lastTransitionTime =
          before?.status === status ? before.lastTransitionTime : formatTime(this.#services.clock.now());
        const condition = { type: "Available", status, lastTransitionTime, reason, message };
        return {
          ...current,
          status: {
            ...current.status,
            conditions: [...conditions.filter(({ type }) => type !== "Available"), condition],
          },
        };
      },
      "status",
    );
    if (turned) this.#becameUnavailable.at([name, reason]).value++;
  }

  /** Where the service is reached, or the reason why not. */
  #target({ spec }: any): Target | Verdict {
    const { cluster, random, options } = this.#services;
    const { name, namespace, port = 443 } = spec.service;
    const service = cluster.get("services", namespace, name);
    const where = `service/${name} in ${JSON.stringify(namespace)}`;
    const no = (reason: string, message: string): Verdict => ({ status: "False", reason, message });
    if (service === undefined) return no("ServiceNotFound", `${where} is not present`);
    const tls: ClientTls = {
      ...(spec.caBundle !== undefined && { ca: Buffer.from(spec.caBundle, "base64").toString() }),
      ...(spec.insecureSkipTLSVerify === true && { insecureSkipVerify: true }),
      ...options.proxyClient,
      serverName: `${name}.${namespace}.svc`,
    };
    if (service.spec.type === "ExternalName") return { base: `https://${service.spec.externalName}:${port}`, tls };
    const servicePort = (service.spec.ports ?? []).find((one: any) => one.port === port);
    if (servicePort === undefined && service.spec.type !== "ClusterIP")
      return no("FailedDiscoveryCheck", `no service port ${port} found for service ${JSON.stringify(name)}`);
    if (servicePort === undefined) return no("ServicePortError", `${where} is not listening on port ${port}`);
    const slices = slicesOf(cluster, namespace, name);
    if (service.spec.type !== "ClusterIP" && readyEndpoints(slices, servicePort.name ?? "").length === 0)
      return no("FailedDiscoveryCheck", `no endpoints available for service ${JSON.stringify(name)}`);
    if (slices.length === 0) return no("EndpointsNotFound", `cannot find endpointslices for ${where}`);
    const portName: string = servicePort.name ?? "";
    const endpoints = readyEndpoints(slices, portName);
    if (endpoints.length === 0)
      return no(
        "MissingEndpoints",
        `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`,
      );
    const chosen = endpoints[randomInt(random, endpoints.length)]!;
    return { base: `https://${hostPort(chosen.ip, chosen.port)}`, tls };
  }

  async #fetch(
    { base, tls }: Target,
    path: string,
    signal: AbortSignal,
    etag?: string,
  ): Promise<{ readonly status: number; readonly body: Buffer; readonly etag: string | undefined }> {
    const { net, clock } = this.#services;
    const client = net.httpClient({ base, ...(tls !== undefined && { tls }), version: "1.1" });
    using limit = deadline(clock, PROBE_TIMEOUT_MS, signal);
    try {
      const response = await client.request({
        method: "GET",
        path,
        headers: {
          accept: "application/json",
          ...(etag !== undefined && { "if-none-match": etag }),
          ...remoteHeaders({ name: "system:kube-aggregator", groups: ["system:masters"] }),
        },
        signal: limit.signal,
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      const { status, headers } = response;
      if ((status < 200 || status > 299) && (status !== 304 || etag === undefined))
        throw new Error(`bad status from ${base}${path}: ${status}`);
      const tag = headers["etag"];
      return { status, body: Buffer.concat(chunks), etag: typeof tag === "string" ? tag : undefined };
    } finally {
      await client.close();
    }
  }
}

function remoteHeaders({ name, uid, groups, extra }: UserInfo): Record<string, string | readonly string[]> {
  return {
    "x-remote-user": name,
    ...(uid !== undefined && { "x-remote-uid": uid }),
    "x-remote-group": groups,
    ...Object.fromEntries(
      Object.entries(extra ?? {}).map(([key, values]) => [
        `x-remote-extra-${encodeURIComponent(key).toLowerCase()}`,
        values,
      ]),
    ),
  };
}

/** As much of a resource as discovery shows. */
function resourcesOf(group: string, version: string, list: APIResourceList): readonly Resource[] {
  const rows = list.resources ?? [];
  return rows
    .filter(({ name }) => !name.includes("/"))
    .map((row) => ({
      group,
      version,
      kind: row.kind,
      plural: row.name,
      scope: row.namespaced ? ("Namespaced" as const) : ("Cluster" as const),
      listKind: `${row.kind}List`,
      singular: row.singularName,
      shortNames: row.shortNames ?? [],
      categories: row.categories ?? [],
      verbs: row.verbs as readonly Verb[],
      schema: { type: "any" as const },
      behaviour: {},
      columns: [],
      selectableFields: {},
      subresources: Object.fromEntries(
        rows
          .filter(({ name }) => name.startsWith(`${row.name}/`))
          .map((sub) => [
            sub.name.slice(row.name.length + 1),
            { verbs: sub.verbs, kind: { group: sub.group ?? group, version: sub.version ?? version, kind: sub.kind } },
          ]),
      ),
      createOnUpdate: false,
      unconditionalUpdate: false,
      storage: { prefix: "", group, version, virtual: true },
      servedByDefault: true,
    }));
}
