import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, lookup, type Zone } from "./records.ts";

const service = (namespace: string, name: string, spec: object) => ({ metadata: { namespace, name }, spec }) as never;
const all = new Map<string, any>([
  [
    "default/web",
    service("default", "web", {
      type: "ClusterIP",
      clusterIP: "10.96.0.20",
      clusterIPs: ["10.96.0.20", "fd00::20"],
      ports: [{ name: "http", port: 80, protocol: "TCP" }],
    }),
  ],
  [
    "default/db",
    service("default", "db", { type: "ClusterIP", clusterIP: "None", ports: [{ name: "sql", port: 5432 }] }),
  ],
  ["default/empty", service("default", "empty", { type: "ClusterIP", clusterIP: "None" })],
  ["default/out", service("default", "out", { type: "ExternalName", externalName: "example.com" })],
]);
const slice = {
  metadata: { namespace: "default", name: "db-1", labels: { "kubernetes.io/service-name": "db" } },
  ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
  endpoints: [
    { addresses: ["10.244.0.6"], conditions: { ready: true } },
    { addresses: ["10.244.0.5"], hostname: "db-0", conditions: { ready: true } },
    { addresses: ["10.244.0.7"], hostname: "db-2", conditions: { ready: false } },
  ],
} as any;
const zone: Zone = {
  name: "cluster.local",
  service: (namespace, name) => all.get(`${namespace}/${name}`),
  slices: (_, name) => (name === "db" ? [slice] : []),
  namespaceExists: (namespace) => namespace === "default",
  servicesByIp: (ip) => [...all.values()].filter(({ spec }) => spec.clusterIPs?.includes(ip)),
  slicesByIp: (ip) => (slice.endpoints.some(({ addresses }: any) => addresses.includes(ip)) ? [slice] : []),
};

const text = (answer: Answer): string => {
  if (answer.kind !== "records") return answer.kind;
  const show = ({ type, data }: any) => `${type} ${typeof data === "string" ? data : `${data.target}:${data.port}`}`;
  return [...answer.answers.map(show), ...answer.additionals.map((record) => `+${show(record)}`)].join(", ");
};
const cases: readonly (readonly [string, string, string])[] = [
  ["web.default.svc.cluster.local", "A", "A 10.96.0.20"],
  ["WEB.default.svc.Cluster.Local.", "AAAA", "AAAA fd00::20"],
  ["web.default.svc.cluster.local", "MX", "no data"],
  [
    "_http._tcp.web.default.svc.cluster.local",
    "SRV",
    "SRV web.default.svc.cluster.local:80, +A 10.96.0.20, +AAAA fd00::20",
  ],
  ["_http._udp.web.default.svc.cluster.local", "SRV", "no such name"],
  ["db.default.svc.cluster.local", "A", "A 10.244.0.5, A 10.244.0.6"],
  ["db-0.db.default.svc.cluster.local", "A", "A 10.244.0.5"],
  ["10-244-0-6.db.default.svc.cluster.local", "A", "A 10.244.0.6"],
  ["db-2.db.default.svc.cluster.local", "A", "no such name"],
  [
    "_sql._tcp.db.default.svc.cluster.local",
    "SRV",
    "SRV db-0.db.default.svc.cluster.local:5432, SRV 10-244-0-6.db.default.svc.cluster.local:5432, +A 10.244.0.5, +A 10.244.0.6",
  ],
  ["empty.default.svc.cluster.local", "A", "no such name"],
  ["out.default.svc.cluster.local", "A", "CNAME example.com"],
  ["nope.default.svc.cluster.local", "A", "no such name"],
  ["web.nowhere.svc.cluster.local", "A", "no such name"],
  ["default.svc.cluster.local", "A", "no data"],
  ["10-244-0-5.default.pod.cluster.local", "A", "A 10.244.0.5"],
  ["10-244-0-999.default.pod.cluster.local", "A", "no such name"],
  ["20.0.96.10.in-addr.arpa", "PTR", "PTR web.default.svc.cluster.local"],
  ["5.0.244.10.in-addr.arpa", "PTR", "PTR db-0.db.default.svc.cluster.local"],
  [
    "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
    "PTR",
    "PTR web.default.svc.cluster.local",
  ],
  ["8.8.8.8.in-addr.arpa", "PTR", "elsewhere"],
  ["example.com", "A", "elsewhere"],
  ["dns-version.cluster.local", "TXT", "TXT 1.1.0"],
];
for (const [name, type, want] of cases)
  test(`${type} ${name}`, () => assert.equal(text(lookup(zone, name, type)), want));
