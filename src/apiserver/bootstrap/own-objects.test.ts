/** What the server writes by itself has the owners that a genuine kube-apiserver 1.36.2 names. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  serviceClusterIpRange: "10.96.0.0/16",
  hostname: "vm",
  advertiseAddress: "10.1.2.3",
});
after(() => harness[Symbol.asyncDispose]());
const get = async (path: string) => JSON.parse((await ask(harness, "GET", path)).body.toString());
const owners = ({ metadata }: any) =>
  Object.fromEntries(
    (metadata.managedFields ?? []).map((entry: any) => [
      [entry.manager, entry.operation, ...(entry.subresource ? [entry.subresource] : [])].join(" "),
      entry.fieldsV1,
    ]),
  );
const condition = (type: string, ...fields: string[]) => ({
  [`k:{"type":"${type}"}`]: { ".": {}, ...Object.fromEntries(fields.map((field) => [`f:${field}`, {}])) },
});

test("the default ServiceCIDR has no finalizer, and its status is its controller's", async () => {
  const cidr = await get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes");
  assert.equal(cidr.metadata.finalizers, undefined);
  assert.deepEqual(owners(cidr), {
    "kubernetes-service-cidr-controller Apply status": {
      "f:status": { "f:conditions": condition("Ready", "lastTransitionTime", "message", "status", "type") },
    },
    "kube-apiserver Update": { "f:spec": { "f:cidrs": {} } },
  });
  assert.equal(cidr.status.conditions[0].reason, "");
});

test("an address that is given away is the server's, and has no generation", async () => {
  const address = await get("/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1");
  assert.equal(address.metadata.generation, undefined);
  const labels = { "f:ipaddress.kubernetes.io/ip-family": {}, "f:ipaddress.kubernetes.io/managed-by": {} };
  assert.deepEqual(owners(address), {
    "kube-apiserver Update": {
      "f:metadata": { "f:labels": { ".": {}, ...labels } },
      "f:spec": { "f:parentRef": { ".": {}, "f:name": {}, "f:namespace": {}, "f:resource": {} } },
    },
  });
});

test("nobody owns the fields of the service kubernetes that the server fills in", async () => {
  const { "kube-apiserver Update": own } = owners(await get("/api/v1/namespaces/default/services/kubernetes"));
  const spec = ["clusterIP", "internalTrafficPolicy", "ipFamilyPolicy", "ports", "sessionAffinity", "type"];
  assert.deepEqual(
    Object.keys(own["f:spec"]).sort(),
    spec.map((field) => `f:${field}`),
  );
});

test("an unavailable APIService's status is the server's, and says why in upstream's words", async () => {
  const service = { name: "s", namespace: "default" };
  const make = async (path: string, body: object) =>
    assert.equal((await ask(harness, "POST", path, { body: JSON.stringify(body) })).status, 201);
  await make("/api/v1/namespaces/default/services", {
    metadata: { name: "s" },
    spec: { type: "NodePort", ports: [{ port: 80 }] },
  });
  await make("/apis/apiregistration.k8s.io/v1/apiservices", {
    metadata: { name: "v1.nope.io" },
    spec: {
      group: "nope.io",
      version: "v1",
      groupPriorityMinimum: 100,
      versionPriority: 1,
      insecureSkipTLSVerify: true,
      service,
    },
  });
  const read = () => get("/apis/apiregistration.k8s.io/v1/apiservices/v1.nope.io");
  let found = await read();
  for (; found.status?.conditions === undefined; found = await read())
    await new Promise((resolve) => setImmediate(resolve));
  const [{ reason, message }] = found.status.conditions;
  assert.deepEqual([reason, message], ["FailedDiscoveryCheck", 'no service port 443 found for service "s"']);
  assert.deepEqual(owners(found)["kube-apiserver Update status"], {
    "f:status": {
      "f:conditions": {
        ".": {},
        ...condition("Available", "lastTransitionTime", "message", "reason", "status", "type"),
      },
    },
  });
});

test("a server that trusts no proxy and no authority publishes neither", async () => {
  const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
  assert.equal((await ask(harness, "GET", path)).status, 404);
});

test("the server's lease is named by its machine, and says where its peers reach it", async () => {
  const { items } = await get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases");
  const [{ metadata, spec }] = items;
  assert.equal(metadata.name, "apiserver-wlv32tlttr4jl3gtroqexyxapa");
  assert.deepEqual(metadata.labels, {
    "apiserver.kubernetes.io/identity": "kube-apiserver",
    "kubernetes.io/hostname": "vm",
  });
  assert.match(metadata.annotations["kubernetes.io/peer-advertise-address"], /^10\.1\.2\.3:\d+$/);
  assert.deepEqual(Object.keys(spec), ["holderIdentity", "leaseDurationSeconds", "renewTime"]);
  assert.match(spec.holderIdentity, /^apiserver-wlv32tlttr4jl3gtroqexyxapa_[0-9a-f-]{36}$/);
});
