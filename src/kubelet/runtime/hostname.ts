/** The host name and domain of a pod. Upstream: pkg/kubelet/kubelet_pods.go GeneratePodHostNameAndDomain */
import type { Pod } from "../../api/generated/core.v1.ts";

export function hostnameOf(pod: Pod, clusterDomain: string): { readonly hostname: string; readonly domain: string } {
  const { spec } = pod;
  if (spec.hostnameOverride !== undefined && spec.hostnameOverride !== "")
    return { hostname: spec.hostnameOverride.slice(0, 63), domain: "" };
  const given = spec.hostname !== undefined && spec.hostname !== "" ? spec.hostname : pod.metadata.name;
  const hostname = given.slice(0, 63).replace(/[-.]+$/, "");
  if (hostname === "") throw new Error(`invalid pod hostname "${given}"`);
  const domain =
    spec.subdomain !== undefined && spec.subdomain !== ""
      ? `${spec.subdomain}.${pod.metadata.namespace ?? ""}.svc.${clusterDomain}`
      : "";
  return { hostname, domain };
}

/** What `uname -n` says in the pod. */
export function kernelHostname(pod: Pod, clusterDomain: string): string {
  const { hostname, domain } = hostnameOf(pod, clusterDomain);
  if (pod.spec.setHostnameAsFQDN !== true || domain === "") return hostname;
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length > 64) {
    throw new Error(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (64 characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return fqdn;
}
