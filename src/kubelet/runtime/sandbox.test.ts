import { qosClassOf } from "../../api/core/v1/pod/resources.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { cgroupFiles, podCgroupValues, weightOf } from "../cgroups/values.ts";
import { podCgroupPath } from "../cgroups/names.ts";
import { goDuration } from "../format.ts";
import { dnsOf, parseResolvConf } from "./dns.ts";
import { renderHosts, renderNodeHosts } from "./hosts.ts";
import { kernelHostname } from "./hostname.ts";
import { containerResources, quotaOf, sharesOf } from "./linux-resources.ts";
import { podRequests } from "./pod-resources.ts";
import { portMappings } from "./sandbox-config.ts";

const pod = (spec: object, metadata: object = {}): Pod =>
  ({ metadata: { name: "p", namespace: "ns", uid: "u", ...metadata }, spec: { containers: [], ...spec } }) as never;
const container = (resources: object) => ({ name: "c", resources });
const settings = {
  cpuCfsQuota: true,
  memoryCapacityBytes: 16 * 2 ** 30,
  cgroupVersion: 2,
  swapController: false,
  podPidsLimit: -1,
} as const;
const guaranteed = pod({
  containers: [container({ requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } })],
});
const burstable = pod({
  containers: [container({ requests: { cpu: "250m", memory: "64Mi" }, limits: { cpu: "500m", memory: "128Mi" } })],
});
const bestEffort = pod({ containers: [container({})] });

test("quality of service follows requests and limits", () => {
  assert.deepEqual(
    [guaranteed, burstable, bestEffort].map(({ spec }) => qosClassOf(spec)),
    ["Guaranteed", "Burstable", "BestEffort"],
  );
});

test("a pod's cgroup is below its class, and its values follow upstream's examples", () => {
  assert.equal(podCgroupPath("/", "Burstable", "u"), "/kubepods/burstable/podu");
  assert.equal(podCgroupPath("/node-1", "Guaranteed", "u"), "/node-1/kubepods/podu");
  const v2 = (object: Pod) => cgroupFiles(podCgroupValues(object, settings), 2).map(({ value }) => value);
  assert.deepEqual(v2(burstable), ["10", "50000 100000", "134217728", "max"]);
  assert.deepEqual(v2(guaranteed), ["39", "100000 100000", "1073741824", "max"]);
  assert.deepEqual(v2(bestEffort), ["1", "max 100000", "max", "max"]);
  assert.equal(weightOf(262_144), 10_000);
});

test("requests and limits become shares, quota and a score for the day memory runs out", () => {
  assert.deepEqual([0, 1, 250, 1_000_000].map(sharesOf), [2, 2, 256, 262_144]);
  assert.deepEqual(
    [0, 5, 500].map((milli) => quotaOf(milli)),
    [0, 1000, 50_000],
  );
  const of = (object: Pod) => containerResources(object, object.spec.containers[0]!, settings);
  assert.deepEqual(of(burstable), {
    cpu_shares: 256,
    cpu_period: 100_000,
    cpu_quota: 50_000,
    memory_limit_in_bytes: 134_217_728,
    oom_score_adj: 997,
    unified: { "memory.oom.group": "1" },
  });
  assert.deepEqual(
    [guaranteed, bestEffort].map((object) => of(object).oom_score_adj),
    [-997, 1000],
  );
});

test("init containers count one at a time, sidecars from their start", () => {
  const cpu = (milli: string, more: object = {}) => ({ name: milli, resources: { requests: { cpu: milli } }, ...more });
  const object = pod({
    initContainers: [cpu("900m"), cpu("100m", { restartPolicy: "Always" }), cpu("700m")],
    containers: [cpu("200m"), cpu("300m")],
    overhead: { cpu: "10m" },
  });
  assert.equal(podRequests(object)["cpu"], 910);
});

const node = parseResolvConf(
  "# comment\nnameserver 192.0.2.53\nsearch old\nsearch example.com.\noptions timeout:2 rotate\n",
);
const dnsSettings = { clusterDns: ["10.96.0.10"], clusterDomain: "cluster.local", node };
for (const [name, spec, expected] of [
  [
    "ClusterFirst",
    { dnsPolicy: "ClusterFirst" },
    ["10.96.0.10 | ns.svc.cluster.local svc.cluster.local cluster.local example.com | ndots:5"],
  ],
  ["Default", { dnsPolicy: "Default" }, ["192.0.2.53 | example.com | timeout:2 rotate"]],
  [
    "ClusterFirst on the host network",
    { dnsPolicy: "ClusterFirst", hostNetwork: true },
    ["192.0.2.53 | example.com | timeout:2 rotate"],
  ],
  [
    "None with a configuration of its own",
    {
      dnsPolicy: "None",
      dnsConfig: {
        nameservers: ["192.0.2.1"],
        searches: ["a"],
        options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
      },
    },
    ["192.0.2.1 | a | ndots:2 edns0"],
  ],
] as const)
  test(`a pod with DNS policy ${name} gets its resolver`, () => {
    const { dns } = dnsOf(pod(spec), dnsSettings);
    assert.deepEqual([[dns.servers, dns.searches, dns.options].map((part) => part.join(" ")).join(" | ")], expected);
  });

test("more than three name servers are cut, and the pod is told", () => {
  const nameservers = ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"];
  const { dns, warnings } = dnsOf(pod({ dnsPolicy: "None", dnsConfig: { nameservers } }), dnsSettings);
  assert.equal(dns.servers.length, 3);
  assert.equal(
    warnings[0]?.message,
    "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3",
  );
});

test("the hosts file has the pod's names and its aliases", () => {
  const text = renderHosts({
    ips: ["10.244.0.5"],
    hostname: "web-0",
    domain: "nginx.default.svc.cluster.local",
    aliases: [{ ip: "192.0.2.7", hostnames: ["a", "b"] }],
  });
  assert.ok(text.startsWith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
  assert.ok(text.includes("\n10.244.0.5\tweb-0.nginx.default.svc.cluster.local\tweb-0\n"));
  assert.ok(text.endsWith("\n\n# Entries added by HostAliases.\n192.0.2.7\ta\tb\n"));
  assert.equal(renderNodeHosts("127.0.0.1 x\n", []), "# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n");
});

test("a pod's hostname is its name, its own choice, or the whole domain name", () => {
  assert.equal(kernelHostname(pod({}, { name: `${"x".repeat(62)}-y` }), "cluster.local"), "x".repeat(62));
  assert.equal(kernelHostname(pod({ hostname: "h", subdomain: "s" }), "cluster.local"), "h");
  assert.equal(kernelHostname(pod({ hostname: "h", subdomain: "s", setHostnameAsFQDN: true }), "d"), "h.s.ns.svc.d");
});

test("ports without a host port are mapped too, and the same one only once", () => {
  const ports = [
    { containerPort: 80, protocol: "TCP" },
    { containerPort: 80, protocol: "TCP" },
    { containerPort: 53, hostPort: 5353, protocol: "UDP", hostIP: "127.0.0.1" },
  ];
  assert.deepEqual(portMappings({ name: "c", resources: {}, ports }), [
    { protocol: "TCP", container_port: 80, host_port: 0, host_ip: "" },
    { protocol: "UDP", container_port: 53, host_port: 5353, host_ip: "127.0.0.1" },
  ]);
});

for (const [ms, text] of [
  [0, "0s"],
  [10_000, "10s"],
  [80_000, "1m20s"],
  [300_000, "5m0s"],
  [3_605_000, "1h0m5s"],
  [1234, "1.234s"],
  [250, "250ms"],
] as const)
  test(`${ms} ms are written ${text}`, () => assert.equal(goDuration(ms), text));
