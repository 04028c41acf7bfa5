/** Upstream: pkg/api/service/warnings.go */
import type { Service } from "../../../generated/core.v1.ts";

export function serviceWarnings({ metadata, spec }: Service): readonly string[] {
  const warnings: string[] = [];
  if (metadata.annotations?.["service.kubernetes.io/topology-aware-hints"] !== undefined)
    warnings.push(
      "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead",
    );
  const external = (spec.externalIPs ?? []).length > 0;
  if (spec.type === "ClusterIP" && spec.clusterIP === "None") {
    if (spec.loadBalancerIP) warnings.push("spec.loadBalancerIP is ignored for headless services");
    if (external) warnings.push("spec.externalIPs is ignored for headless services");
    if (spec.sessionAffinity !== undefined && spec.sessionAffinity !== "None")
      warnings.push("spec.SessionAffinity is ignored for headless services");
  } else if (external)
    warnings.push(
      spec.type === "ExternalName"
        ? 'spec.externalIPs is ignored when spec.type is "ExternalName"'
        : "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
    );
  if (spec.type !== "ExternalName" && spec.externalName)
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  if (spec.trafficDistribution === "PreferClose")
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  return warnings;
}
