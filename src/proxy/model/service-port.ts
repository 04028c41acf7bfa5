/** What a proxy must know about one port of one service in one IP family. Upstream: pkg/proxy/serviceport.go */
import type { Service } from "../../api/generated/core.v1.ts";

export type Family = 4 | 6;

export interface ServicePort {
  readonly namespace: string;
  readonly service: string;
  /** Empty for the one unnamed port. */
  readonly portName: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly clusterIp: string;
  readonly port: number;
  /** 0 for none. */
  readonly nodePort: number;
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  /** Empty: no filter. */
  readonly sourceRanges: readonly string[];
  /** Seconds of ClientIP affinity; undefined for none. */
  readonly affinitySeconds: number | undefined;
  readonly externalLocal: boolean;
  readonly internalLocal: boolean;
  readonly healthCheckNodePort: number;
}

/** `ns/name:port`, or `ns/name` for an unnamed port. */
export function portKey({
  namespace,
  service,
  portName,
}: Pick<ServicePort, "namespace" | "service" | "portName">): string {
  return portName === "" ? `${namespace}/${service}` : `${namespace}/${service}:${portName}`;
}

export const isExternallyAccessible = (port: ServicePort): boolean =>
  port.nodePort !== 0 || port.loadBalancerIps.length > 0 || port.externalIps.length > 0;

const familyOf = (address: string): Family => (address.includes(":") ? 6 : 4);

/** The ports of a service that this family's proxy serves: none for headless, ExternalName, or where there is no address of the family. */
export function servicePorts(service: Service, family: Family): readonly ServicePort[] {
  const { spec, status, metadata } = service;
  if (
    spec.type === "ExternalName" ||
    spec.clusterIP === undefined ||
    spec.clusterIP === "" ||
    spec.clusterIP === "None"
  )
    return [];
  const clusterIp = (spec.clusterIPs ?? [spec.clusterIP]).find((address) => familyOf(address) === family);
  if (clusterIp === undefined) return [];
  const ofFamily = (address: string) => familyOf(address) === family;
  const ranges = (spec.loadBalancerSourceRanges ?? []).map((range) => range.trim()).filter(ofFamily);
  const externalIps = (spec.externalIPs ?? []).filter(ofFamily);
  const mayBeLocal = spec.type === "NodePort" || spec.type === "LoadBalancer" || (spec.externalIPs ?? []).length > 0;
  const externalLocal = mayBeLocal && spec.externalTrafficPolicy === "Local";
  return (spec.ports ?? []).map((port) => ({
    namespace: metadata.namespace ?? "",
    service: metadata.name,
    portName: port.name ?? "",
    protocol: (port.protocol ?? "TCP").toLowerCase() as ServicePort["protocol"],
    clusterIp,
    port: port.port,
    nodePort: port.nodePort ?? 0,
    externalIps,
    loadBalancerIps: (status.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
      ip !== undefined && ip !== "" && ipMode !== "Proxy" && ofFamily(ip) ? [ip] : [],
    ),
    sourceRanges: ranges.some((range) => range.endsWith("/0")) ? [] : ranges,
    affinitySeconds:
      spec.sessionAffinity === "ClientIP"
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800)
        : undefined,
    externalLocal,
    internalLocal: spec.internalTrafficPolicy === "Local",
    healthCheckNodePort: spec.type === "LoadBalancer" && externalLocal ? (spec.healthCheckNodePort ?? 0) : 0,
  }));
}
