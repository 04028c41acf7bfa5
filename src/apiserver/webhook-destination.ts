/**
 * The address of a webhook, from the client configuration that admission and conversion webhooks share.
 * Upstream: apiserver/pkg/util/webhook/client.go.
 */
import { hostPort } from "../base/host-port.ts";
import type { Random } from "../world/world.ts";
import { randomInt } from "../world/world.ts";
import type { AnyObject, ClusterView } from "./admission/framework.ts";
import { readyEndpoints, slicesOf } from "./service-endpoints.ts";

export interface Destination {
  readonly base: string;
  readonly path: string;
  readonly url: string;
  readonly serverName?: string;
}

/** Why nobody answered, in Go's words where they are known. */
export function unreachable(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as {
    readonly code?: string;
    readonly address?: string;
    readonly port?: number;
  };
  const words = {
    ECONNREFUSED: "connection refused",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
  };
  if (error.message === "socket hang up") return "EOF";
  if (code === undefined || address === undefined || port === undefined || !(code in words)) return error.message;
  return `dial tcp ${hostPort(address, port)}: connect: ${words[code as keyof typeof words]}`;
}

/** A URL, or a service: one of its ready endpoints, under the service's name. */
export function destinationOf(
  config: AnyObject,
  seconds: number,
  { cluster, random }: { readonly cluster: ClusterView; readonly random: Random },
  what = "failed to call webhook:",
): Destination {
  if (config.url !== undefined) {
    const url = new URL(config.url);
    url.searchParams.set("timeout", `${seconds}s`);
    // envtest writes two slashes; Go's servers answer them with a redirect.
    url.pathname = url.pathname.replace(/\/{2,}/g, "/");
    return { base: url.origin, path: `${url.pathname}${url.search}`, url: url.href };
  }
  const { name, namespace, path = "", port = 443 } = config.service;
  const host = `${name}.${namespace}.svc`;
  const route = `${path.startsWith("/") ? "" : "/"}${path}?timeout=${seconds}s`;
  const url = `https://${host}:${port}${route}`;
  const fail = (why: string) => new Error(`${what} Post "${url}": ${why}`.trimStart());
  const service = cluster.get("services", namespace, name);
  if (service === undefined) throw fail(`service ${JSON.stringify(name)} not found`);
  if (service.spec.type === "ExternalName")
    return { base: `https://${service.spec.externalName}:${port}`, path: route, url, serverName: host };
  const servicePort = (service.spec.ports ?? []).find((one: AnyObject) => one.port === port);
  const endpoints = readyEndpoints(slicesOf(cluster, namespace, name), servicePort?.name);
  if (endpoints.length === 0) throw fail(`no endpoints available for service ${JSON.stringify(name)}`);
  const chosen = endpoints[randomInt(random, endpoints.length)]!;
  return {
    base: `https://${hostPort(chosen.ip, chosen.port)}`,
    path: route,
    url,
    serverName: host,
  };
}
