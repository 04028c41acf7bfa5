/** The `…/proxy/…` subresources of nodes, pods and services. Upstream: pkg/registry/core/{node,pod,service}/rest (proxy). */
import type { Endpoints, Pod, Service } from "../../api/generated/core.v1.ts";
import type { Resource } from "../../machinery/resource.ts";
import { badRequest, notFound, StatusError } from "../../machinery/status.ts";
import type { Headers } from "../../world/net.ts";
import { randomInt } from "../../world/world.ts";
import type { Services } from "../registry/context.ts";
import type { SpecialSubresource } from "../registry/specials/index.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { ServiceEndpoint } from "../service-endpoints.ts";
import { kubeletOf } from "./kubelet.ts";
import { admitConnection } from "./pods.ts";
import { linked, withLinks, type Proxy } from "./links.ts";
import type { Target } from "./relay.ts";
import { hostOf, relay } from "./relay.ts";

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

/** The path behind `proxy`, tidied: without `//` and dots, escaped where Go escapes. */
export function rest({ path, query, info }: Pick<ApiRequest, "path" | "query" | "info">, search?: string): string {
  // Counted, not looked for: namespaces and names may be called `proxy`, too.
  const before =
    info.namespace === "" ? "/api/v1/RESOURCE/NAME/proxy" : "/api/v1/namespaces/NAMESPACE/RESOURCE/NAME/proxy";
  const behind = `/${path.split("/").slice(before.split("/").length).join("/")}`;
  return `${tidy(behind)}${search ?? (query.size === 0 ? "" : `?${query.toString()}`)}`;
}

/** Byte for byte: not every path is UTF-8. */
function tidy(path: string): string {
  const plain = path.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  const parts: string[] = [];
  for (const part of plain.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const joined = `/${parts.join("/")}${parts.length > 0 && plain.endsWith("/") ? "/" : ""}`;
  return joined.replace(/[^A-Za-z0-9\-_.~$&+,/:;=@]/g, escaped);
}

const escaped = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** The options that admission sees: the path behind `proxy`, as it is meant. */
function admitted(services: Services, request: ApiRequest, resource: Resource, namespace: string): Promise<void> {
  const { parts, path } = request.info;
  const behind = parts.slice(3).join("/");
  const rooted = behind === "" ? "" : `/${behind}`;
  const whole = path.endsWith("/") && !rooted.endsWith("/") ? `${rooted}/` : rooted;
  const options = { kind: `${resource.kind}ProxyOptions`, apiVersion: "v1", ...(whole !== "" && { path: whole }) };
  return admitConnection(services, request, resource, "proxy", namespace, options);
}

/** What was asked for. Where links within pages lead below the proxy, pages are told so. Upstream: apimachinery/pkg/util/proxy */
async function proxied(services: Services, request: ApiRequest, target: Target): Promise<ApiResponse> {
  const url = request.exchange?.request.url;
  const search = url?.includes("?") === true ? url.slice(url.indexOf("?")) : undefined;
  const behind = rest(request, search);
  // The browser resolves links within the page against this path, so it has to be a folder's.
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isWithoutPath(request) && request.header("upgrade") === undefined && isRead) {
    const query = request.query.toString();
    const location = `${request.rawPath ?? request.path}/${query === "" ? "" : `?${query}`}`;
    return { kind: "raw", status: 301, headers: { Location: location }, body: "" };
  }
  const prefix = prefixOf(request);
  const below = behind.split("?")[0]!;
  const answer = await relay(services, request, target, behind, {
    added: { "x-forwarded-uri": below === "/" ? `${prefix}/` : prefix + below },
  });
  if (answer.kind !== "raw") return answer;
  const { location, "content-type": type = "", ...others } = answer.headers;
  const proxy: Proxy = { prefix, hosts: [hostOf(target.base)], own: request.header("host") ?? "" };
  const headers: Record<string, Headers[string]> = { ...others, ...(type !== "" && { "content-type": type }) };
  for (const name of CORS) delete headers[name];
  if (location !== undefined) return { ...answer, headers: { ...headers, location: linked(String(location), proxy) } };
  if (!/^text\/html\b/i.test(String(type)) || headers["content-encoding"] !== undefined) return { ...answer, headers };
  delete headers["content-length"];
  return { ...answer, headers, body: Buffer.from(withLinks(await wholeOf(answer.body), proxy), "latin1") };
}

/** Who may read what is proxied is for the API server to say. */
const CORS = ["credentials", "headers", "methods", "origin"].map((name) => `access-control-allow-${name}`);

const isWithoutPath = ({ path, info }: ApiRequest) => path.split("/").length === (info.namespace === "" ? 6 : 8);
const prefixOf = ({ path, info }: ApiRequest) =>
  path
    .split("/")
    .slice(0, info.namespace === "" ? 6 : 8)
    .join("/");

async function wholeOf(body: AsyncIterable<Uint8Array> | Uint8Array | string): Promise<string> {
  if (typeof body === "string" || body instanceof Uint8Array) return Buffer.from(body).toString("latin1");
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

export const nodeProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request, nodes, namespace) {
    await admitted(services, request, nodes, namespace);
    const { scheme, name, port } = split(request.info.name, "node");
    const kubelet = await kubeletOf(services, name, "nodes");
    if (!isReachable(kubelet.host)) throw badRequest("address not allowed");
    const own = port === "" || port === String(kubelet.port);
    const target = own ? kubelet : reached(scheme, { ip: kubelet.host, port });
    return proxied(services, request, own ? { base: target.base, ...(target.tls && { tls: target.tls }) } : target);
  },
};

export const podProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request, pods, namespace) {
    await admitted(services, request, pods, namespace);
    const { scheme, name, port } = split(request.info.name, "pod");
    const pod = await services.cluster.live("pods", namespace, name);
    if (pod === undefined) throw notFound(pods, name);
    const ip: string = pod.status?.podIP ?? "";
    if (!isReachable(ip)) throw badRequest("address not allowed");
    return proxied(services, request, reached(scheme, { ip, port: port === "" ? firstPort(pod as Pod) : port }));
  },
};

/** Loopback and link-local addresses are this machine's own affair. */
function isReachable(host: string): boolean {
  const ip = host.toLowerCase();
  if (ip === "") return false;
  if (ip.includes(":")) return !/^(::1?$|fe[89ab]|ff)/.test(ip) && !/^::ffff:(127|169\.254|0)\./.test(ip);
  if (!/^[\d.]+$/.test(ip)) return ip !== "localhost";
  const first = Number(ip.split(".")[0]);
  const isMulticast = first >= 224 && first < 240;
  return first !== 127 && !isMulticast && ip !== "0.0.0.0" && ip !== "255.255.255.255" && !ip.startsWith("169.254.");
}

function firstPort({ spec }: Pod): string {
  const port = spec.containers.flatMap(({ ports = [] }) => ports)[0]?.containerPort;
  return port === undefined ? "" : String(port);
}

export const serviceProxy: SpecialSubresource = {
  verbs: VERBS,
  connects: true,
  async handle(services, request, resource, namespace) {
    await admitted(services, request, resource, namespace);
    const { scheme, name, port } = split(request.info.name, "service");
    const { ip, port: number } = await endpointOf(services, resource, namespace, name, port);
    return proxied(services, request, reached(scheme, { ip, port: String(number) }));
  },
};

/** A port's number stands for its name; a name is looked for where the service is reached. Only pods are. */
async function endpointOf(
  { cluster, random }: Services,
  resource: Resource,
  namespace: string,
  name: string,
  asked: string,
): Promise<ServiceEndpoint> {
  const unavailable = (why: string) =>
    new StatusError("ServiceUnavailable", `${why} for service ${JSON.stringify(name)}`);
  let portName = asked;
  if (/^\d+$/.test(asked)) {
    const service = (await cluster.live("services", namespace, name)) as Service | undefined;
    if (service === undefined) throw notFound(resource, name);
    const port = service.spec.ports?.find((one) => one.port === Number(asked));
    if (port === undefined) throw unavailable(`no service port ${Number(asked)} found`);
    portName = port.name ?? "";
  }
  const endpoints = (await cluster.live("endpoints", namespace, name)) as Endpoints | undefined;
  if (endpoints === undefined) throw notFound(resource, name);
  const { subsets = [] } = endpoints;
  if (subsets.length === 0) throw unavailable("no endpoints available");
  const candidates = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports
      .filter((port) => (port.name ?? "") === portName)
      .flatMap(({ port }) => addresses.map(({ ip, targetRef }) => ({ ip, port, targetRef }))),
  );
  const start = candidates.length === 0 ? 0 : randomInt(random, candidates.length);
  for (const { ip, port, targetRef } of [...candidates.slice(start), ...candidates.slice(0, start)]) {
    if (targetRef?.name === undefined || targetRef.namespace !== namespace) continue;
    const pod = (await cluster.live("pods", namespace, targetRef.name)) as Pod | undefined;
    if (pod?.status?.podIPs?.some((one) => one.ip === ip) === true || pod?.status?.podIP === ip) return { ip, port };
  }
  const id = asked === "" ? name : `${name}:${asked}`;
  throw new StatusError("ServiceUnavailable", `no endpoints available for service ${JSON.stringify(id)}`);
}

const PORT_MAX = 65_535;

/** Pods and services are spoken to as anybody would: their certificates are not checked, ours isn't shown. */
function reached(scheme: string, { ip, port }: { readonly ip: string; readonly port: string }): Target {
  const encrypted = scheme === "https";
  if (/^\d+$/.test(port) ? Number(port) > PORT_MAX : port !== "")
    throw new StatusError(
      "ServiceUnavailable",
      /^\d+$/.test(port)
        ? `error trying to reach service: dial tcp: address ${port}: invalid port`
        : `error trying to reach service: dial tcp: lookup tcp/${port}: unknown port`,
    );
  const host =
    port === "" ? (ip.includes(":") ? `[${ip}]` : ip) : ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
  return { base: `${encrypted ? "https" : "http"}://${host}`, ...(encrypted && { tls: { insecureSkipVerify: true } }) };
}
