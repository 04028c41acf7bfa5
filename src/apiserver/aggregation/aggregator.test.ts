import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientRequest, HttpClient, HttpClientOptions } from "../../world/net.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { FakeEtcd } from "../testing/fake-etcd.ts";
import { startServer } from "../testing/harness.ts";

const world = nodeWorld();

/** A world in which one extension server answers whatever is asked of anybody. */
function withExtension(answer: (request: ClientRequest) => object, statusOf = () => 200) {
  const asked: { readonly options: HttpClientOptions; readonly request: ClientRequest }[] = [];
  const httpClient = (options: HttpClientOptions): HttpClient => ({
    async request(request) {
      asked.push({ options, request });
      return {
        status: statusOf(),
        headers: { "content-type": "application/json" },
        body: (async function* () {
          yield Buffer.from(JSON.stringify(answer(request)));
        })(),
        trailers: Promise.resolve({}),
      };
    },
    upgrade: () => assert.fail(),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  });
  return {
    asked,
    world: { ...world, clock: world.clock, random: world.random, fs: world.fs, net: { httpClient } as never },
  };
}

test("a group of an extension server is discovered, and its requests go there in the user's name", async () => {
  const list = {
    kind: "APIResourceList",
    groupVersion: "metrics.k8s.io/v1beta1",
    resources: [{ name: "pods", singularName: "", namespaced: true, kind: "PodMetrics", verbs: ["get", "list"] }],
  };
  const { asked, world: extended } = withExtension(({ path }) =>
    path === "/apis/metrics.k8s.io/v1beta1" ? list : { kind: "PodMetricsList", items: [] },
  );
  await using harness = await startServer(extended);
  const { transport } = harness.client();
  const post = (path: string, body: object) => transport.send({ method: "POST", path, body });
  await post("/api/v1/namespaces/default/services", {
    metadata: { name: "metrics" },
    spec: { ports: [{ port: 443 }] },
  });
  await post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    metadata: { name: "metrics-1", labels: { "kubernetes.io/service-name": "metrics" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.9"] }],
    ports: [{ port: 4443, name: "" }],
  });
  await post("/apis/apiregistration.k8s.io/v1/apiservices", {
    metadata: { name: "v1beta1.metrics.k8s.io" },
    spec: {
      group: "metrics.k8s.io",
      version: "v1beta1",
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { name: "metrics", namespace: "default" },
    },
  });
  const condition = async () =>
    (
      (await transport.send({
        method: "GET",
        path: "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io",
      })) as any
    ).status?.conditions?.[0];
  while ((await condition())?.status !== "True") await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await condition()).reason, "Passed");
  const groups = (await transport.send({ method: "GET", path: "/apis" })) as any;
  assert.ok(groups.groups.some(({ name }: any) => name === "metrics.k8s.io"));
  // What etcd has of its availability, the server acts upon a moment later.
  const ask = async () => (await transport.raw({ method: "GET", path: "/apis/metrics.k8s.io/v1beta1/pods" })).status;
  while ((await ask()) !== 200) await new Promise((resolve) => setImmediate(resolve));
  const last = asked.at(-1)!;
  assert.equal(last.options.base, "https://10.0.0.9:4443");
  assert.equal(last.options.tls?.serverName, "metrics.default.svc");
  assert.equal(last.request.path, "/apis/metrics.k8s.io/v1beta1/pods");
  assert.equal(last.request.headers?.["x-remote-user"], "admin");
  assert.equal(last.request.headers?.["authorization"], undefined);
});

test("each thing that an extension server lacks has its reason, and is looked at again at once when it comes", async () => {
  let status = 503;
  const { world: extended } = withExtension(
    () => ({ kind: "APIResourceList", resources: [] }),
    () => status,
  );
  await using harness = await startServer(extended);
  const { transport } = harness.client();
  const send = (method: "GET" | "POST" | "PUT", path: string, body?: object) =>
    transport.send({ method, path, ...(body && { body }) }) as Promise<any>;
  const path = "/apis/apiregistration.k8s.io/v1/apiservices";
  await send("POST", path, {
    metadata: { name: "v1.far.example.com" },
    spec: {
      group: "far.example.com",
      version: "v1",
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { name: "far", namespace: "default", port: 8443 },
    },
  });
  const becomes = async (reason: string) => {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const [condition] = (await send("GET", `${path}/v1.far.example.com`)).status?.conditions ?? [];
      if (condition?.reason === reason) return `${condition.status} ${condition.message}`;
      assert.ok(performance.now() < deadline, `${reason}, not ${condition?.reason}: ${condition?.message}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  assert.equal(await becomes("ServiceNotFound"), 'False service/far in "default" is not present');
  const refused = await transport.raw({ method: "GET", path: "/apis/far.example.com/v1" });
  const chunks: Uint8Array[] = [];
  for await (const chunk of refused.body) chunks.push(chunk);
  assert.deepEqual([refused.status, Buffer.concat(chunks).toString()], [503, "service unavailable\n"]);
  const services = "/api/v1/namespaces/default/services";
  const made = await send("POST", services, { metadata: { name: "far" }, spec: { ports: [{ name: "x", port: 443 }] } });
  assert.equal(await becomes("ServicePortError"), 'False service/far in "default" is not listening on port 8443');
  const ports = [{ name: "https", port: 8443, protocol: "TCP", targetPort: 8443 }];
  await send("PUT", `${services}/far`, { ...made, spec: { ...made.spec, ports } });
  assert.equal(await becomes("EndpointsNotFound"), 'False cannot find endpointslices for service/far in "default"');
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const slice = await send("POST", slices, {
    metadata: { name: "far-1", labels: { "kubernetes.io/service-name": "far" } },
    addressType: "IPv4",
    endpoints: [],
    ports: [{ port: 8443, name: "https" }],
  });
  assert.equal(
    await becomes("MissingEndpoints"),
    'False endpointslices for service/far in "default" have no addresses with port name "https"',
  );
  const ready = await send("PUT", `${slices}/far-1`, { ...slice, endpoints: [{ addresses: ["10.0.0.9"] }] });
  assert.equal(
    await becomes("FailedDiscoveryCheck"),
    "False failing or missing response from https://10.0.0.9:8443/apis/far.example.com/v1: bad status from https://10.0.0.9:8443/apis/far.example.com/v1: 503",
  );
  status = 200;
  await send("PUT", `${slices}/far-1`, { ...ready, endpoints: [{ addresses: ["10.0.0.10"] }] });
  assert.equal(await becomes("Passed"), "True all checks passed");
});

test("a group that this server answers itself is always available", async () => {
  await using harness = await startServer(withExtension(() => ({})).world);
  const { transport } = harness.client();
  const path = "/apis/apiregistration.k8s.io/v1/apiservices";
  await transport.send({
    method: "POST",
    path,
    body: {
      metadata: { name: "v1.near.example.com" },
      spec: { group: "near.example.com", version: "v1", groupPriorityMinimum: 100, versionPriority: 100 },
    },
  });
  for (;;) {
    const { status } = (await transport.send({ method: "GET", path: `${path}/v1.near.example.com` })) as any;
    const [condition] = status?.conditions ?? [];
    if (condition === undefined) continue;
    assert.deepEqual([condition.status, condition.reason], ["True", "Local"]);
    return;
  }
});

test("a store that doesn't take an APIService's status is asked again, and the server serves on", async () => {
  const etcd = new FakeEtcd();
  let refusals = 0;
  const { Txn } = etcd.kv;
  const kv: typeof etcd.kv = {
    ...etcd.kv,
    async Txn(request) {
      const puts = (request.success ?? []).filter((one: any) => String(one.request_put?.key).includes("v1.lost.io"));
      const isStatus = puts.some((one: any) => Buffer.from(one.request_put.value).includes("ServiceNotFound"));
      if (isStatus && refusals++ < 1) throw new Error("the store is away");
      return Txn(request);
    },
  };
  await using harness = await startServer(withExtension(() => ({})).world, {}, Object.assign(etcd, { kv }));
  const { transport } = harness.client();
  const path = "/apis/apiregistration.k8s.io/v1/apiservices";
  const spec = { group: "lost.io", version: "v1", groupPriorityMinimum: 100, versionPriority: 100 };
  const service = { name: "lost", namespace: "default" };
  await transport.send({
    method: "POST",
    path,
    body: { metadata: { name: "v1.lost.io" }, spec: { ...spec, service, insecureSkipTLSVerify: true } },
  });
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { status } = (await transport.send({ method: "GET", path: `${path}/v1.lost.io` })) as any;
    if (status?.conditions?.[0]?.reason === "ServiceNotFound") break;
    assert.ok(performance.now() < deadline);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(refusals, 2);
});
