import assert from "node:assert/strict";
import { test } from "node:test";
import { lanRules, linkName, planLan } from "./plan.ts";

const eth0 = { cidr: "192.0.2.2/24", family: 4 as const };

test("each node is a namespace with an address, a cable, a cgroup and a folder of its own", () => {
  const lan = planLan("default", ["node-1", "node-2"], "/data", [eth0]);
  assert.deepEqual([lan.bridge, lan.address, lan.subnet], ["t8s-default", "172.30.0.1", "172.30.0.0/24"]);
  assert.deepEqual(
    lan.machines.map(({ namespace, address, cgroup, dir }) => [namespace, address, cgroup, dir]),
    [
      ["t8s-default-node-1", "172.30.0.11", "/t8s-default-node-1", "/data/nodes/node-1"],
      ["t8s-default-node-2", "172.30.0.12", "/t8s-default-node-2", "/data/nodes/node-2"],
    ],
  );
  assert.equal(new Set(lan.machines.map(({ link }) => link)).size, 2);
  for (const { link } of lan.machines) assert.ok(link.length <= 15, link);
});

test("the subnet is one that the host has no part in", () => {
  const subnet = (...cidrs: readonly string[]) =>
    planLan("default", ["a"], "/data", [eth0, ...cidrs.map((cidr) => ({ cidr, family: 4 as const }))]).subnet;
  assert.equal(subnet("172.30.0.1/24"), "172.30.1.0/24");
  assert.equal(subnet("172.30.2.1/23", "172.30.0.9/32"), "172.30.1.0/24");
  assert.equal(subnet("172.30.1.1/22"), "172.30.4.0/24");
  assert.equal(subnet("172.30.0.129/25"), "172.30.1.0/24");
  assert.throws(() => subnet("172.16.0.1/12"), /no free subnet/);
});

test("names that are too long for a link are cut and stay different", () => {
  assert.equal(linkName("t8s-default"), "t8s-default");
  const [one, two] = [linkName("t8s-a-long-name-1"), linkName("t8s-a-long-name-2")];
  assert.notEqual(one, two);
  assert.equal(one.length, 15);
});

test("the host lets the nodes send and receive, and masquerades what leaves it", () => {
  const rules = lanRules(planLan("default", ["a"], "/data", [eth0]));
  assert.match(rules, /-i t8s-default .* -j ACCEPT\n.* -o t8s-default .* -j ACCEPT/);
  assert.match(rules, /-s 172\.30\.0\.0\/24 ! -o t8s-default .* -j MASQUERADE/);
});
