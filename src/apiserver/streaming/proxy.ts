/** The `…/proxy/…` subresources of nodes, pods and services. Upstream: pkg/registry/core/{node,pod,service}/rest (proxy). */
import { hostPort } from "../../base/host-port.ts";
import type { Pod, Service } from "../../api/generated/core.v1.ts";
import type { Resource } from "../../machinery/resource.ts";
import { badRequest, notFound, StatusError } from "../../machinery/status.ts";
import { randomInt } from "../../world/world.ts";
import type { Services } from "../registry/context.ts";
import type { SpecialSubresource } from "../registry/specials/index.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { readyEndpoints, slicesOf, type ServiceEndpoint } from "../service-endpoints.ts";
import { kubeletOf } from "./kubelet.ts";
import type { Target } from "./relay.ts";
import { relay } from "./relay.ts";

/** The empty one is OPTIONS, which no verb stands for. */
const VERBS = ["get", "create", "update", "patch", "delete", ""];

/** `name`, `name:port` or `scheme:name:port`. */
function split(id: string, what: string): { readonly scheme: string; readonly name: string; readonly port: string } {
  const parts = id.split(":");
  const [scheme, name, port] =
    parts.length === 1
      ? ["", parts[0]!, ""]
      : parts.length === 2
        ? ["", parts[0]!, parts[1]!]
        : (parts as [string, string, string]);
  if (parts.length > 3 || name === "" || !["", "http", "https"].includes(scheme))
    throw badRequest(`invalid ${what} request ${JSON.stringify(id)}`);
  return { scheme, name, port };
}

/** The path behind `proxy`, as it was sent. */
export function rest({ path, query, info }: Pick<ApiRequest, "path" | "query" | "info">): string {
  // Counted, not looked for: namespaces and names may be called `proxy`, too.
  const before =
    info.namespace === "" ? "/api/v1/RESOURCE/NAME/proxy" : "/api/v1/namespaces/NAMESPACE/RESOURCE/NAME/proxy";
  const behind = path.split("/").slice(before.split("/").length);
  return `/${behind.join("/")}${query.size === 0 ? "" : `?${query.toString()}`}`;
}

/** What was asked for of a pod. Where links within pages lead below the proxy, pages are told so. Upstream: apimachinery/pkg/util/proxy */
async function proxied(services: Services, request: ApiRequest, target: Target): Promise<ApiResponse> {
  const behind = rest(request);
  // The browser resolves links within the page against this path, so it has to be a folder's.
  const query = request.query.toString();
  if (
    isWithoutPath(request) &&
    request.header("upgrade") === undefined &&
    (request.method === "GET" || request.method === "HEAD")
  )
    return {
      kind: "raw",
      status: 301,
      headers: { Location: `${request.path}/${query === "" ? "" : `?${query}`}` },
      body: "",
    };
  const answer = await relay(services, request, target, behind);
  if (answer.kind !== "raw") return answer;
  const [path] = behind.split("?");
  const prefix = request.path.slice(0, request.path.length - path!.length);
  const { location, "content-type": type = "" } = answer.headers as Readonly<Record<string, string | undefined>>;
  const headers = { ...answer.headers, ...(location !== undefined && { location: linked(location, prefix) }) };
  if (!/^text\/html\b/i.test(type)) return { ...answer, headers };
  const page = await wholeOf(answer.body);
  return { ...answer, headers, body: page.replace(/<[a-z][^>]*>/gi, (tag) => withLinks(tag, prefix)) };
}

const isWithoutPath = ({ path, info }: ApiRequest) => path.split("/").length === (info.namespace === "" ? 6 : 8);

const LINKS =
  /(\s(?:action|cite|classid|codebase|data|formaction|href|icon|longdesc|poster|src|usemap)\s*=\s*)(["'])(.*?)\2/gi;

export function withLinks(tag: string, prefix: string): string {
  return tag.replace(
    LINKS,
    (_, name: string, quote: string, link: string) => name + quote + linked(link, prefix) + quote,
  );
}

/** A path from the root, and not yet of the proxy's, is below it. */
const linked = (link: string, prefix: string): string =>
  link.startsWith("/") && !link.startsWith("//") && !link.startsWith(prefix) ? prefix + link : link;

async function wholeOf(body: AsyncIterable<Uint8Array> | Uint8Array | string): Promise<string> {
  if (typeof body === "string" || body instanceof Uint8Array) return Buffer.from(body).toString();
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export const nodeProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request) {
    const { name, port } = split(request.info.name, "node");
    const target = await kubeletOf(services, name, port === "" ? undefined : Number(port));
    return relay(services, request, target, rest(request));
  },
};

export const podProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request, pods, namespace) {
    const { scheme, name, port } = split(request.info.name, "pod");
    const pod = await services.cluster.live("pods", namespace, name);
    if (pod === undefined) throw notFound(pods, name);
    const ip: string = pod.status?.podIP ?? "";
    if (ip === "") throw badRequest("address not allowed");
    const endpoint = { ip, port: port === "" ? firstPort(pod as Pod) : Number(port) };
    return proxied(services, request, reached(scheme, endpoint));
  },
};

function firstPort({ spec }: Pod): number {
  return spec.containers.flatMap(({ ports = [] }) => ports)[0]?.containerPort ?? 80;
}

export const serviceProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request, resource, namespace) {
    const { scheme, name, port } = split(request.info.name, "service");
    const service = await services.cluster.live("services", namespace, name);
    if (service === undefined) throw notFound(resource, name);
    const endpoint = endpointOf(services, resource, service as Service, port);
    return proxied(services, request, reached(scheme, endpoint));
  },
};

/** A port's number stands for its name; a name is looked for where the service is reached. */
function endpointOf(services: Services, resource: Resource, service: Service, asked: string): ServiceEndpoint {
  const { name, namespace = "" } = service.metadata;
  const ports = service.spec.ports ?? [];
  const isNumber = /^\d+$/.test(asked);
  const port = asked === "" ? ports[0] : ports.find((one) => isNumber && one.port === Number(asked));
  const unavailable = (why: string) =>
    new StatusError("ServiceUnavailable", `${why} for service ${JSON.stringify(name)}`);
  if (isNumber && port === undefined) throw unavailable(`no service port ${Number(asked)} found`);
  const slices = slicesOf(services.cluster, namespace, name);
  if (slices.length === 0) throw notFound(resource, name);
  const candidates = readyEndpoints(slices, port === undefined ? asked : port.name);
  if (candidates.length === 0) throw unavailable("no endpoints available");
  return candidates[randomInt(services.random, candidates.length)]!;
}

/** Pods and services are spoken to as anybody would: their certificates are not checked, ours isn't shown. */
function reached(scheme: string, endpoint: ServiceEndpoint): Target {
  const encrypted = scheme === "https";
  return {
    base: `${encrypted ? "https" : "http"}://${hostPort(endpoint.ip, endpoint.port)}`,
    ...(encrypted && { tls: { insecureSkipVerify: true } }),
  };
}
