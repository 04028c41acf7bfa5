import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Service } from "../../api/generated/core.v1.ts";
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import type { Draft } from "../../machinery/meta/object.ts";
import { type Input, planSlices } from "./plan.ts";

const service = (spec: object = {}, labels: Record<string, string> = {}) =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default", uid: "svc", labels },
    spec: {
      selector: { app: "web" },
      clusterIP: "10.0.0.1",
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      ...spec,
    },
  }) as unknown as Service;
const pod = (
  i: number,
  {
    ready = true,
    deleting = false,
    node = "n1",
    containers = [] as object[],
    ip = `10.1.${Math.floor(i / 250)}.${i % 250}`,
  } = {},
) =>
  ({
    metadata: {
      name: `p${i}`,
      namespace: "default",
      uid: `u${i}`,
      ...(deleting && { deletionTimestamp: "2030-01-01T00:00:00Z" }),
    },
    spec: { nodeName: node, containers },
    status: {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  }) as unknown as Pod;
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => pod(from + i));
const plan = (pods: Pod[], slices: EndpointSlice[] = [], more: Partial<Input> = {}) =>
  planSlices({
    service: service(),
    pods,
    slices,
    node: (name) => ({ metadata: { name, labels: { "topology.kubernetes.io/zone": "z1" } } }) as never,
    maxPerSlice: 100,
    triggerTime: undefined,
    ...more,
  });
/** As the server would store it. */
const stored = (draft: Draft<EndpointSlice>, name: string) =>
  ({
    ...draft,
    metadata: { ...draft.metadata, name, uid: name, resourceVersion: "1", creationTimestamp: "" },
  }) as unknown as EndpointSlice;
const sizes = (slices: readonly Draft<EndpointSlice>[]) => slices.map(({ endpoints }) => endpoints?.length);

test("a new service gets a slice with all that is known of its pods", () => {
  const { create } = plan([pod(1)], [], { triggerTime: "2030-01-01T00:00:00Z", service: service({}, { team: "x" }) });
  assert.deepEqual(create, [
    {
      metadata: {
        generateName: "web-",
        namespace: "default",
        labels: {
          team: "x",
          "kubernetes.io/service-name": "web",
          "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
        annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2030-01-01T00:00:00Z" },
        ownerReferences: [
          { apiVersion: "v1", kind: "Service", name: "web", uid: "svc", controller: true, blockOwnerDeletion: true },
        ],
      },
      addressType: "IPv4",
      endpoints: [
        {
          addresses: ["10.1.0.1"],
          conditions: { ready: true, serving: true, terminating: false },
          targetRef: { kind: "Pod", namespace: "default", name: "p1", uid: "u1" },
          nodeName: "n1",
          zone: "z1",
        },
      ],
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    },
  ]);
});

test("endpoints are spread over slices of a hundred", () => {
  assert.deepEqual(sizes(plan(range(0, 250)).create), [100, 100, 50]);
});

test("nothing changes where nothing changed", () => {
  const { create } = plan(range(0, 150));
  const slices = create.map((draft, i) => stored(draft, `s${i}`));
  assert.deepEqual(plan(range(0, 150), slices), { create: [], update: [], delete: [], errors: [] });
});

test("new endpoints go to slices that change anyway, else to the fullest one that takes them all", () => {
  const [a, b] = [stored(plan(range(0, 90)).create[0]!, "a"), stored(plan(range(200, 260)).create[0]!, "b")];
  const pods = [...range(0, 90), ...range(200, 260)];
  const fits = plan([...pods, ...range(300, 315)], [a, b]);
  assert.deepEqual(
    [fits.update.map(({ metadata }) => metadata.name), sizes(fits.update), fits.create.length],
    [["b"], [75], 0],
  );
  const spread = plan([...pods.slice(5), ...range(300, 340)], [a, b]);
  assert.deepEqual(spread.update.map(({ metadata, endpoints }) => [metadata.name, endpoints!.length]).sort(), [
    ["a", 100],
    ["b", 85],
  ]);
});

test("a slice without endpoints goes, and the last one stays as an empty sign", () => {
  const slice = stored(plan([pod(1)]).create[0]!, "s");
  const emptied = plan([], [slice]);
  assert.deepEqual(
    [emptied.create.length, sizes(emptied.update), emptied.update[0]!.ports, emptied.delete.length],
    [0, [0], [], 0],
  );
  assert.deepEqual(plan([], [emptied.update[0]!]), { create: [], update: [], delete: [], errors: [] });
});

test("terminating pods serve until they don't, and unready ones are shown as such", () => {
  const endpoints = plan([pod(1, { deleting: true }), pod(2, { ready: false })]).create[0]!.endpoints!;
  assert.deepEqual(
    endpoints.map(({ conditions }) => conditions),
    [
      { ready: false, serving: true, terminating: true },
      { ready: false, serving: false, terminating: false },
    ],
  );
  const published = plan([pod(2, { ready: false })], [], { service: service({ publishNotReadyAddresses: true }) });
  assert.equal(published.create[0]!.endpoints![0]!.conditions!.ready, true);
});

test("pods that number a named port differently get slices of their own", () => {
  const named = service({ ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }] });
  const container = (port: number) => [{ name: "c", ports: [{ name: "web", containerPort: port, protocol: "TCP" }] }];
  const { create } = plan(
    [pod(1, { containers: container(8080) }), pod(2, { containers: container(9090) }), pod(3)],
    [],
    { service: named },
  );
  assert.deepEqual(
    create.map(({ ports }) => ports!.map((each) => each?.port)),
    [[8080], [9090], []],
  );
});

test("each family has its slices, and those of a family that is no longer served go", () => {
  const dual = { ...pod(1), status: { ...pod(1).status, podIPs: [{ ip: "10.1.0.1" }, { ip: "fd00::1" }] } } as Pod;
  const both = plan([dual], [], { service: service({ ipFamilies: ["IPv4", "IPv6"] }) });
  assert.deepEqual(
    both.create.map(({ addressType, endpoints }) => [addressType, endpoints![0]!.addresses![0]]),
    [
      ["IPv4", "10.1.0.1"],
      ["IPv6", "fd00::1"],
    ],
  );
  const slices = both.create.map((draft, i) => stored(draft, `s${i}`));
  assert.deepEqual(
    plan([dual], slices).delete.map(({ addressType }) => addressType),
    ["IPv6"],
  );
});

test("a pod on a node that is not known yet is left out and looked for again", () => {
  const { errors, create } = plan([pod(1)], [], { node: () => undefined });
  assert.deepEqual(errors, ["skipping Pod p1 for Service default/web: Node n1 Not Found"]);
  assert.deepEqual(sizes(create), [0]);
});

test("traffic that should stay near gets hints", () => {
  const hints = (trafficDistribution: string) =>
    plan([pod(1)], [], { service: service({ trafficDistribution }) }).create[0]!.endpoints![0]!.hints;
  assert.deepEqual(hints("PreferSameZone"), { forZones: [{ name: "z1" }] });
  assert.deepEqual(hints("PreferSameNode"), { forZones: [{ name: "z1" }], forNodes: [{ name: "n1" }] });
});
