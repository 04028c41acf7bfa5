/** Plugins that run where they are asked for: what each refuses and changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps } from "../../../api/core/v1/configmap/resource.ts";
import { namespaces } from "../../../api/core/v1/namespace/resource.ts";
import { pods } from "../../../api/core/v1/pod/resource.ts";
import { clusterRoleBindings } from "../../../api/rbac/v1/clusterrolebinding/resource.ts";
import { clusterRoles } from "../../../api/rbac/v1/clusterrole/resource.ts";
import { StatusError } from "../../../machinery/status.ts";
import { nodeWorld } from "../../../world/node/index.ts";
import { startServer } from "../../testing/harness.ts";

const world = nodeWorld();
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "",
    (error: unknown) =>
      error instanceof StatusError ? error.message.replace(/^.*? is forbidden: /, "") : String(error),
  );
const pod = (name: string, spec: object = {}, namespace = "default") => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

test("pods keep apart over nodes only, run where their namespace says, and tolerate the devices they ask for", async () => {
  await using harness = await startServer(world, {
    enableAdmissionPlugins: ["LimitPodHardAntiAffinityTopology", "PodNodeSelector", "ExtendedResourceToleration"],
    disableAdmissionPlugins: ["ServiceAccount"],
  });
  const client = harness.client();
  const apart = (topologyKey: string) => ({
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey }] } },
  });
  assert.equal(await refusal(client.create(pods, pod("a", apart("kubernetes.io/hostname")))), "");
  assert.equal(
    await refusal(client.create(pods, pod("b", apart("zone")))),
    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed",
  );
  const annotations = { "scheduler.alpha.kubernetes.io/node-selector": "env=prod, disk=fast" };
  await client.create(namespaces, { metadata: { name: "prod", annotations } });
  const placed = await client.create(pods, pod("c", { nodeSelector: { more: "x" } }, "prod"));
  assert.deepEqual({ ...placed.spec.nodeSelector }, { env: "prod", disk: "fast", more: "x" });
  assert.equal(
    await refusal(client.create(pods, pod("d", { nodeSelector: { env: "test" } }, "prod"))),
    "pod node label selector conflicts with its namespace node label selector",
  );
  const amounts = { "example.com/gpu": "1", cpu: "1" };
  const containers = [{ name: "c", image: "i", resources: { requests: amounts, limits: amounts } }];
  const { spec } = await client.create(pods, pod("e", { containers }));
  assert.deepEqual(
    spec.tolerations?.filter(({ effect }) => effect === "NoSchedule").map((one) => ({ ...one })),
    [{ key: "example.com/gpu", operator: "Exists", effect: "NoSchedule" }],
  );
});

test("who makes an object hold up its owner's deletion must be allowed to set the owner's finalizers", async () => {
  await using harness = await startServer(world, {
    enableAdmissionPlugins: ["OwnerReferencesPermissionEnforcement", "NamespaceExists"],
  });
  const admin = harness.client();
  const verbs = ["create", "update", "get"];
  await admin.create(clusterRoles, {
    metadata: { name: "writer" },
    rules: [{ apiGroups: [""], resources: ["configmaps"], verbs }],
  });
  await admin.create(clusterRoleBindings, {
    metadata: { name: "writer" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "writer" },
    subjects: [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }],
  });
  const jane = harness.client({ name: "jane", groups: ["system:authenticated"] });
  const owned = (name: string, blockOwnerDeletion: boolean) => ({
    metadata: {
      name,
      namespace: "default",
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "u", blockOwnerDeletion }],
    },
  });
  assert.equal(await refusal(jane.create(configMaps, owned("a", false))), "");
  assert.match(
    await refusal(jane.create(configMaps, owned("b", true))),
    /^cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: /,
  );
  assert.equal(await refusal(admin.create(configMaps, owned("b", true))), "");
  const a = await jane.get(configMaps, { namespace: "default", name: "a" });
  const { ownerReferences: _, ...metadata } = a.metadata;
  assert.match(
    await refusal(jane.update(configMaps, { ...a, metadata })),
    /^cannot set an ownerRef on a resource you can't delete: /,
  );
  assert.equal(
    await refusal(admin.create(configMaps, { metadata: { name: "a", namespace: "nowhere" } })),
    'namespaces "nowhere" not found',
  );
});
