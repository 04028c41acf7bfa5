import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { ComponentGroup } from "../../base/component-group.ts";
import { createClient } from "../../client/create-client.ts";
import { namespaces, pods } from "../../client/resources.ts";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { fakeTransport } from "../../testing/fake-transport.ts";
import { dialRemoteCommand } from "../../wire/streaming/dial-remote-command.ts";
import { exitCodeOf } from "../../wire/streaming/protocols.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { createKubelet } from "../kubelet.ts";
import { createSimulatedRuntime } from "../runtimes/simulated/index.ts";
import { subresourcesOf } from "./auth.ts";

/** On the real network of this machine, loopback only: upgrades need real connections. */
async function startServer(allow: (token: string, subresource: string) => boolean) {
  const world = nodeWorld();
  const api = fakeTransport({ now: () => world.clock.now() });
  const client = createClient({
    send: async (request) => {
      const body = request.body as any;
      if (request.path.endsWith("/tokenreviews"))
        return { ...body, status: { authenticated: body.spec.token !== "bad", user: { username: body.spec.token } } };
      if (request.path.endsWith("/subjectaccessreviews"))
        return { ...body, status: { allowed: allow(body.spec.user, body.spec.resourceAttributes.subresource) } };
      return api.send(request);
    },
    watch: (request) => api.watch(request),
    raw: (request) => api.raw(request),
    close: () => api.close(),
  });
  api.put(namespaces, { metadata: { name: "default" } });
  api.put(namespaces, { metadata: { name: "kube-node-lease" } });
  const runtime = createSimulatedRuntime(world, { podCidr: "10.244.0.0/24" });
  const events = { event() {} };
  const kubelet = createKubelet(
    { nodeName: "node-1", nodeIPs: ["192.0.2.1"], address: "127.0.0.1", port: 0, clusterDns: ["10.96.0.10"] },
    { world, client, events, log: silent, metrics: new Metrics(), runtime },
  );
  const group = new ComponentGroup();
  await group.start(kubelet);
  const container = { name: "c", image: "nginx:1?log=one&log=two", resources: {}, imagePullPolicy: "IfNotPresent" };
  const spec = {
    nodeName: "node-1",
    restartPolicy: "Always",
    enableServiceLinks: true,
    securityContext: {},
    containers: [container],
  };
  const metadata = { name: "web", namespace: "default", generation: 1 };
  api.put<Pod>(pods, { metadata, spec, status: { phase: "Pending" } });
  while (api.get<Pod>(pods, "default/web")?.status.phase !== "Running")
    await new Promise((resolve) => setTimeout(resolve, 1));
  const http = world.net.httpClient({ base: `http://127.0.0.1:${kubelet.port}`, version: "1.1" });
  return {
    http,
    world,
    async get(path: string, token?: string) {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = await http.request({ method: "GET", path, headers });
      let text = "";
      for await (const chunk of response.body) text += Buffer.from(chunk).toString();
      return { status: response.status, text };
    },
    async [Symbol.asyncDispose]() {
      await http.close();
      await group[Symbol.asyncDispose]();
    },
  };
}

test("nobody is let in without a token that the API server knows and allows", async () => {
  await using server = await startServer((user, subresource) => user === "reader" && subresource === "stats");
  assert.equal((await server.get("/pods")).status, 401);
  assert.equal((await server.get("/pods", "bad")).status, 401);
  assert.equal((await server.get("/stats/summary", "reader")).status, 200);
  const refused = await server.get("/pods", "reader");
  assert.equal(refused.status, 403);
  assert.equal(refused.text, "Forbidden (user=reader, verb=get, resource=nodes, subresource(s)=[pods proxy])\n");
});

test("logs, commands, pods and metrics are served", async () => {
  await using server = await startServer(() => true);
  const { text } = await server.get("/containerLogs/default/web/c", "admin");
  assert.equal(text, "one\ntwo\n");
  assert.equal((await server.get("/containerLogs/default/web/c?tailLines=1", "admin")).text, "two\n");
  assert.equal((await server.get("/containerLogs/default/web/c?tailLines=x", "admin")).status, 422);
  const none = await server.get("/containerLogs/default/web/c?previous=true", "admin");
  assert.deepEqual(none, { status: 400, text: 'previous terminated container "c" in pod "web" not found' });
  assert.equal((await server.get("/containerLogs/default/web/other", "admin")).status, 404);
  assert.equal(JSON.parse((await server.get("/pods", "admin")).text).items[0].metadata.name, "web");
  assert.match((await server.get("/metrics", "admin")).text, /kubelet_running_pods 1/);

  for (const over of ["spdy", "websocket"] as const) {
    const command = ["sh", "-c", "echo hello; exit 3"].map((word) => `command=${encodeURIComponent(word)}`).join("&");
    const remote = await dialRemoteCommand(server.http, server.world.random, {
      path: `/exec/default/web/c?${command}&output=1`,
      headers: { authorization: "Bearer admin" },
      stdin: false,
      stdout: true,
      stderr: false,
      tty: false,
      over,
    });
    let output = "";
    for await (const chunk of remote.stdout) output += Buffer.from(chunk).toString();
    assert.equal(output, "hello\n");
    assert.equal(exitCodeOf(await remote.result), 3);
  }
});

for (const [path, expected] of [
  ["/pods", ["pods", "proxy"]],
  ["/podsX", ["proxy"]],
  ["/metrics/resource", ["metrics"]],
  ["/exec/ns/p/c", ["proxy"]],
  ["/logs/x", ["log"]],
] as const)
  test(`${path} needs one of ${expected.join(", ")}`, () => assert.deepEqual(subresourcesOf(path), expected));
