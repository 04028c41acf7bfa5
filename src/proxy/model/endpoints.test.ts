import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlows, staleFlows } from "../conntrack.ts";
import { type Endpoint, selectEndpoints } from "./endpoints.ts";
import type { ServicePort } from "./service-port.ts";

const port: ServicePort = {
  namespace: "default",
  service: "web",
  portName: "",
  protocol: "tcp",
  clusterIp: "10.96.0.1",
  port: 80,
  nodePort: 0,
  externalIps: [],
  loadBalancerIps: [],
  sourceRanges: [],
  affinitySeconds: undefined,
  externalLocal: false,
  internalLocal: false,
  healthCheckNodePort: 0,
};
const endpoint = (ip: string, more: Partial<Endpoint> = {}): Endpoint => ({
  ip,
  port: 80,
  ready: true,
  serving: true,
  terminating: false,
  local: true,
  zoneHints: new Set(),
  nodeHints: new Set(),
  ...more,
});
const terminating = { ready: false, terminating: true };
const node = { name: "me", zone: "a" };

const cases: readonly {
  readonly name: string;
  readonly port?: Partial<ServicePort>;
  readonly endpoints: readonly Endpoint[];
  readonly cluster: readonly string[];
  readonly local: readonly string[];
  readonly any: boolean;
}[] = [
  {
    name: "ready endpoints are used, wherever they are",
    endpoints: [endpoint("1"), endpoint("2", { local: false })],
    cluster: ["1", "2"],
    local: [],
    any: true,
  },
  {
    name: "one that isn't ready is left out",
    endpoints: [endpoint("1"), endpoint("2", { ready: false, serving: false })],
    cluster: ["1"],
    local: [],
    any: true,
  },
  {
    name: "terminating ones serve when nobody is ready",
    endpoints: [endpoint("1", terminating)],
    cluster: ["1"],
    local: [],
    any: true,
  },
  {
    name: "terminating ones don't serve beside a ready one",
    endpoints: [endpoint("1", terminating), endpoint("2")],
    cluster: ["2"],
    local: [],
    any: true,
  },
  {
    name: "terminating ones that no longer serve get nothing",
    endpoints: [endpoint("1", { ...terminating, serving: false })],
    cluster: [],
    local: [],
    any: false,
  },
  {
    name: "the local policy takes those of this node",
    port: { internalLocal: true },
    endpoints: [endpoint("1"), endpoint("2", { local: false })],
    cluster: [],
    local: ["1"],
    any: true,
  },
  {
    name: "the local policy with nobody here still knows of others",
    port: { internalLocal: true },
    endpoints: [endpoint("2", { local: false })],
    cluster: [],
    local: [],
    any: true,
  },
  {
    name: "an external local policy keeps the cluster list for pods",
    port: { externalLocal: true, nodePort: 30000 },
    endpoints: [endpoint("1"), endpoint("2", { local: false })],
    cluster: ["1", "2"],
    local: ["1"],
    any: true,
  },
  {
    name: "zone hints keep traffic near when everyone has them",
    endpoints: [endpoint("1", { zoneHints: new Set(["a"]) }), endpoint("2", { zoneHints: new Set(["b"]) })],
    cluster: ["1"],
    local: [],
    any: true,
  },
  {
    name: "half a set of hints is no set",
    endpoints: [endpoint("1", { zoneHints: new Set(["a"]) }), endpoint("2")],
    cluster: ["1", "2"],
    local: [],
    any: true,
  },
  {
    name: "hints that all name other zones are ignored",
    endpoints: [endpoint("1", { zoneHints: new Set(["b"]) })],
    cluster: ["1"],
    local: [],
    any: true,
  },
  {
    name: "node hints come before zone hints",
    endpoints: [
      endpoint("1", { nodeHints: new Set(["me"]), zoneHints: new Set(["b"]) }),
      endpoint("2", { nodeHints: new Set(["you"]), zoneHints: new Set(["a"]) }),
    ],
    cluster: ["1"],
    local: [],
    any: true,
  },
];
for (const { name, port: more, endpoints, cluster, local, any } of cases) {
  test(name, () => {
    const selection = selectEndpoints({ ...port, ...more }, endpoints, node);
    assert.deepEqual(
      {
        cluster: selection.cluster.map(({ ip }) => ip),
        local: selection.local.map(({ ip }) => ip),
        any: selection.any,
      },
      { cluster, local, any },
    );
  });
}

test("UDP flows to an endpoint that is gone are stale; others stay", () => {
  const dns = { ...port, protocol: "udp" as const, clusterIp: "10.96.0.10", port: 53, nodePort: 30053 };
  const model = new Map([
    [
      "kube-system/kube-dns",
      [{ port: dns, key: "", all: [endpoint("10.244.0.2", { port: 53 })], cluster: [], local: [], any: true }],
    ],
  ]);
  const flows = parseFlows(`
udp      17 29 src=10.244.0.9 dst=10.96.0.10 sport=5000 dport=53 [UNREPLIED] src=10.244.0.3 dst=10.244.0.9 sport=53 dport=5000 mark=0 use=1
udp      17 29 src=10.244.0.9 dst=10.96.0.10 sport=5001 dport=53 src=10.244.0.2 dst=10.244.0.9 sport=53 dport=5001 mark=0 use=1
udp      17 29 src=1.1.1.1 dst=192.0.2.1 sport=5001 dport=30053 src=10.244.0.3 dst=10.244.0.9 sport=53 dport=5001 mark=0 use=1
udp      17 29 src=1.1.1.1 dst=192.0.2.1 sport=5001 dport=123 src=10.244.0.3 dst=10.244.0.9 sport=123 dport=5001 mark=0 use=1`);
  assert.equal(flows.length, 4);
  assert.deepEqual(staleFlows(model, flows), [flows[0], flows[2]]);
});
