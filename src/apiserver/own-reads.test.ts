import assert from "node:assert/strict";
import { after, test } from "node:test";
import { deferred } from "../base/deferred.ts";
import { hasReason } from "../machinery/status.ts";
import { nodeWorld } from "../world/node/index.ts";
import { sleep } from "../world/time.ts";
import { FakeEtcd } from "./testing/fake-etcd.ts";
import { startServer } from "./testing/harness.ts";
import { lateWatches } from "./testing/late-watches.ts";

const world = nodeWorld();
/** Much longer than a request takes: whoever doesn't wait for it is seen. */
const aLittle = () => sleep(world.clock, 40);
let behind = aLittle;
const harness = await startServer(
  world,
  {},
  lateWatches(new FakeEtcd(), () => behind()),
);
after(() => harness[Symbol.asyncDispose]());
const admin = harness.client().transport;
const jane = harness.client({ name: "jane", groups: ["system:authenticated"] }).transport;
type Verb = "GET" | "POST" | "DELETE" | "PUT";
const send = (method: Verb, path: string, body?: object, by = admin) =>
  by.send({ method, path, ...(body && { body }) }) as Promise<any>;
const MAPS = "/api/v1/namespaces/default/configmaps";
const forbidden = (error: unknown) => hasReason(error, "Forbidden");

test("a binding is in force when the answer says that it is there, and in force no more when it says that it is gone", async () => {
  const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
  await send("POST", `${rbac}/roles`, {
    metadata: { name: "reader" },
    rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["list"] }],
  });
  await send("POST", `${rbac}/rolebindings`, {
    metadata: { name: "jane" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "jane" }],
  });
  await send("GET", MAPS, undefined, jane);
  await send("DELETE", `${rbac}/rolebindings/jane`);
  await assert.rejects(send("GET", MAPS, undefined, jane), forbidden);
});

test("a definition is served when the answer says so", async () => {
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  await send("POST", definitions, {
    metadata: { name: "pears.fruit.example.com" },
    spec: {
      group: "fruit.example.com",
      scope: "Namespaced",
      names: { plural: "pears", kind: "Pear" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  });
  const pears = "/apis/fruit.example.com/v1/namespaces/default/pears";
  await send("POST", pears, { apiVersion: "fruit.example.com/v1", kind: "Pear", metadata: { name: "a" } });
});

test("the labels of a namespace and the limits in it hold for the next request", async () => {
  const labels = { "pod-security.kubernetes.io/enforce": "baseline" };
  await send("POST", "/api/v1/namespaces", { metadata: { name: "strict", labels } });
  await send("POST", "/api/v1/namespaces/strict/serviceaccounts", { metadata: { name: "default" } });
  await send("POST", "/api/v1/namespaces/strict/limitranges", {
    metadata: { name: "some" },
    spec: { limits: [{ type: "Container", default: { cpu: "1" }, defaultRequest: { cpu: "100m" } }] },
  });
  const pods = "/api/v1/namespaces/strict/pods";
  const spec = { containers: [{ name: "c", image: "i" }] };
  const open = { metadata: { name: "open" }, spec: { ...spec, hostNetwork: true } };
  await assert.rejects(send("POST", pods, open), forbidden);
  const pod = await send("POST", pods, { metadata: { name: "limited" }, spec });
  assert.equal(pod.spec.containers[0].resources.requests.cpu, "100m");
});

test("who writes what the server doesn't read itself doesn't wait for its cache, until a policy takes parameters of the kind", async () => {
  // A version of 0 asks for what the cache has.
  const fromCache = { method: "GET", path: MAPS, query: { resourceVersion: "0" } } as const;
  const known = async (name: string) =>
    ((await admin.send(fromCache)) as any).items.some(({ metadata }: any) => metadata.name === name);
  const gate = deferred();
  behind = () => gate.promise;
  await send("POST", MAPS, { metadata: { name: "plain" } });
  assert.equal(await known("plain"), false);
  gate.resolve();
  behind = aLittle;
  const api = "/apis/admissionregistration.k8s.io/v1";
  await send("POST", `${api}/validatingadmissionpolicies`, {
    metadata: { name: "limits" },
    spec: {
      paramKind: { apiVersion: "v1", kind: "ConfigMap" },
      matchConstraints: {
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["secrets"] }],
      },
      validations: [{ expression: "params.data.open == 'yes'", message: "closed" }],
    },
  });
  const paramRef = { name: "gate", namespace: "default", parameterNotFoundAction: "Deny" };
  await send("POST", `${api}/validatingadmissionpolicybindings`, {
    metadata: { name: "limits" },
    spec: { policyName: "limits", validationActions: ["Deny"], paramRef },
  });
  const secret = { metadata: { name: "s" } };
  const secrets = "/api/v1/namespaces/default/secrets";
  await assert.rejects(send("POST", secrets, secret), /no params found/);
  await send("POST", MAPS, { metadata: { name: "gate" }, data: { open: "no" } });
  assert.equal(await known("gate"), true);
  await assert.rejects(send("POST", secrets, secret), /closed/);
  await send("PUT", `${MAPS}/gate`, { metadata: { name: "gate" }, data: { open: "yes" } });
  await send("POST", secrets, secret);
});
