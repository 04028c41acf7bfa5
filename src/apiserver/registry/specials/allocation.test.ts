/** Addresses and ports of services, given out by several servers over one etcd. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { services } from "../../../api/core/v1/service/resource.ts";
import { ipAddresses } from "../../../api/networking/v1/ipaddress/resource.ts";
import { serviceCIDRs } from "../../../api/networking/v1/servicecidr/resource.ts";
import type { Client } from "../../../client/client.ts";
import { StatusError } from "../../../machinery/status.ts";
import { nodeWorld } from "../../../world/node/index.ts";
import { startServer } from "../../testing/harness.ts";
import { IpRange } from "./ip-range.ts";
import { decodeRange, encodeRange } from "./range-allocation.ts";

const world = nodeWorld();
const service = (name: string, spec: object = {}) => ({
  metadata: { namespace: "default", name },
  spec: { ports: [{ port: 80 }], ...spec },
});
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was refused",
    (error: unknown) => (error instanceof StatusError ? error.message : String(error)),
  );

test("addresses above the static band come first, those in it last, each once", () => {
  const range = new IpRange("10.0.0.0/27");
  const all = [...range.candidates(world.random.fork("x"))];
  assert.equal(range.staticBand, 16);
  assert.equal(new Set(all).size, 30);
  assert.ok(all.slice(0, 14).every((ip) => Number(ip.split(".")[3]) > 16));
  const rows: readonly (readonly [string, number, string])[] = [
    ["10.0.0.0/28", 0, "10.0.0.1"],
    ["10.0.0.0/24", 16, "10.0.0.1"],
    ["10.0.0.0/20", 256, "10.0.0.1"],
    ["10.96.0.0/12", 256, "10.96.0.1"],
    ["fd00::/112", 256, "fd00::1"],
  ];
  for (const [cidr, band, first] of rows) {
    const range = new IpRange(cidr);
    assert.deepEqual([range.staticBand, range.first], [band, first], cidr);
  }
});

test("the bitmap of ports is read as it was written, also in upstream's format", () => {
  const taken = new Set([30000, 30009, 32767]);
  assert.deepEqual([...decodeRange(encodeRange("30000-32767", 30000, taken), 30000)].sort(), [...taken]);
  // k8s\0, Unknown{raw: RangeAllocation{range: "30000-30015", data: 0x0201}}
  const inner = Buffer.concat([Buffer.from([0x12, 11]), Buffer.from("30000-30015"), Buffer.from([0x1a, 2, 2, 1])]);
  const value = Buffer.concat([Buffer.from("k8s\0"), Buffer.from([0x12, inner.length]), inner]);
  assert.deepEqual([...decodeRange(value, 30000)].sort(), [30000, 30009]);
});

test("two servers over one etcd never hand out an address or a port twice, until the ranges are full", async () => {
  const options = { serviceClusterIpRange: "10.0.0.0/27", serviceNodePortRange: "30000-30019" };
  await using one = await startServer(world, options);
  await using two = await startServer(world, options, one.etcd);
  const clients = [one.client(), two.client()] as const;
  const made = await Promise.allSettled(
    Array.from({ length: 26 }, (_, i) => clients[i % 2]!.create(services, service(`s${i}`, { type: "NodePort" }))),
  );
  const won = made.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  assert.equal(won.length, 20);
  assert.equal(new Set(won.map(({ spec }) => spec.clusterIP)).size, 20);
  assert.equal(new Set(won.map(({ spec }) => spec.ports![0]!.nodePort)).size, 20);
  const rejected = made.find((result) => result.status === "rejected")!.reason as StatusError;
  assert.equal(rejected.message, "Internal error occurred: failed to allocate a nodePort: range is full");
  // What the losers had taken is free again: 20, and one for `kubernetes`.
  assert.equal((await clients[0].list(ipAddresses, {})).items.length, 21);
  assert.equal(
    await refusal(clients[1].create(services, service("x", { clusterIP: won[0]!.spec.clusterIP }))),
    `Service "x" is invalid: spec.clusterIPs: Invalid value: ["${won[0]!.spec.clusterIP}"]: failed to allocate IP ${won[0]!.spec.clusterIP}: provided IP is already allocated`,
  );
  // One server gives back, the other has it again.
  const { clusterIP, ports } = won[0]!.spec;
  await clients[0].delete(services, { namespace: "default", name: won[0]!.metadata.name });
  const again = await clients[1].create(
    services,
    service("again", { type: "NodePort", clusterIP, ports: [{ port: 1, nodePort: ports![0]!.nodePort }] }),
  );
  assert.equal(again.spec.clusterIP, clusterIP);
  const address = await clients[0].get(ipAddresses, { name: clusterIP! });
  assert.deepEqual(address.spec!.parentRef, { resource: "services", namespace: "default", name: "again" });
  assert.deepEqual(address.metadata.labels, {
    "ipaddress.kubernetes.io/ip-family": "IPv4",
    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
  });
});

test("a dry run takes nothing, and a refused update gives back what it took", async () => {
  await using harness = await startServer(world, { serviceClusterIpRange: "10.0.0.0/24" });
  const client = harness.client();
  const count = async (client: Client) => (await client.list(ipAddresses, {})).items.length;
  await client.create(services, service("dry"), { dryRun: true });
  assert.equal(await count(client), 1);
  const outside = service("a", { clusterIP: "192.168.0.1" });
  assert.match(
    await refusal(client.create(services, outside)),
    /the provided network does not match the current range/,
  );
  await refusal(client.create(services, service("b", { sessionAffinity: "nonsense" })));
  assert.equal(await count(client), 1);
});

test("with ranges of two families a service has one address of each, if it wants", async () => {
  await using harness = await startServer(world, { serviceClusterIpRange: "10.0.0.0/24,fd00::/112" });
  const client = harness.client();
  const families = async (name: string, spec: object) => {
    const { spec: made } = await client.create(services, service(name, spec));
    return [made.ipFamilyPolicy, made.ipFamilies, made.clusterIPs?.map((ip) => (ip.includes(":") ? 6 : 4))];
  };
  assert.deepEqual(await families("a", {}), ["SingleStack", ["IPv4"], [4]]);
  assert.deepEqual(await families("b", { ipFamilyPolicy: "PreferDualStack" }), [
    "PreferDualStack",
    ["IPv4", "IPv6"],
    [4, 6],
  ]);
  assert.deepEqual(await families("c", { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6"] }), [
    "RequireDualStack",
    ["IPv6", "IPv4"],
    [6, 4],
  ]);
  assert.deepEqual(await families("d", { ipFamilies: ["IPv6"] }), ["SingleStack", ["IPv6"], [6]]);
  const b = await client.get(services, { namespace: "default", name: "b" });
  const single = await client.update(services, { ...b, spec: { ...b.spec, ipFamilyPolicy: "SingleStack" } });
  assert.deepEqual(single.spec.clusterIPs, [b.spec.clusterIP]);
  assert.match(await refusal(client.get(ipAddresses, { name: b.spec.clusterIPs![1]! })), /not found/);
  const cidr = await client.get(serviceCIDRs, { name: "kubernetes" });
  assert.deepEqual(cidr.spec!.cidrs, ["10.0.0.0/24", "fd00::/112"]);
  assert.equal(cidr.metadata.finalizers, undefined, "that is the controller manager's to set");
});

test("only who wants a single family gives up the second one", async () => {
  await using harness = await startServer(world, { serviceClusterIpRange: "10.0.0.0/24,fd00::/112" });
  const client = harness.client();
  const both = await client.create(services, service("a", { ipFamilyPolicy: "RequireDualStack" }));
  const [clusterIP] = both.spec.clusterIPs!;
  const update = (spec: object) => refusal(client.update(services, { ...both, spec: { ...both.spec, ...spec } }));
  const why = (what: string) =>
    `Service "a" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be 'SingleStack' to release the secondary ${what}`;
  assert.equal(await update({ clusterIPs: [clusterIP] }), why("cluster IP"));
  assert.equal(await update({ ipFamilies: ["IPv4"] }), why("IP family"));
});

test("a service gets no address where all are taken", async () => {
  await using harness = await startServer(world, { serviceClusterIpRange: "10.0.0.0/30" });
  const client = harness.client();
  await client.create(services, service("a"));
  assert.equal(
    await refusal(client.create(services, service("b"))),
    'Internal error occurred: failed to allocate a serviceIP for Service "b": range is full',
  );
});

test("a cluster of one family refuses two", async () => {
  await using harness = await startServer(world, {});
  assert.equal(
    await refusal(harness.client().create(services, service("a", { ipFamilyPolicy: "RequireDualStack" }))),
    'Service "a" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  );
});

test("a server that starts takes the addresses and ports that services hold", async () => {
  const first = await startServer(world, {});
  const made = await first.client().create(services, service("a", { type: "NodePort" }));
  await first.client().delete(ipAddresses, { name: made.spec.clusterIP! });
  await first[Symbol.asyncDispose]();
  await using second = await startServer(world, {}, first.etcd);
  const client = second.client();
  assert.equal((await client.get(ipAddresses, { name: made.spec.clusterIP! })).spec!.parentRef!.name, "a");
  assert.match(
    await refusal(
      client.create(
        services,
        service("b", { type: "NodePort", ports: [{ port: 1, nodePort: made.spec.ports![0]!.nodePort }] }),
      ),
    ),
    /provided port is already allocated/,
  );
});
