/** The server from outside: what a client in this process sees. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deployments } from "../api/apps/v1/deployment/resource.ts";
import { configMaps } from "../api/core/v1/configmap/resource.ts";
import { namespaces } from "../api/core/v1/namespace/resource.ts";
import { pods } from "../api/core/v1/pod/resource.ts";
import { serviceAccounts } from "../api/core/v1/serviceaccount/resource.ts";
import { services } from "../api/core/v1/service/resource.ts";
import type { Client } from "../client/client.ts";
import { StatusError, hasReason } from "../machinery/status.ts";
import { nodeWorld } from "../world/node/index.ts";
import type { UserInfo } from "./authn/user.ts";
import { keysOf, startServer } from "./testing/harness.ts";

const world = nodeWorld();
const JANE: UserInfo = { name: "jane", groups: ["dev", "system:authenticated"] };
const at = (name: string) => ({ namespace: "default", name });
const named = (name: string) => ({ metadata: at(name) });

/** The reason and message of a refusal. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.code} ${error.reason}: ${error.message}`;
  }
  return "no refusal";
}

async function withAccount(client: Client): Promise<void> {
  await client.create(serviceAccounts, named("default"));
}

const pod = (name: string, more: object = {}) => ({
  ...named(name),
  spec: { containers: [{ name: "c", image: "nginx" }], ...more },
});

test("an object that was created can be got, listed and watched, and is in etcd under upstream's key", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const created = await client.create(configMaps, { ...named("a"), data: { k: "v" } });
  assert.equal(created.data?.["k"], "v");
  assert.match(created.metadata.uid, /^[0-9a-f-]{36}$/);
  const { kvs } = await harness.etcd.kv.Range({ key: Buffer.from("/registry/configmaps/default/a") });
  assert.equal(created.metadata.resourceVersion, String(kvs[0]!.mod_revision));
  assert.deepEqual(await client.get(configMaps, at("a")), created);
  const list = await client.list(configMaps, { namespace: "default" });
  assert.ok(list.items.some((item) => item.metadata.name === "a"));
  const abort = new AbortController();
  const events: string[] = [];
  const watching = (async () => {
    for await (const event of client.watch(configMaps, {
      namespace: "default",
      resourceVersion: created.metadata.resourceVersion,
      signal: abort.signal,
    })) {
      events.push(`${event.type} ${event.object.metadata.name}`);
      if (event.type === "DELETED") abort.abort();
    }
  })();
  const updated = await client.update(configMaps, { ...created, data: { k: "w" } });
  assert.notEqual(updated.metadata.resourceVersion, created.metadata.resourceVersion);
  await client.delete(configMaps, at("a"));
  await watching.catch(() => {});
  assert.deepEqual(events, ["MODIFIED a", "DELETED a"]);
  assert.equal(await refusal(client.get(configMaps, at("a"))), '404 NotFound: configmaps "a" not found');
});

test("a stale update is a conflict, and one without change writes nothing", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const first = await client.create(configMaps, named("a"));
  await client.update(configMaps, { ...first, data: { k: "1" } });
  assert.equal(
    await refusal(client.update(configMaps, { ...first, data: { k: "2" } })),
    '409 Conflict: Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  const now = await client.get(configMaps, at("a"));
  const same = await client.update(configMaps, now);
  assert.equal(same.metadata.resourceVersion, now.metadata.resourceVersion);
});

test("refusals carry upstream's reasons and words", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await client.create(configMaps, named("a"));
  const table: [() => Promise<unknown>, string][] = [
    [() => client.create(configMaps, named("a")), '409 AlreadyExists: configmaps "a" already exists'],
    [() => client.update(configMaps, named("b") as never), '404 NotFound: configmaps "b" not found'],
    [
      () => client.create(configMaps, { metadata: { name: "x", namespace: "nowhere" } }),
      '404 NotFound: namespaces "nowhere" not found',
    ],
    [
      () => client.delete(namespaces, { name: "default" }),
      '403 Forbidden: namespaces "default" is forbidden: this namespace may not be deleted',
    ],
    [
      () => client.create(pods, pod("p")),
      '403 Forbidden: pods "p" is forbidden: error looking up service account default/default: serviceaccount "default" not found',
    ],
    [
      () => harness.client(JANE).list(pods, { namespace: "default" }),
      '403 Forbidden: pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    ],
    [
      () =>
        client.delete(configMaps, at("a"), { preconditions: { uid: "other" } }).catch((error: StatusError) => {
          throw new StatusError(error.reason, error.message.replace(/record \([^)]*\)/, "record (…)"), error.details);
        }),
      '409 Conflict: Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the UID in record (…). The object might have been deleted and then recreated',
    ],
  ];
  for (const [ask, expected] of table) assert.equal(await refusal(ask()), expected);
});

test("a generated name is the prefix and five letters", async () => {
  await using harness = await startServer(world);
  const created = await harness
    .client()
    .create(configMaps, { metadata: { generateName: "job-", namespace: "default" } });
  assert.match(created.metadata.name, /^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
});

test("the four kinds of patch change an object, and apply owns what it set", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await client.create(configMaps, { ...named("a"), data: { a: "1", b: "2" } });
  const merged = await client.patch(configMaps, at("a"), "application/merge-patch+json", { data: { b: null, c: "3" } });
  assert.deepEqual(merged.data, { a: "1", c: "3" });
  const jsoned = await client.patch(configMaps, at("a"), "application/json-patch+json", [
    { op: "replace", path: "/data/a", value: "9" },
  ]);
  assert.equal(jsoned.data?.["a"], "9");
  const strategic = await client.patch(configMaps, at("a"), "application/strategic-merge-patch+json", {
    metadata: { labels: { l: "1" } },
  });
  assert.deepEqual(strategic.metadata.labels, { l: "1" });
  const document = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { a: "10" } };
  const apply = (force: boolean) =>
    client.patch(configMaps, at("a"), "application/apply-patch+yaml", document, { fieldManager: "me", force });
  assert.match(
    await refusal(apply(false)),
    /^409 Conflict: Apply failed with 1 conflict: conflict with ".*" using v1: \.data\.a$/,
  );
  const applied = await apply(true);
  assert.equal(applied.data?.["a"], "10");
  assert.ok(applied.metadata.managedFields?.some((entry) => entry.manager === "me" && entry.operation === "Apply"));
  const made = await client.patch(
    configMaps,
    at("new"),
    "application/apply-patch+yaml",
    { ...document, metadata: { name: "new" } },
    { fieldManager: "me" },
  );
  assert.equal(made.data?.["a"], "10");
});

test("status and spec are written each at their own endpoint, and a change of spec raises the generation", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const created = await client.create(deployments, {
    ...named("web"),
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "nginx" }] } },
    },
  });
  assert.equal(created.metadata.generation, 1);
  assert.equal(created.spec.replicas, 1);
  const status = await client.updateStatus(deployments, {
    ...created,
    spec: { ...created.spec, replicas: 7 },
    status: { replicas: 1, observedGeneration: 1 },
  });
  assert.equal(status.spec.replicas, 1);
  assert.equal(status.status.replicas, 1);
  assert.equal(status.metadata.generation, 1);
  const spec = await client.update(deployments, {
    ...status,
    spec: { ...status.spec, replicas: 3 },
    status: { replicas: 9 },
  });
  assert.equal(spec.metadata.generation, 2);
  assert.equal(spec.status.replicas, 1);
  const scaled = (await client.transport.send({
    method: "PATCH",
    path: "/apis/apps/v1/namespaces/default/deployments/web/scale",
    patchType: "application/merge-patch+json",
    body: { spec: { replicas: 5 } },
  })) as { spec: { replicas: number }; status: { selector: string } };
  assert.equal(scaled.spec.replicas, 5);
  assert.equal(scaled.status.selector, "app=web");
  assert.equal((await client.get(deployments, at("web"))).spec.replicas, 5);
});

test("finalizers hold an object until the last of them is gone", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await client.create(configMaps, { metadata: { ...at("a"), finalizers: ["example.com/hold"] } });
  await client.delete(configMaps, at("a"));
  const held = await client.get(configMaps, at("a"));
  assert.ok(held.metadata.deletionTimestamp);
  assert.equal(held.metadata.deletionGracePeriodSeconds, 0);
  await client.update(configMaps, { ...held, metadata: { ...held.metadata, finalizers: [] } });
  assert.match(await refusal(client.get(configMaps, at("a"))), /^404/);
});

test("a pod is bound once, and then goes only after its grace period or by force", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await withAccount(client);
  const created = await client.create(pods, pod("p"));
  assert.equal(created.spec.serviceAccountName, "default");
  assert.ok(created.spec.volumes?.some((volume) => volume.name.startsWith("kube-api-access-")));
  const bind = (node: string) =>
    client.createSubresource(pods, at("p"), "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "p" },
      target: { kind: "Node", name: node },
    });
  await bind("n1");
  const bound = await client.get(pods, at("p"));
  assert.equal(bound.spec.nodeName, "n1");
  assert.equal(bound.status.conditions?.find(({ type }) => type === "PodScheduled")?.status, "True");
  assert.equal(
    await refusal(bind("n2") as Promise<unknown>),
    '409 Conflict: Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
  );
  await client.delete(pods, at("p"));
  const going = await client.get(pods, at("p"));
  assert.equal(going.metadata.deletionGracePeriodSeconds, 30);
  assert.ok(going.metadata.deletionTimestamp);
  await client.delete(pods, at("p"), { gracePeriodSeconds: 0 });
  assert.match(await refusal(client.get(pods, at("p"))), /^404/);
});

test("services get an address and node ports that no other has, and give them back", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const spec = { ports: [{ port: 80 }], selector: { app: "x" } };
  const created = await client.create(services, { ...named("s"), spec: { ...spec, type: "NodePort" } });
  assert.match(created.spec.clusterIP!, /^10\.(9[6-9]|1[01]\d)\./);
  const port = created.spec.ports![0]!.nodePort!;
  assert.ok(port >= 30000 && port <= 32767);
  const clash = { ...named("t"), spec: { ...spec, clusterIP: created.spec.clusterIP! } };
  assert.match(
    await refusal(client.create(services, clash)),
    /^422 Invalid: Service "t" is invalid: spec.clusterIPs: .*provided IP is already allocated$/,
  );
  await client.delete(services, at("s"));
  const again = await client.create(services, clash);
  assert.equal(again.spec.clusterIP, created.spec.clusterIP);
});

test("a load balancer of local traffic has a port for its health, and gives it back", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const spec = {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    ports: [{ port: 80 }],
    selector: { app: "x" },
  };
  const created = await client.create(services, { ...named("s"), spec });
  const port = created.spec.healthCheckNodePort!;
  assert.ok(port >= 30000 && port <= 32767 && port !== created.spec.ports![0]!.nodePort);
  // A client that doesn't know of it keeps it.
  const { healthCheckNodePort: _, ...known } = created.spec;
  const replaced = await client.update(services, { ...created, spec: known as never });
  assert.equal(replaced.spec.healthCheckNodePort, port);
  // With another port of its own choice: any other could be this one.
  const ports = [{ port: 80, nodePort: port === 30001 ? 30002 : 30001 }];
  const clash = { ...named("t"), spec: { ...spec, ports, healthCheckNodePort: port } };
  assert.equal(
    await refusal(client.create(services, clash)),
    `500 InternalError: Internal error occurred: failed to allocate requested HealthCheck NodePort ${port}: provided port is already allocated`,
  );
  const everywhere = await client.update(services, {
    ...replaced,
    spec: { ...replaced.spec, externalTrafficPolicy: "Cluster" },
  });
  assert.equal(everywhere.spec.healthCheckNodePort, undefined);
  assert.equal((await client.create(services, clash)).spec.healthCheckNodePort, port);
});

test("a namespace stays Terminating until it is finalized", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const made = await client.create(namespaces, { metadata: { name: "x" } });
  assert.deepEqual(made.spec.finalizers, ["kubernetes"]);
  await client.delete(namespaces, { name: "x" });
  const going = await client.get(namespaces, { name: "x" });
  assert.equal(going.status.phase, "Terminating");
  await assert.rejects(client.create(configMaps, { metadata: { name: "a", namespace: "x" } }), (error) =>
    hasReason(error, "Forbidden"),
  );
  await client.update(namespaces, { ...going, spec: { finalizers: [] } }, { subresource: "finalize" });
  assert.match(await refusal(client.get(namespaces, { name: "x" })), /^404/);
});

test("pages of a list are of one revision", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  for (const name of ["a", "b", "c"]) await client.create(configMaps, named(name));
  const first = await client.list(configMaps, { namespace: "default", limit: 2 });
  assert.deepEqual(
    first.items.map(({ metadata }) => metadata.name),
    ["a", "b"],
  );
  assert.equal(first.remainingItemCount, 1);
  await client.create(configMaps, named("bb"));
  await client.delete(configMaps, at("c"));
  const second = await client.list(configMaps, { namespace: "default", limit: 2, continue: first.continue! });
  assert.deepEqual(
    second.items.map(({ metadata }) => metadata.name),
    ["c"],
  );
  assert.equal(second.resourceVersion, first.resourceVersion);
});

test("a watch with a selector tells of objects that enter and leave it", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const created = await client.create(configMaps, named("a"));
  const abort = new AbortController();
  const events: string[] = [];
  const watching = (async () => {
    const options = { namespace: "default", labelSelector: "on=yes", sendInitialEvents: true, allowBookmarks: true };
    for await (const { type, object } of client.watch(configMaps, { ...options, signal: abort.signal })) {
      events.push(`${type} ${object.metadata.annotations?.["k8s.io/initial-events-end"] ?? object.metadata.name}`);
      if (type === "DELETED") return;
      if (type === "BOOKMARK") {
        const on = await client.update(configMaps, {
          ...created,
          metadata: { ...created.metadata, labels: { on: "yes" } },
        });
        await client.update(configMaps, { ...on, metadata: { ...on.metadata, labels: { on: "no" } } });
      }
    }
  })();
  await watching;
  assert.deepEqual(events, ["BOOKMARK true", "ADDED a", "DELETED a"]);
});

test("a token of a service account is a user until the account is gone", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await withAccount(client);
  const made = (await client.createSubresource(serviceAccounts, at("default"), "token", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { audiences: [], expirationSeconds: 3600 },
  })) as { status: { token: string } };
  const review = async () =>
    (await client.transport.send({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/tokenreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: made.status.token } },
    })) as { status: { authenticated?: boolean; user: { username?: string } } };
  assert.equal((await review()).status.user.username, "system:serviceaccount:default:default");
  assert.equal((await review()).status.authenticated, true);
  await client.delete(serviceAccounts, at("default"));
  // Another's etcd takes a moment to tell.
  while ((await review()).status.authenticated) await new Promise((resolve) => setImmediate(resolve));
});

test("a kubelet reads the secrets of its pods and no others", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  await withAccount(client);
  const kubelet = harness.client({ name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] });
  const get = (name: string) =>
    kubelet.transport.send({ method: "GET", path: `/api/v1/namespaces/default/secrets/${name}` });
  for (const name of ["mine", "other"])
    await client.transport.send({
      method: "POST",
      path: "/api/v1/namespaces/default/secrets",
      body: { apiVersion: "v1", kind: "Secret", metadata: { name } },
    });
  await client.create(pods, pod("p", { nodeName: "n1", volumes: [{ name: "v", secret: { secretName: "mine" } }] }));
  // Who may what follows the pods that the server has heard of, and another's etcd takes a moment to tell.
  while ((await refusal(get("mine"))).startsWith("403")) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await refusal(get("mine")), "no refusal");
  assert.equal(
    await refusal(get("other")),
    `403 Forbidden: secrets "other" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object`,
  );
});

test("a user cannot grant permissions that the user does not have", async () => {
  await using harness = await startServer(world);
  const admin = harness.client().transport;
  const post = (resource: string, body: object, as = admin) =>
    as.send({ method: "POST", path: `/apis/rbac.authorization.k8s.io/v1/${resource}`, body });
  await post("clusterroles", {
    metadata: { name: "role-writer" },
    rules: [{ apiGroups: ["rbac.authorization.k8s.io"], resources: ["*"], verbs: ["create"] }],
  });
  await post("clusterrolebindings", {
    metadata: { name: "jane" },
    subjects: [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }],
    roleRef: { kind: "ClusterRole", name: "role-writer", apiGroup: "rbac.authorization.k8s.io" },
  });
  const jane = harness.client(JANE).transport;
  const role = {
    metadata: { name: "x" },
    rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get", "list"] }],
  };
  // Another's etcd takes a moment to tell that she may create roles at all.
  while ((await refusal(post("clusterroles", role, jane))).includes("cannot create resource"))
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal(
    await refusal(post("clusterroles", role, jane)),
    '403 Forbidden: clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
  );
});

test("a custom kind is served as soon as it is defined, and gone with its definition", async () => {
  await using harness = await startServer(world);
  const { transport } = harness.client();
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const things = "/apis/example.com/v1/namespaces/default/things";
  await transport.send({
    method: "POST",
    path: crds,
    body: {
      metadata: { name: "things.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  spec: {
                    type: "object",
                    properties: { size: { type: "integer", minimum: 1, default: 3 } },
                  },
                  status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                },
              },
            },
          },
        ],
      },
    },
  });
  const created = (await transport.send({
    method: "POST",
    path: things,
    body: {
      apiVersion: "example.com/v1",
      kind: "Thing",
      metadata: { name: "a" },
      spec: { extra: 1 },
      status: { x: 1 },
    },
  })) as any;
  assert.deepEqual([created.spec, created.status, created.metadata.generation], [{ size: 3 }, undefined, 1]);
  assert.equal(
    await refusal(
      transport.send({
        method: "PATCH",
        path: `${things}/a`,
        patchType: "application/merge-patch+json",
        body: { spec: { size: 0 } },
      }),
    ),
    '422 Invalid: Thing.example.com "a" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
  );
  await transport.send({ method: "DELETE", path: `${crds}/things.example.com` });
  while (!(await refusal(transport.send({ method: "GET", path: things }))).startsWith("404"))
    await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!(await keysOf(harness)).some((key) => key.includes("example.com/things")));
});
