/**
 * The records of the cluster's zone, from services and their slices: the Kubernetes DNS specification 1.1.0, and CoreDNS's choices where that leaves
 * some open (pod names by dashed address, `a-b-c-d` host names of headless endpoints). Pure.
 */
import type { Service } from "../api/generated/core.v1.ts";
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";

/** What a lookup reads. Informers are one of these. */
export interface Zone {
  /** `cluster.local` */
  readonly name: string;
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  namespaceExists(namespace: string): boolean;
  /** Services whose cluster IPs hold the address. */
  servicesByIp(ip: string): readonly Service[];
  /** Slices with an endpoint at the address. */
  slicesByIp(ip: string): readonly EndpointSlice[];
}

export type Record_ =
  | { readonly type: "A" | "AAAA" | "PTR" | "CNAME"; readonly name: string; readonly data: string }
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly data: {
        readonly target: string;
        readonly port: number;
        readonly priority: number;
        readonly weight: number;
      };
    }
  | { readonly type: "TXT"; readonly name: string; readonly data: string };

export type Answer =
  | { readonly kind: "records"; readonly answers: readonly Record_[]; readonly additionals: readonly Record_[] }
  /** The name exists, with no record of this type. */
  | { readonly kind: "no data" }
  | { readonly kind: "no such name" }
  /** Not ours: ask upstream. */
  | { readonly kind: "elsewhere" };

const NO_DATA: Answer = { kind: "no data" };
const NO_NAME: Answer = { kind: "no such name" };
const found = (answers: readonly Record_[], additionals: readonly Record_[] = []): Answer =>
  answers.length === 0 ? NO_DATA : { kind: "records", answers, additionals };

export function lookup(zone: Zone, question: string, type: string): Answer {
  const name = question.toLowerCase().replace(/\.$/, "");
  if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa")) return reverse(zone, question, name, type);
  if (name === zone.name) return NO_DATA;
  if (!name.endsWith(`.${zone.name}`)) return { kind: "elsewhere" };
  const labels = name
    .slice(0, -zone.name.length - 1)
    .split(".")
    .reverse();
  const [kind, namespace, ...rest] = labels;
  if (kind === "dns-version" && labels.length === 1)
    return type === "TXT" ? found([{ type: "TXT", name: question, data: "1.1.0" }]) : NO_DATA;
  if (kind !== "svc" && kind !== "pod") return NO_NAME;
  if (namespace === undefined) return NO_DATA;
  if (!zone.namespaceExists(namespace)) return NO_NAME;
  if (rest.length === 0) return NO_DATA;
  return kind === "pod" ? podName(question, rest, type) : serviceName(zone, question, namespace, rest, type);
}

/** `10-244-0-5.default.pod.cluster.local`: the address is in the name; nobody checks that such a pod lives. */
function podName(question: string, labels: readonly string[], type: string): Answer {
  const [dashed] = labels;
  if (labels.length !== 1 || dashed === undefined) return NO_NAME;
  const v4 = dashed.replaceAll("-", ".");
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(v4) && v4.split(".").every((part) => Number(part) < 256))
    return type === "A" ? found([{ type, name: question, data: v4 }]) : NO_DATA;
  const v6 = dashed.replaceAll("-", ":");
  if (/^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}$/.test(v6) && (v6.includes("::") || v6.split(":").length === 8))
    return type === "AAAA" ? found([{ type, name: question, data: v6 }]) : NO_DATA;
  return NO_NAME;
}

function serviceName(zone: Zone, question: string, namespace: string, labels: readonly string[], type: string): Answer {
  const [serviceLabel, ...more] = labels;
  const service = zone.service(namespace, serviceLabel!);
  if (service === undefined) return NO_NAME;
  const { spec } = service;
  const base = `${serviceLabel}.${namespace}.svc.${zone.name}`;
  if (spec.type === "ExternalName") {
    if (more.length > 0) return NO_NAME;
    return type === "A" || type === "AAAA" || type === "CNAME"
      ? found([{ type: "CNAME", name: question, data: spec.externalName ?? "" }])
      : NO_DATA;
  }
  const headless = spec.clusterIP === "None";
  const hosts = headless ? headlessHosts(zone, namespace, serviceLabel!) : [];
  const addresses = headless
    ? hosts.map(({ ip }) => ip)
    : (spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]));

  // `name.ns.svc`
  if (more.length === 0) {
    if (type === "SRV") return srv(question, base, headless, hosts, headless ? [] : (spec.ports ?? []), addresses);
    if (headless && hosts.length === 0) return NO_NAME;
    return addressRecords(question, addresses, type);
  }
  // `host.name.ns.svc` of a headless service
  if (more.length === 1 && !more[0]!.startsWith("_")) {
    const matching = hosts.filter(({ hostname }) => hostname === more[0]);
    return matching.length === 0
      ? NO_NAME
      : addressRecords(
          question,
          matching.map(({ ip }) => ip),
          type,
        );
  }
  // `_port._protocol.name.ns.svc`
  const [protocol, portName] = [more[0]?.slice(1), more[1]?.slice(1)];
  if (more.length !== 2 || !more.every((label) => label.startsWith("_"))) return NO_NAME;
  if (headless) {
    const matching = hosts
      .map((host) => ({
        ...host,
        ports: host.ports.filter((port) => port.name === portName && port.protocol === protocol),
      }))
      .filter(({ ports }) => ports.length > 0);
    if (matching.length === 0) return NO_NAME;
    return type === "SRV" ? srv(question, base, true, matching, [], []) : NO_DATA;
  }
  const ports = (spec.ports ?? []).filter(
    (port) => (port.name ?? "").toLowerCase() === portName && (port.protocol ?? "TCP").toLowerCase() === protocol,
  );
  if (ports.length === 0) return NO_NAME;
  return type === "SRV" ? srv(question, base, false, [], ports, addresses) : NO_DATA;
}

interface Host {
  readonly ip: string;
  readonly hostname: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

/** Ready endpoints (publishNotReadyAddresses makes the slice say ready), each once. */
function headlessHosts(zone: Zone, namespace: string, service: string): readonly Host[] {
  const hosts = new Map<string, Host>();
  for (const slice of zone.slices(namespace, service)) {
    const ports = (slice.ports ?? []).flatMap(({ name, protocol, port }) =>
      port === undefined ? [] : [{ name: name ?? "", protocol: (protocol ?? "TCP").toLowerCase(), port }],
    );
    for (const { addresses, conditions, hostname } of slice.endpoints ?? []) {
      if (conditions?.ready === false) continue;
      for (const ip of addresses) {
        const before = hosts.get(ip);
        hosts.set(ip, {
          ip,
          hostname: hostname ?? before?.hostname ?? dashed(ip),
          ports: [...(before?.ports ?? []), ...ports],
        });
      }
    }
  }
  return [...hosts.values()].sort((a, b) => (a.ip < b.ip ? -1 : 1));
}

const dashed = (ip: string): string => ip.replaceAll(/[.:]/g, "-");
const typeOf = (ip: string): "A" | "AAAA" => (ip.includes(":") ? "AAAA" : "A");

function addressRecords(name: string, addresses: readonly string[], type: string): Answer {
  return found(addresses.filter((ip) => typeOf(ip) === type).map((ip) => ({ type: typeOf(ip), name, data: ip })));
}

function srv(
  question: string,
  base: string,
  headless: boolean,
  hosts: readonly Host[],
  ports: readonly { readonly port: number }[],
  addresses: readonly string[],
): Answer {
  const record = (target: string, port: number, count: number): Record_ => ({
    type: "SRV",
    name: question,
    data: { target, port, priority: 0, weight: Math.max(1, Math.floor(100 / count)) },
  });
  if (!headless) {
    return found(
      ports.map(({ port }) => record(base, port, ports.length)),
      addresses.map((ip) => ({ type: typeOf(ip), name: base, data: ip })),
    );
  }
  const count = hosts.reduce((sum, host) => sum + host.ports.length, 0);
  return found(
    hosts.flatMap((host) => host.ports.map(({ port }) => record(`${host.hostname}.${base}`, port, count))),
    hosts.map(({ ip, hostname }) => ({ type: typeOf(ip), name: `${hostname}.${base}`, data: ip })),
  );
}

function reverse(zone: Zone, question: string, name: string, type: string): Answer {
  const ip = addressOf(name);
  if (ip === undefined) return NO_NAME;
  const names = [
    ...zone.servicesByIp(ip).map(({ metadata }) => `${metadata.name}.${metadata.namespace}.svc.${zone.name}`),
    ...zone.slicesByIp(ip).flatMap(({ metadata, endpoints }) => {
      const service = metadata.labels?.["kubernetes.io/service-name"];
      const hostname = endpoints?.find(({ addresses }) => addresses.includes(ip))?.hostname;
      if (service === undefined || zone.service(metadata.namespace ?? "", service)?.spec.clusterIP !== "None")
        return [];
      return [`${hostname ?? dashed(ip)}.${service}.${metadata.namespace}.svc.${zone.name}`];
    }),
  ];
  if (names.length === 0) return { kind: "elsewhere" };
  return type === "PTR" ? found([...new Set(names)].map((data) => ({ type: "PTR", name: question, data }))) : NO_DATA;
}

/** `5.0.244.10.in-addr.arpa` -> `10.244.0.5`; IPv6 nibbles likewise, in the shortest form. */
function addressOf(name: string): string | undefined {
  if (name.endsWith(".in-addr.arpa")) {
    const parts = name.slice(0, -".in-addr.arpa".length).split(".").reverse();
    return parts.length === 4 ? parts.join(".") : undefined;
  }
  const nibbles = name.slice(0, -".ip6.arpa".length).split(".").reverse().join("");
  if (!/^[0-9a-f]{32}$/.test(nibbles)) return undefined;
  return shortenIpv6(nibbles.match(/.{4}/g)!.map((group) => group.replace(/^0+(?=.)/, "")));
}

function shortenIpv6(groups: readonly string[]): string {
  const runs = [...groups.join(":").matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const text = groups.join(":");
  const longest = runs[0];
  if (longest === undefined) return text;
  return `${text.slice(0, longest.index).replace(/:$/, "")}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}
