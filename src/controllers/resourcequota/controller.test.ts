import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, ResourceQuota, Service } from "../../api/generated/core.v1.ts";
import { formatQuantity } from "../../machinery/meta/quantity.ts";
import { leases, persistentVolumeClaims, pods, resourceQuotas, services } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { resourceQuotaController } from "./controller.ts";
import { type Usage, inScope, podTotal, usageOf } from "../../api/core/v1/resourcequota/usage.ts";

const text = (usage: Usage) =>
  Object.fromEntries(Object.entries(usage).map(([name, amount]) => [name, formatQuantity(amount)]));
const container = (cpu: string, more: object = {}) => ({ name: "c", resources: { requests: { cpu } }, ...more });
const pod = (name: string, phase = "Running", spec: object = {}) => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [container("500m")], ...spec },
  status: { phase },
});

test("a pod needs what its containers need together, or the most while it starts, and its overhead", () => {
  const spec = {
    containers: [container("100m"), container("200m")],
    initContainers: [container("50m", { restartPolicy: "Always" }), container("400m")],
    overhead: { cpu: "10m" },
  } as unknown as Pod["spec"];
  assert.deepEqual(text(podTotal(spec, "requests")), { cpu: "460m" });
});

test("services count their ports by their type", () => {
  const service = (spec: object) =>
    text(
      usageOf(
        { group: "", plural: "services" },
        { spec: { ports: [{}, { nodePort: 1 }], ...spec } } as unknown as Service,
        0,
      ),
    );
  assert.equal(service({ type: "NodePort" })["services.nodeports"], "2");
  assert.deepEqual(
    [
      service({ type: "LoadBalancer", allocateLoadBalancerNodePorts: false })["services.nodeports"],
      service({ type: "LoadBalancer" })["services.loadbalancers"],
    ],
    ["1", "1"],
  );
});

test("scopes choose pods", () => {
  const quota = (spec: object) => ({ spec }) as ResourceQuota;
  const it = pod("p", "Running", { priorityClassName: "high" }) as unknown as Pod;
  const best = pod("p", "Running", { containers: [{ name: "c" }] }) as unknown as Pod;
  assert.equal(inScope(quota({ scopes: ["BestEffort"] }), pods, it), false);
  assert.equal(inScope(quota({ scopes: ["BestEffort", "NotTerminating"] }), pods, best), true);
  assert.equal(
    inScope(
      quota({
        scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["high"] }] },
      }),
      pods,
      it,
    ),
    true,
  );
  assert.equal(inScope(quota({ scopes: ["Terminating"] }), services, {}), false);
});

test("a claim uses devices by their class, the most of its alternatives, and all that can be given where it asks for all", () => {
  const claim = (...requests: object[]) =>
    text(usageOf({ group: "resource.k8s.io", plural: "resourceclaims" }, { spec: { devices: { requests } } }, 0));
  const of = (deviceClassName: string, count?: number) => ({
    deviceClassName,
    ...(count === undefined ? { allocationMode: "All" } : { allocationMode: "ExactCount", count }),
  });
  assert.deepEqual(claim({ exactly: of("gold", 1) }, { exactly: of("gold", 2) }, { exactly: of("lead") }), {
    "count/resourceclaims.resource.k8s.io": "1",
    "gold.deviceclass.resource.k8s.io/devices": "3",
    "lead.deviceclass.resource.k8s.io/devices": "32",
  });
  assert.deepEqual(claim({ firstAvailable: [of("gold", 2), of("gold", 5), of("lead", 1)] }), {
    "count/resourceclaims.resource.k8s.io": "1",
    "gold.deviceclass.resource.k8s.io/devices": "5",
    "lead.deviceclass.resource.k8s.io/devices": "1",
  });
});

test("a scope of attributes chooses claims by every class they have or change to", () => {
  const gold = { spec: { volumeAttributesClassName: "gold" } };
  const changing = {
    spec: { volumeAttributesClassName: "gold" },
    status: {
      currentVolumeAttributesClassName: "silver",
      modifyVolumeStatus: { targetVolumeAttributesClassName: "lead", status: "Infeasible" },
    },
  };
  const none = { spec: { volumeAttributesClassName: "" } };
  for (const [operator, values, expected] of [
    ["In", ["gold"], [true, true, false]],
    ["In", ["silver"], [false, true, false]],
    ["In", ["lead"], [false, true, false]],
    ["NotIn", ["gold"], [false, true, true]],
    ["Exists", [], [true, true, false]],
    ["DoesNotExist", [], [false, false, true]],
  ] as const) {
    const matchExpressions = [{ scopeName: "VolumeAttributesClass", operator, values }];
    const quota = { spec: { scopeSelector: { matchExpressions } } } as unknown as ResourceQuota;
    assert.deepEqual(
      [gold, changing, none].map((claim) => inScope(quota, persistentVolumeClaims, claim)),
      expected,
      `${operator} ${values.join()}`,
    );
    assert.equal(inScope(quota, pods, pod("p")), false);
  }
});

test("a quota is counted when it is new and when something goes", async () => {
  await using world = controllerWorld([resourceQuotaController]);
  const { server } = world;
  server.put(pods, pod("a"));
  server.put(pods, pod("b", "Succeeded"));
  server.put(leases, { metadata: { name: "l", namespace: "default" } });
  server.put(resourceQuotas, {
    metadata: { name: "q", namespace: "default" },
    spec: { hard: { pods: "5", "requests.cpu": "2", "count/pods": "9", "count/leases.coordination.k8s.io": "3" } },
  });
  const used = () => server.get<ResourceQuota>(resourceQuotas, "default/q")!.status?.used;
  await world.settle();
  assert.deepEqual(used(), {
    pods: "1",
    "requests.cpu": "500m",
    "count/pods": "2",
    "count/leases.coordination.k8s.io": "1",
  });
  await world.client.delete(pods, { namespace: "default", name: "a" });
  await world.settle();
  assert.deepEqual([used()!["pods"], used()!["requests.cpu"], used()!["count/pods"]], ["0", "0", "1"]);
  server.take(leases, "default/l");
  await world.settle(31_000);
  assert.equal(used()!["count/leases.coordination.k8s.io"], "0");
});
