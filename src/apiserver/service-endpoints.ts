/**
 * Resolves a service to an address, for requests that this server sends itself: to webhooks, to extension servers, and through `…/proxy`.
 * Upstream: staging/src/k8s.io/apiserver/pkg/util/proxy/proxy.go
 */
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";
import type { ClusterView } from "./admission/framework.ts";

export interface ServiceEndpoint {
  readonly ip: string;
  readonly port: number;
}

export function slicesOf(cluster: Pick<ClusterView, "list">, namespace: string, service: string) {
  return (cluster.list("endpointslices.discovery.k8s.io", namespace) as readonly EndpointSlice[]).filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service,
  );
}

/** The endpoints that are ready, behind the service's port of that name. */
export function readyEndpoints(slices: readonly EndpointSlice[], portName = ""): readonly ServiceEndpoint[] {
  return slices.flatMap(({ ports, endpoints }) => {
    const port = ports?.find(({ name = "" }) => name === portName)?.port;
    if (port === undefined) return [];
    return (endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .map(({ addresses }) => ({ ip: addresses[0]!, port }));
  });
}
