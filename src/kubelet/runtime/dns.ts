/** The name servers and search domains of a pod. Upstream: pkg/kubelet/network/dns/dns.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import { podText } from "../format.ts";

export interface Resolver {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface DnsSettings {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The node's resolv.conf; undefined where the setting is empty. */
  readonly node: Resolver | undefined;
}

export interface DnsWarning {
  readonly reason: "MissingClusterDNS" | "DNSConfigForming";
  readonly message: string;
}

const NO_CLUSTER_DNS =
  'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.';
const SERVERS_MAX = 3;
const SEARCHES_MAX = 32;
const SEARCH_LINE_MAX = 2048;

export function parseResolvConf(text: string): Resolver {
  const servers: string[] = [];
  let searches: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver") {
      if (rest[0] === undefined) throw new Error(`nameserver list is empty`);
      servers.push(rest[0]);
    } else if (word === "search") {
      searches = rest.filter((domain) => domain !== ".").map((domain) => domain.replace(/\.$/, ""));
    } else if (word === "options") {
      for (const option of rest) options.set(option.split(":")[0]!, option);
    }
  }
  return { servers, searches, options: [...options.values()] };
}

export function dnsOf(
  pod: Pod,
  settings: DnsSettings,
): { readonly dns: Resolver; readonly warnings: readonly DnsWarning[] } {
  const warnings: DnsWarning[] = [];
  const dns = limit(withPodConfig(pod, byPolicy(pod, settings, warnings)), warnings);
  return { dns, warnings };
}

function byPolicy(pod: Pod, settings: DnsSettings, warnings: DnsWarning[]): Resolver {
  const policy = pod.spec.dnsPolicy ?? "ClusterFirst";
  if (policy === "None") return { servers: [], searches: [], options: [] };
  const cluster = policy === "ClusterFirstWithHostNet" || (policy !== "Default" && pod.spec.hostNetwork !== true);
  const node = settings.node ?? { servers: ["127.0.0.1"], searches: ["."], options: [] };
  if (!cluster) return node;
  if (settings.clusterDns.length === 0) {
    warnings.push({ reason: "MissingClusterDNS", message: `pod: "${podText(pod)}". ${NO_CLUSTER_DNS}` });
    return node;
  }
  const domain = settings.clusterDomain;
  const own = domain === "" ? [] : [`${pod.metadata.namespace ?? ""}.svc.${domain}`, `svc.${domain}`, domain];
  return {
    servers: settings.clusterDns,
    searches: unique([...own, ...(settings.node?.searches ?? [])]),
    options: ["ndots:5"],
  };
}

function withPodConfig(pod: Pod, dns: Resolver): Resolver {
  const config = pod.spec.dnsConfig;
  if (config === undefined) return dns;
  const options = new Map(dns.options.map((option) => [option.split(":")[0]!, option]));
  for (const { name, value } of config.options ?? []) {
    if (name !== undefined) options.set(name, value === undefined ? name : `${name}:${value}`);
  }
  return {
    servers: unique([...dns.servers, ...(config.nameservers ?? [])]),
    searches: unique([...dns.searches, ...(config.searches ?? [])]),
    options: [...options.values()],
  };
}

function limit(dns: Resolver, warnings: DnsWarning[]): Resolver {
  const servers = dns.servers.slice(0, SERVERS_MAX);
  if (servers.length < dns.servers.length) {
    warnings.push({
      reason: "DNSConfigForming",
      message: `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(" ")}`,
    });
  }
  let searches = dns.searches.filter((search) => search.length <= 253).slice(0, SEARCHES_MAX);
  while (searches.join(" ").length > SEARCH_LINE_MAX) searches = searches.slice(0, -1);
  if (searches.length < dns.searches.length) {
    warnings.push({
      reason: "DNSConfigForming",
      message: `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(" ")}`,
    });
  }
  return { servers, searches, options: dns.options };
}

const unique = (items: readonly string[]): readonly string[] => [...new Set(items)];
