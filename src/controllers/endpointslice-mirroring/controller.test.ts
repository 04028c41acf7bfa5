import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoints } from "../../api/generated/core.v1.ts";
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import { endpointSlices, endpoints, services } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { endpointSliceMirroringController } from "./controller.ts";
import { planMirror } from "./plan.ts";

const custom = (subsets: object[], more: object = {}) => ({
  metadata: { name: "ext", namespace: "default", ...more },
  subsets,
});
const ready = {
  addresses: [{ ip: "10.1.2.3" }],
  notReadyAddresses: [{ ip: "10.1.2.4" }],
  ports: [{ name: "http", port: 80, protocol: "TCP" }],
};

test("handwritten endpoints become a slice, follow changes, and go with their source", async () => {
  await using world = controllerWorld([endpointSliceMirroringController]);
  const { server } = world;
  const slices = () => server.objects<EndpointSlice>(endpointSlices);
  server.put(endpoints, custom([ready]));
  await world.settle();
  assert.deepEqual(slices(), [], "without a service there is nothing to mirror for");
  server.put(services, { metadata: { name: "ext", namespace: "default" }, spec: { ports: [{ port: 80 }] } });
  await world.settle();
  const [slice] = slices();
  assert.deepEqual(slice!.endpoints, [
    { addresses: ["10.1.2.3"], conditions: { ready: true } },
    { addresses: ["10.1.2.4"], conditions: { ready: false } },
  ]);
  assert.deepEqual(slice!.metadata.labels, {
    "kubernetes.io/service-name": "ext",
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
  });
  assert.equal(slice!.metadata.ownerReferences![0]!.kind, "Endpoints");
  server.put(endpoints, custom([{ ...ready, addresses: [{ ip: "10.1.2.5" }], notReadyAddresses: [] }]));
  await world.settle();
  assert.deepEqual(
    slices().map((each) => each.endpoints!.map(({ addresses }) => addresses[0])),
    [["10.1.2.5"]],
  );
  const writes = server.requests.length;
  await world.settle(5000);
  assert.equal(server.requests.length, writes);
  server.put(services, {
    metadata: { name: "ext", namespace: "default" },
    spec: { ports: [{ port: 80 }], selector: { app: "x" } },
  });
  await world.settle();
  assert.deepEqual(slices(), []);
});

test("bad addresses are left out and counted, and no more than the limit are taken", () => {
  const source = custom([
    {
      addresses: [{ ip: "nope" }, ...Array.from({ length: 5 }, (_, i) => ({ ip: `10.0.0.${i}` })), { ip: "fd00::1" }],
      ports: [{ port: 1 }],
    },
  ]) as unknown as Endpoints;
  const plan = planMirror(source, [], 4);
  assert.deepEqual(
    [plan.invalidAddresses, plan.tooMany, plan.create.map(({ endpoints: list }) => list!.length)],
    [1, 2, [4]],
  );
});
