/** kube-proxy's rules in a real kernel: applied, changed in part, repaired, taken away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { iptablesBackend } from "../../src/proxy/backends/iptables/apply.ts";
import { modelService, type PortModel } from "../../src/proxy/model/model.ts";
import type { RenderOptions } from "../../src/proxy/backends/iptables/render.ts";
import { hostIn, makeNamespace, noNamespaces } from "../../src/testing/netns.ts";
import { silent } from "../../src/observe/log.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const options: RenderOptions = {
  family: 4,
  clusterCidr: "10.244.0.0/16",
  masqueradeAll: false,
  masqueradeBit: 14,
  localhostNodePorts: true,
  nodePortIps: [],
  nodeIps: [],
  randomFully: true,
  nfacct: false,
  conntrackTcpLiberal: false,
};

function ports(name: string, clusterIp: string, endpoints: readonly string[], nodePort = 0): readonly PortModel[] {
  const metadata = { name, namespace: "default", uid: "u", resourceVersion: "1", creationTimestamp: "" };
  const spec = {
    type: nodePort === 0 ? "ClusterIP" : "NodePort",
    clusterIP: clusterIp,
    ports: [{ port: 80, ...(nodePort !== 0 && { nodePort }) }],
  };
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    ports: [{ port: 8080 }],
    endpoints: endpoints.map((ip) => ({ addresses: [ip] })),
  };
  return modelService({ apiVersion: "v1", kind: "Service", metadata, spec, status: {} } as never, [slice as never], 4, {
    name: "me",
    zone: undefined,
  });
}

test(
  "rules are applied, changed in part, seen when flushed, and leave nothing behind",
  { skip: noNamespaces() },
  async () => {
    using namespace = makeNamespace(`t8s-proxy-${process.pid}`);
    const world = nodeWorld();
    const backend = iptablesBackend({ ...world, host: hostIn(namespace, world.host) }, options, silent);
    const saved = (table: string) => namespace.run(`iptables-save -t ${table}`);

    const model = new Map([
      ["default/web", ports("web", "10.96.0.20", ["10.244.0.2", "10.244.0.3"], 30080)],
      ["default/none", ports("none", "10.96.0.21", [])],
    ]);
    await backend.sync(model, undefined);
    assert.equal(
      (saved("nat").match(/-A KUBE-SEP-.* -j DNAT --to-destination 10\.244\.0\.[23]:8080/g) ?? []).length,
      2,
    );
    assert.match(saved("filter"), /-A KUBE-SERVICES -d 10\.96\.0\.21\/32 .*has no endpoints.* -j REJECT/);
    assert.match(saved("nat"), /-A PREROUTING .*-j KUBE-SERVICES/);

    model.set("default/web", ports("web", "10.96.0.20", ["10.244.0.3"], 30080));
    await backend.sync(model, new Set(["default/web"]));
    const after = saved("nat");
    assert.doesNotMatch(after, /10\.244\.0\.2:8080/, "the endpoint that left is gone, with its chain");
    assert.equal((after.match(/^:KUBE-SEP-/gm) ?? []).length, 1);

    assert.equal(await backend.intact(), true);
    namespace.run("iptables -t mangle -F; iptables -t mangle -X");
    assert.equal(await backend.intact(), false);

    await backend.cleanup();
    for (const table of ["nat", "filter", "mangle"]) assert.doesNotMatch(saved(table), /KUBE/, `${table} is clean`);
  },
);
