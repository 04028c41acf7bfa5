/**
 * Cluster IPs, IP families and node ports are not here: giving them out needs the allocators, which are the API server's.
 * Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/service/strategy.go
 */
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, column, labelsText, nameColumn, orNone, wide } from "../../../columns.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { Service, ServiceSpec } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { nameIsLabel } from "../../../../machinery/validation/names.ts";
import { hasClusterIPs, isExternallyAccessible, needsHealthCheck } from "./needs.ts";
import { validateService, validateServiceStatus, validateServiceUpdate } from "./validation.ts";
import { balancerWarnings, serviceWarnings } from "./warnings.ts";

export const services = defineResource<Service>({
  group: "",
  version: "v1",
  kind: "Service",
  behaviour: {
    defaults: defaultService,
    prepareForUpdate(service, old) {
      dropWhatTheTypeNoLongerNeeds(service.spec, old.spec);
      // Taking a load balancer down takes time, of which a user need not know.
      if (service.spec.type !== "LoadBalancer" && service.status?.loadBalancer !== undefined)
        service.status = { ...service.status, loadBalancer: {} };
    },
    validate: validateService,
    validateUpdate: validateServiceUpdate,
    warnings: serviceWarnings,
  },
  views: {
    status: { validateUpdate: validateServiceStatus, warnings: ({ status }) => balancerWarnings(status) },
  },
  nameRule: nameIsLabel,
  selectableFields: {
    "spec.clusterIP": ({ spec }) => spec.clusterIP ?? "",
    "spec.type": ({ spec }) => spec.type ?? "",
  },
  columns: [
    nameColumn,
    column("Type", "string", ({ spec }) => spec.type ?? ""),
    column("Cluster-IP", "string", ({ spec }) => orNone(spec.clusterIPs?.[0])),
    column("External-IP", "string", externalAddress),
    column("Port(s)", "string", ({ spec }) =>
      orNone(
        (spec.ports ?? [])
          .map(({ port, nodePort, protocol }) =>
            (nodePort ?? 0) > 0 ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
          )
          .join(","),
      ),
    ),
    ageColumn,
    wide("Selector", "string", ({ spec }) => labelsText(spec.selector)),
  ],
});

function defaultService(service: Mutable<Service>): void {
  const spec = service.spec;
  ifEmpty(spec, "sessionAffinity", "None");
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP" && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined)
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10800 } };
  ifEmpty(spec, "type", "ClusterIP");
  for (const port of spec.ports ?? []) {
    ifEmpty(port, "protocol", "TCP");
    ifEmpty(port, "targetPort", port.port);
  }
  if (isExternallyAccessible(spec)) ifEmpty(spec, "externalTrafficPolicy", "Cluster");
  if (hasClusterIPs(spec)) ifAbsent(spec, "internalTrafficPolicy", "Cluster");
  if (spec.type === "LoadBalancer") {
    ifAbsent(spec, "allocateLoadBalancerNodePorts", true);
    for (const ingress of service.status?.loadBalancer?.ingress ?? [])
      if (ingress.ip) ifAbsent(ingress, "ipMode", "VIP");
  }
}

/** A client that changes only the type wants the fields of the old type to be cleared; one that also sets those fields wants what it sets. */
function dropWhatTheTypeNoLongerNeeds(spec: Mutable<ServiceSpec>, old: ServiceSpec): void {
  const [hadAddresses, hasAddresses] = [old, spec].map(({ type }) => type !== "ExternalName");
  const [hadPorts, hasPorts] = [old, spec].map(({ type }) => type === "NodePort" || type === "LoadBalancer");
  if (hadAddresses && !hasAddresses) {
    if (spec.clusterIP === old.clusterIP && semanticEqual(spec.clusterIPs, old.clusterIPs)) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    if (semanticEqual(spec.ipFamilies, old.ipFamilies)) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === old.ipFamilyPolicy) delete spec.ipFamilyPolicy;
  }
  if (hadPorts && !hasPorts) {
    const before = new Set((old.ports ?? []).map(({ nodePort }) => nodePort ?? 0));
    if ((spec.ports ?? []).every(({ nodePort }) => before.has(nodePort ?? 0)))
      for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheck(old) && !needsHealthCheck(spec) && spec.healthCheckNodePort === old.healthCheckNodePort)
    delete spec.healthCheckNodePort;
  if (old.type === "LoadBalancer" && spec.type !== "LoadBalancer") {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts)
      delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
  if (
    isExternallyAccessible(old) &&
    !isExternallyAccessible(spec) &&
    spec.externalTrafficPolicy === old.externalTrafficPolicy
  )
    delete spec.externalTrafficPolicy;
}

function externalAddress({ spec, status }: Service): string {
  const external = spec.externalIPs ?? [];
  switch (spec.type) {
    case "ClusterIP":
    case "NodePort":
      return orNone(external.join(","));
    case "LoadBalancer": {
      const balancers = new Set((status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || ""));
      balancers.delete("");
      const all = [...[...balancers].sort(), ...external];
      return all.length === 0 ? "<pending>" : all.join(",");
    }
    case "ExternalName":
      return spec.externalName ?? "";
    default:
      return "<unknown>";
  }
}
