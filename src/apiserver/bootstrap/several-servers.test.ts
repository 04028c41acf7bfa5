/** Several API servers over one etcd, seen from the service `kubernetes`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointSlices } from "../../api/discovery/v1/endpointslice/resource.ts";
import { endpoints } from "../../api/core/v1/endpoints/resource.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { addressOfSome } from "./kubernetes-service.ts";
import { keysOf, startServer } from "../testing/harness.ts";

const world = nodeWorld();
const KUBERNETES = { namespace: "default", name: "kubernetes" };

test("kubernetes leads to all servers that are there, and no more to one that ends", async () => {
  await using one = await startServer(world, { advertiseAddress: "10.1.0.1" });
  const two = await startServer(world, { advertiseAddress: "10.1.0.2" }, one.etcd);
  const client = one.client();
  const leads = async () => {
    const slice = await client.get(endpointSlices, KUBERNETES);
    const { subsets = [] } = await client.get(endpoints, KUBERNETES);
    const addresses = subsets.flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip));
    assert.deepEqual(slice.endpoints?.flatMap(({ addresses }) => addresses) ?? [], addresses);
    return addresses;
  };
  assert.ok((await keysOf(one)).includes("/registry/masterleases/10.1.0.2"));
  assert.deepEqual(await leads(), ["10.1.0.1", "10.1.0.2"]);
  await two[Symbol.asyncDispose]();
  assert.deepEqual(await leads(), ["10.1.0.1"]);
  assert.ok(!(await keysOf(one)).includes("/registry/masterleases/10.1.0.2"));
});

test("of so many servers as there are to be, the endpoints hold this one and no more", async () => {
  const TABLE: readonly (readonly [readonly string[], string, number, readonly string[]])[] = [
    [[], "b", 1, ["b"]],
    [["a"], "b", 2, ["a", "b"]],
    [["a", "b"], "b", 2, ["a", "b"]],
    [["a", "c"], "b", 2, ["a", "b"]],
    [["a", "d"], "e", 2, ["d", "e"]],
    [["a", "b", "c"], "b", 1, ["b"]],
  ];
  for (const [current, own, count, expected] of TABLE)
    assert.deepEqual(addressOfSome(current, own, count), expected, `${current.join()} and ${own} of ${count}`);
  const settings = { endpointReconciler: "master-count", apiserverCount: 2 } as const;
  await using one = await startServer(world, { advertiseAddress: "10.1.0.1", ...settings });
  const two = await startServer(world, { advertiseAddress: "10.1.0.2", ...settings }, one.etcd);
  const leads = async () =>
    (await one.client().get(endpoints, KUBERNETES)).subsets?.[0]?.addresses?.map(({ ip }) => ip);
  assert.deepEqual(await leads(), ["10.1.0.1", "10.1.0.2"]);
  await two[Symbol.asyncDispose]();
  assert.deepEqual(await leads(), ["10.1.0.1"]);
  assert.equal(
    (await keysOf(one)).some((key) => key.startsWith("/registry/masterleases/")),
    false,
  );
});

test("a server that keeps no endpoints writes none", async () => {
  await using harness = await startServer(world, { advertiseAddress: "10.1.0.1", endpointReconciler: "none" });
  await assert.rejects(harness.client().get(endpoints, KUBERNETES), /not found/);
});
