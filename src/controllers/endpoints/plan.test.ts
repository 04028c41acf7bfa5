import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoints, Pod, Service } from "../../api/generated/core.v1.ts";
import { endpoints, endpointSlices, nodes, pods, services } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { endpointSliceController } from "../endpointslice/controller.ts";
import { endpointsController } from "./controller.ts";
import { planEndpoints, subsetsOf } from "./plan.ts";

const service = (spec: object = {}) =>
  ({
    metadata: { name: "web", namespace: "default", labels: {} },
    spec: {
      selector: { app: "web" },
      clusterIP: "10.0.0.1",
      ipFamilies: ["IPv4"],
      ports: [
        { name: "a", port: 80, protocol: "TCP" },
        { name: "b", port: 443, protocol: "TCP" },
      ],
      ...spec,
    },
  }) as unknown as Service;
const pod = (name: string, ip: string, ready = true) => ({
  metadata: { name, namespace: "default", labels: { app: "web" }, uid: name },
  spec: { nodeName: "n1", containers: [] },
  status: {
    phase: "Running",
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
  },
});
const asPod = (value: object) => value as unknown as Pod;
const address = (name: string, ip: string) => ({
  ip,
  nodeName: "n1",
  targetRef: { kind: "Pod", namespace: "default", name, uid: name },
});

test("addresses with the same ports share a subset, sorted, ready and not", () => {
  assert.deepEqual(
    subsetsOf(service(), [pod("y", "10.1.0.2"), pod("x", "10.1.0.1"), pod("z", "10.1.0.3", false)].map(asPod)),
    [
      {
        addresses: [address("x", "10.1.0.1"), address("y", "10.1.0.2")],
        notReadyAddresses: [address("z", "10.1.0.3")],
        ports: [
          { name: "a", port: 80, protocol: "TCP" },
          { name: "b", port: 443, protocol: "TCP" },
        ],
      },
    ],
  );
});

test("beyond a thousand addresses the object is cut and says so", () => {
  const many = Array.from({ length: 1200 }, (_, i) => asPod(pod(`p${i}`, `10.${Math.floor(i / 250)}.0.${i % 250}`)));
  const { subsets, metadata } = planEndpoints(service(), subsetsOf(service(), many), undefined, undefined);
  assert.equal(subsets![0]!.addresses!.length, 1000);
  assert.equal(metadata.annotations!["endpoints.kubernetes.io/over-capacity"], "truncated");
});

test("both kinds of endpoints follow the pods, and go with the service", async () => {
  await using world = controllerWorld([endpointsController, endpointSliceController]);
  const { server } = world;
  const ips = () =>
    server
      .get<Endpoints>(endpoints, "default/web")
      ?.subsets?.flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip));
  const sliceIps = () =>
    server
      .objects(endpointSlices)
      .flatMap((slice: any) =>
        slice.endpoints.filter((each: any) => each.conditions.ready).map((each: any) => each.addresses[0]),
      );
  server.put(nodes, { metadata: { name: "n1" } });
  const stored = server.put(services, service());
  server.put(pods, pod("x", "10.1.0.1"));
  server.put(pods, pod("y", "10.1.0.2", false));
  await world.settle();
  assert.deepEqual([ips(), sliceIps()], [["10.1.0.1"], ["10.1.0.1"]]);
  server.put(pods, pod("y", "10.1.0.2"));
  await world.settle();
  assert.deepEqual(
    [ips(), sliceIps()],
    [
      ["10.1.0.1", "10.1.0.2"],
      ["10.1.0.1", "10.1.0.2"],
    ],
  );
  server.take(pods, "default/x");
  await world.settle();
  assert.deepEqual([ips(), sliceIps()], [["10.1.0.2"], ["10.1.0.2"]]);
  const writes = server.requests.length;
  await world.settle(5000);
  assert.equal(server.requests.length, writes, "at rest nothing is written");
  await world.client.delete(services, { namespace: "default", name: stored.metadata.name });
  await world.settle();
  assert.deepEqual(server.objects(endpoints), []);
});
