import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientRequest, HttpClient, HttpClientOptions } from "../../world/net.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { startServer } from "../testing/harness.ts";

const world = nodeWorld();

/** A world in which one extension server answers whatever is asked of anybody. */
function withExtension(answer: (request: ClientRequest) => object) {
  const asked: { readonly options: HttpClientOptions; readonly request: ClientRequest }[] = [];
  const httpClient = (options: HttpClientOptions): HttpClient => ({
    async request(request) {
      asked.push({ options, request });
      return {
        status: 200,
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
  while ((await condition())?.status !== "True");
  assert.equal((await condition()).reason, "Passed");
  const groups = (await transport.send({ method: "GET", path: "/apis" })) as any;
  assert.ok(groups.groups.some(({ name }: any) => name === "metrics.k8s.io"));
  const raw = await transport.raw({ method: "GET", path: "/apis/metrics.k8s.io/v1beta1/pods" });
  assert.equal(raw.status, 200);
  const last = asked.at(-1)!;
  assert.equal(last.options.base, "https://10.0.0.9:4443");
  assert.equal(last.options.tls?.serverName, "metrics.default.svc");
  assert.equal(last.request.path, "/apis/metrics.k8s.io/v1beta1/pods");
  assert.equal(last.request.headers?.["x-remote-user"], "admin");
  assert.equal(last.request.headers?.["authorization"], undefined);
});
