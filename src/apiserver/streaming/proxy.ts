/** `…/proxy/…` of nodes, pods and services. Upstream: pkg/registry/core/{node,pod,service}/rest (proxy). */
import { badRequest, notFound, StatusError } from "../../machinery/status.ts";
import { randomInt } from "../../world/world.ts";
import type { Services } from "../registry/context.ts";
import type { SpecialSubresource } from "../registry/specials/index.ts";
import type { ApiRequest } from "../request.ts";
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
function rest(request: ApiRequest): string {
  const mark = "/proxy";
  const at = request.path.indexOf(mark, request.path.indexOf(`/${request.info.resource}/`));
  const path = request.path.slice(at + mark.length);
  const query = request.query.toString();
  return `${path === "" ? "/" : path}${query === "" ? "" : `?${query}`}`;
}

export const nodeProxy: SpecialSubresource = {
  verbs: VERBS,
  async handle(services, request) {
    const { name, port } = split(request.info.name, "node");
    const target = await kubeletOf(services, name, port === "" ? undefined : Number(port));
    return relay(services, request, target, rest(request));
  },
};

export const podProxy: SpecialSubresource = {
  verbs: VERBS,
  async handle(services, request, pods, namespace) {
    const { scheme, name, port } = split(request.info.name, "pod");
    const pod = await services.cluster.live("pods", namespace, name);
    if (pod === undefined) throw notFound(pods, name);
    const number = port === "" ? firstPort(pod) : Number(port);
    const ip: string = pod.status?.podIP ?? "";
    if (ip === "") throw badRequest("address not allowed");
    return relay(services, request, reached(scheme, ip, number), rest(request));
  },
};

function firstPort(pod: any): number {
  for (const container of pod.spec.containers) for (const port of container.ports ?? []) return port.containerPort;
  return 80;
}

export const serviceProxy: SpecialSubresource = {
  verbs: VERBS,
  async handle(services, request, resource, namespace) {
    const { scheme, name, port } = split(request.info.name, "service");
    const service = await services.cluster.live("services", namespace, name);
    if (service === undefined) throw notFound(resource, name);
    const { ip, number } = endpointOf(services, service, port);
    return relay(services, request, reached(scheme, ip, number), rest(request));
  },
};

function endpointOf(services: Services, service: any, asked: string): { readonly ip: string; readonly number: number } {
  const { name, namespace } = service.metadata;
  const ports: readonly any[] = service.spec.ports ?? [];
  const port = asked === "" ? ports[0] : ports.find((one) => one.name === asked || String(one.port) === asked);
  if (port === undefined)
    throw new StatusError(
      "ServiceUnavailable",
      `no service port ${JSON.stringify(asked)} found for service ${JSON.stringify(name)}`,
    );
  const candidates = services.cluster
    .list("endpointslices.discovery.k8s.io", namespace)
    .filter((slice) => slice.metadata.labels?.["kubernetes.io/service-name"] === name)
    .flatMap((slice) => {
      const number = (slice.ports ?? []).find((one: any) => (one.name ?? "") === (port.name ?? ""))?.port;
      if (number === undefined) return [];
      return (slice.endpoints ?? [])
        .filter((endpoint: any) => endpoint.conditions?.ready !== false)
        .map((endpoint: any) => ({ ip: endpoint.addresses[0] as string, number: number as number }));
    });
  if (candidates.length === 0)
    throw new StatusError("ServiceUnavailable", `no endpoints available for service ${JSON.stringify(name)}`);
  return candidates[randomInt(services.random, candidates.length)]!;
}

/** Pods and services are spoken to as anybody would: their certificates are not checked, ours isn't shown. */
function reached(scheme: string, ip: string, port: number): Target {
  return { base: base(scheme, ip, port), ...(scheme === "https" && { tls: { insecureSkipVerify: true } }) };
}

function base(scheme: string, ip: string, port: number): string {
  return `${scheme === "https" ? "https" : "http"}://${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}
