/** From services and slices to what each port needs. Every back end renders this model. */
import type { Service } from "../../api/generated/core.v1.ts";
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import { type Endpoint, endpointsByPort, selectEndpoints, type Selection } from "./endpoints.ts";
import { type Family, portKey, type ServicePort, servicePorts } from "./service-port.ts";

export interface PortModel extends Selection {
  readonly port: ServicePort;
  /** `ns/name:port` */
  readonly key: string;
  readonly all: readonly Endpoint[];
}

export interface NodeInfo {
  readonly name: string;
  readonly zone: string | undefined;
}

/** One service in one family, ports in the order of the spec. */
export function modelService(
  service: Service,
  slices: readonly EndpointSlice[],
  family: Family,
  node: NodeInfo,
): readonly PortModel[] {
  const ports = servicePorts(service, family);
  if (ports.length === 0) return [];
  const endpoints = endpointsByPort(slices, family, node.name);
  return ports.map((port) => {
    const all = endpoints.get(`${port.portName}/${port.protocol}`) ?? [];
    return { port, key: portKey(port), all, ...selectEndpoints(port, all, node) };
  });
}
