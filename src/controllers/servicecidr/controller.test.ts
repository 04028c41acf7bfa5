import assert from "node:assert/strict";
import { test } from "node:test";
import type { IPAddress, ServiceCIDR } from "../../api/generated/networking.v1.ts";
import { ipAddresses, serviceCIDRs } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { serviceCidrController } from "./controller.ts";
import { holdsNetwork, mayGo, overlapping } from "./plan.ts";

const cidr = (name: string, ...cidrs: readonly string[]) =>
  ({ metadata: { name }, spec: { cidrs } }) as unknown as ServiceCIDR;
const address = (name: string, manager = "ipallocator.k8s.io") =>
  ({
    metadata: { name, labels: { "ipaddress.kubernetes.io/managed-by": manager } },
    spec: { parentRef: { resource: "services", namespace: "default", name: "s" } },
  }) as unknown as IPAddress;

test("a network holds itself and what is within it, of its own family", () => {
  assert.equal(holdsNetwork("10.0.0.0/24", "10.0.0.0/28"), true);
  assert.equal(holdsNetwork("10.0.0.0/24", "10.0.0.0/24"), true);
  assert.equal(holdsNetwork("10.0.0.0/28", "10.0.0.0/24"), false);
  assert.equal(holdsNetwork("10.0.0.0/24", "10.0.1.0/28"), false);
  assert.equal(holdsNetwork("0.0.0.0/0", "fd00::/64"), false);
  const all = [cidr("a", "10.0.0.0/24"), cidr("b", "10.0.0.0/28"), cidr("c", "10.1.0.0/24", "fd00::/64")];
  assert.deepEqual(overlapping(all[0]!, all), ["a", "b"]);
  assert.deepEqual(overlapping(cidr("d", "fd00::/80"), all), ["c"]);
});

const WIDE = cidr("wide", "10.0.0.0/24");
const NARROW = cidr("narrow", "10.0.0.0/28");
const TABLE: readonly (readonly [string, ServiceCIDR, readonly ServiceCIDR[], readonly string[], boolean])[] = [
  ["nobody has an address of it", WIDE, [WIDE], [], true],
  ["a service has an address of it alone", WIDE, [WIDE], ["10.0.0.9"], false],
  ["a wider one holds all that it does", NARROW, [WIDE, NARROW], ["10.0.0.9"], true],
  ["another of the same network is there", WIDE, [WIDE, cidr("twin", "10.0.0.0/24")], ["10.0.0.99"], true],
  ["the narrower one holds all addresses there are", WIDE, [WIDE, NARROW], ["10.0.0.9"], true],
  ["one address is in no other", WIDE, [WIDE, NARROW], ["10.0.0.9", "10.0.0.99"], false],
  ["the other family's is held alone", cidr("dual", "10.0.0.0/28", "fd00::/64"), [WIDE], ["fd00::1"], true],
];
for (const [when, one, all, held, expected] of TABLE)
  test(`a service CIDR ${expected ? "may go" : "stays"} when ${when}`, () => {
    assert.equal(
      mayGo(
        one,
        all,
        held.map((name) => address(name)),
      ),
      expected,
    );
  });

test("addresses that nobody's allocator made hold nothing up", () => {
  assert.equal(mayGo(WIDE, [WIDE], [address("10.0.0.9", "me")]), true);
});

test("a service CIDR is ready, stays while its addresses are used, and goes ten seconds after it may", async () => {
  await using world = controllerWorld([serviceCidrController], { resources: [serviceCIDRs, ipAddresses] });
  const { client, server } = world;
  const conditionNow = () => {
    const found = server.get<ServiceCIDR>(serviceCIDRs, "new")?.status?.conditions?.[0];
    return found && `${found.status} ${found.reason}`;
  };
  await client.create(serviceCIDRs, { metadata: { name: "new" }, spec: { cidrs: ["10.0.0.0/24"] } });
  await world.settle();
  assert.equal(conditionNow(), "True ");
  assert.deepEqual(server.get<ServiceCIDR>(serviceCIDRs, "new")?.metadata.finalizers, [
    "networking.k8s.io/service-cidr-finalizer",
  ]);
  await client.create(ipAddresses, address("10.0.0.9"));
  await client.delete(serviceCIDRs, { name: "new" });
  await world.settle(60_000);
  assert.equal(conditionNow(), "False Terminating");
  await client.delete(ipAddresses, { name: "10.0.0.9" });
  await world.settle(5_000);
  await world.settle(60_000);
  assert.equal(server.get(serviceCIDRs, "new"), undefined);
});
