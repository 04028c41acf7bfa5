/** All paths that are not resources: health, version, discovery, OpenAPI, metrics. */
import type { ProtobufCodec } from "../../machinery/codec/protobuf.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { goQuote } from "../../base/go-quote.ts";
import { hostPort } from "../../base/host-port.ts";
import type { Address } from "../../world/net.ts";
import type { Aggregator } from "../aggregation/aggregator.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { text } from "../request.ts";
import { VERSION } from "../version.ts";
import type { FlowControl } from "../flow-control/flow-control.ts";
import { dumpPage } from "../flow-control/dump.ts";
import { groupsOf, isBuiltinGroup } from "../../machinery/discovery/groups.ts";
import { mediaTypesFor } from "../negotiation.ts";
import { accepts, RouteError } from "../routing.ts";
import { discovery } from "./discovery.ts";
import type { Documents } from "./documents.ts";
import type { ServerMetrics } from "../metrics.ts";
import { flagz, statusz } from "./zpages.ts";
import type { HealthCheck, HealthResults } from "./health.ts";
import { health } from "./health.ts";
import { noSuchResource, notAllowed, pageNotFound } from "./resources.ts";

export interface NonResourceOptions {
  readonly services: Services;
  readonly codec: ProtobufCodec;
  readonly checks: readonly HealthCheck[];
  readonly startedAt: number;
  readonly health: HealthResults;
  readonly metrics: Metrics;
  /** Of which some have to be asked for first. */
  readonly counted: Pick<ServerMetrics, "refresh">;
  readonly documents: Documents;
  readonly aggregator: Aggregator;
  readonly flow: FlowControl | undefined;
  address(): Address | undefined;
}

const METRICS_HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" };

const ANY_METHOD =
  /^\/(?:(?:healthz|livez|readyz|metrics|openapi|debug|statusz|flagz)(?:\/|$)|apis(?:\/|$)|(?:index\.html)?$)/;

export async function handleNonResource(options: NonResourceOptions, request: ApiRequest): Promise<ApiResponse> {
  const answer = await page(options, request);
  const isThere = answer.kind !== "raw" || answer.status !== 404;
  // What no router stands before takes any method.
  if (isThere && request.method !== "GET" && !ANY_METHOD.test(request.path)) throw notAllowed();
  return answer;
}

async function page(options: NonResourceOptions, request: ApiRequest): Promise<ApiResponse> {
  const { services, checks } = options;
  const { path } = request;
  const first = path.split("/")[1] ?? "";
  switch (first) {
    case "healthz":
    case "livez":
    case "readyz":
      return health(request, first, checks, options.health);
    case "version":
      if (!/^\/version\/*$/.test(path)) throw noSuchResource();
      accepts(request, ["application/json"]);
      return json(VERSION, 2);
    case "metrics":
      if (path === "/metrics/slis") return metricsPage(options, await options.health.render());
      if (path !== "/metrics") return pageNotFound();
      await options.counted.refresh();
      return metricsPage(options, await options.metrics.render());
    case "api":
    case "apis": {
      const found = discovery(
        [...services.registry.resources, ...options.aggregator.resources],
        options.aggregator.versions,
        request,
        hostOf(options),
        options.codec,
      );
      if (found === undefined) return notServed(request);
      if (isRouted(path)) {
        if (request.method !== "GET") throw new RouteError("MethodNotAllowed", notAllowed().message);
        const cbor = request.cbor === true && found.kind === "object" && found.discovery?.cbor === true;
        accepts(request, mediaTypesFor(cbor));
      }
      return found;
    }
    case "openapi":
      return (await options.documents.answer(request)) ?? pageNotFound();
    case "debug": {
      if (!path.startsWith("/debug/api_priority_and_fairness/") || options.flow === undefined) return pageNotFound();
      const { clock } = services;
      const epoch = clock.now() - clock.monotonic();
      return dumpPage(options.flow, path, request.query, (monotonic) => epoch + monotonic) ?? pageNotFound();
    }
    case ".well-known":
      return path.replace(/\/+$/, "") === "/.well-known/openid-configuration"
        ? published(request, services.accounts.openidConfiguration(hostOf(options)), "application/json")
        : pageNotFound();
    case "openid":
      return path.replace(/\/+$/, "") === "/openid/v1/jwks"
        ? published(request, services.accounts.jwks(), "application/jwk-set+json")
        : pageNotFound();
    case "statusz":
    case "flagz":
      if (path !== `/${first}` || !isOn(services, first)) return pageNotFound();
      return first === "flagz"
        ? flagz(request, services.options.flags?.() ?? {})
        : statusz(request, { now: services.clock.now(), startedAt: options.startedAt, paths: paths(options) });
    case "":
    case "index.html":
      return json({ paths: paths(options) }, 2);
    default:
      return pageNotFound();
  }
}

const isOn = ({ featureGates }: Services, page: "statusz" | "flagz"): boolean =>
  featureGates.get(page === "statusz" ? "ComponentStatusz" : "ComponentFlagz") ?? true;

/** `/apis` and its groups are written by hand upstream, and so is all of custom resources; the other lists stand in its table of routes. */
function isRouted(path: string): boolean {
  const [root, group, version] = path.split("/").filter((part) => part !== "");
  return root === "api" || group === "apiregistration.k8s.io" || (version !== undefined && isBuiltinGroup(group!));
}

/** A version that a group of upstream's doesn't have is asked of the group, which has words of its own. */
function notServed(request: ApiRequest): ApiResponse {
  const { info, path } = request;
  if (!info.isResourceRequest && info.apiPrefix !== "") {
    // It comes to no filter that would say how long it keeps.
    for (const name of ["cache-control", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"])
      request.responseHeaders.delete(name);
    return unreadable(request.exchange?.request.url ?? path);
  }
  if (!isRouted(path)) return pageNotFound();
  throw noSuchResource();
}

/** What asks to watch or to reach something, and doesn't say what. */
function unreadable(url: string): ApiResponse {
  const said = url.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]!);
  const why = `failed to create RequestInfo: unable to determine kind and namespace from url, ${said}`;
  return text(500, `Internal Server Error: ${goQuote(said)}: ${why}\n`);
}

/** Whether an encoding is named with more than no weight. */
function weighs(accepted: string, encoding: string): boolean {
  return accepted.split(",").some((token) => {
    const [name, ...parameters] = token.split(";").map((part) => part.trim());
    return name === encoding && !parameters.some((one) => /^q=0(\.0*)?$/.test(one));
  });
}

function metricsPage({ startedAt }: NonResourceOptions, body: string): ApiResponse {
  const headers = { ...METRICS_HEADERS, "process-start-time-unix": String(Math.floor(startedAt / 1000)) };
  return {
    kind: "raw",
    status: 200,
    headers,
    body: body.trimStart(),
    takesGzip: (accepted) => weighs(accepted, "gzip"),
  };
}

/** Where this server is reached; empty where it has no port. */
function hostOf({ services: { options }, address }: NonResourceOptions): string {
  const bound = address();
  if (bound === undefined) return "";
  const { externalHost = "" } = options;
  if (/:\d+$/.test(externalHost) && !externalHost.includes("::")) return externalHost;
  return hostPort(externalHost || (options.advertiseAddress ?? bound.host), bound.port);
}

/** Keys that others may keep for an hour. */
function published(request: ApiRequest, document: object | undefined, contentType: string): ApiResponse {
  if (document === undefined) return pageNotFound();
  if (request.method !== "GET") throw notAllowed();
  accepts(request, [contentType]);
  return {
    kind: "raw",
    status: 200,
    headers: { "content-type": contentType, "cache-control": "public, max-age=3600" },
    body: JSON.stringify(document),
  };
}

function paths({ services, checks, aggregator }: NonResourceOptions): readonly string[] {
  const groups = groupsOf(services.registry.resources, aggregator.versions).filter(({ name }) => name !== "");
  return [
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/",
    ...groups.flatMap(({ name, versions }) => [
      `/apis/${name}`,
      ...versions.map(({ version }) => `/apis/${name}/${version}`),
    ]),
    ...(["healthz", "livez", "readyz"] as const).flatMap((endpoint) => [
      `/${endpoint}`,
      ...checks.filter(({ on }) => on.includes(endpoint)).map(({ name }) => `/${endpoint}/${name}`),
    ]),
    "/metrics",
    "/metrics/slis",
    ...(["statusz", "flagz"] as const).filter((page) => isOn(services, page)).map((page) => `/${page}`),
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
  ].sort();
}

function json(value: unknown, indent: number): ApiResponse {
  return {
    kind: "raw",
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value, undefined, indent),
  };
}
