/** The JavaScript client of the Kubernetes project, as its users use it, against a whole cluster over HTTPS. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import * as k8s from "@kubernetes/client-node";
import WebSocket from "ws";
import { dialRemoteCommand } from "../../src/wire/streaming/dial-remote-command.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const scratch = mkdtempSync(join(tmpdir(), "typernetes-client-node-"));
const dataDir = join(scratch, "data");
const config = new k8s.KubeConfig();
const cluster = spawn(
  process.execPath,
  [
    join(import.meta.dirname, "../../src/cli/main.ts"),
    ..."up --runtime simulated --kubeconfig-merge=false --port 0 --data-dir".split(" "),
    dataDir,
  ],
  { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, HOME: scratch } },
);

before(async () => {
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      if (/^Ready in/m.test(said)) resolve();
    };
    cluster.stdout.on("data", hear);
    cluster.stderr.on("data", hear);
    cluster.once("exit", () => reject(new Error(`the cluster ended: ${said}`)));
  });
  config.loadFromFile(join(dataDir, "kubeconfig"));
});
after(async () => {
  const ended = new Promise((resolve) => cluster.once("exit", resolve));
  if (cluster.exitCode === null && cluster.kill("SIGTERM")) await ended;
  rmSync(scratch, { recursive: true, force: true });
});

// What it writes is the simulated runtime's to do.
const container = { name: "c", image: "nginx?log=ready" };
const deployment = (name: string): k8s.V1Deployment => ({
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
  },
});

/** Waits for a condition on what the API says, for as long as a test may take. */
async function eventually<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(value).slice(0, 500)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("typed objects are created, read, listed, patched, replaced and deleted", async () => {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const namespace = "default";
  const created = await core.createNamespacedConfigMap({
    namespace,
    body: { metadata: { name: "typed", labels: { a: "1" } }, data: { k: "v" } },
  });
  assert.ok(created.metadata?.creationTimestamp instanceof Date);
  const { items, metadata } = await core.listNamespacedConfigMap({ namespace, labelSelector: "a=1", limit: 1 });
  assert.deepEqual(
    items.map(({ data }) => data),
    [{ k: "v" }],
  );
  assert.ok(metadata?.resourceVersion);
  const patched = await core.patchNamespacedConfigMap(
    { namespace, name: "typed", body: { data: { k: "w" } } },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
  );
  assert.equal(patched.data?.["k"], "w");
  const applied = await core.patchNamespacedConfigMap(
    {
      namespace,
      name: "typed",
      fieldManager: "tester",
      force: true,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "typed" }, data: { k: "x" } },
    },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.ServerSideApply),
  );
  assert.ok(applied.metadata?.managedFields?.some(({ operation }) => operation === "Apply"));
  await assert.rejects(
    core.replaceNamespacedConfigMap({ namespace, name: "typed", body: { ...created, data: {} } }),
    (error: k8s.ApiException<string>) => error.code === 409 && JSON.parse(error.body).reason === "Conflict",
  );
  await core.deleteNamespacedConfigMap({ namespace, name: "typed" });
  await assert.rejects(
    core.readNamespacedConfigMap({ namespace, name: "typed" }),
    (error: k8s.ApiException<string>) => error.code === 404,
  );
});

test("objects of any kind are applied by what discovery says of them", async () => {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const made = await objects.create({ apiVersion: "apps/v1", kind: "Deployment", ...deployment("any") });
  assert.equal(made.metadata?.namespace, "default");
  const read = await objects.read<k8s.V1Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "any", namespace: "default" },
  });
  assert.equal(read.spec?.replicas, 2);
  await objects.delete(made);
});

test("an informer knows what is there and hears what comes", async () => {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const heard: string[] = [];
  const list = () => core.listNamespacedConfigMap({ namespace: "default", labelSelector: "informed=yes" });
  const map = (name: string) => ({ metadata: { name, labels: { informed: "yes" } } });
  await core.createNamespacedConfigMap({ namespace: "default", body: map("there") });
  const informer = k8s.makeInformer(config, "/api/v1/namespaces/default/configmaps", list, "informed=yes");
  for (const event of ["add", "update", "delete"] as const)
    informer.on(event, ({ metadata }) => void heard.push(`${event} ${metadata?.name}`));
  await informer.start();
  try {
    await core.createNamespacedConfigMap({ namespace: "default", body: map("new") });
    await core.patchNamespacedConfigMap(
      { namespace: "default", name: "new", body: { data: { k: "v" } } },
      k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.StrategicMergePatch),
    );
    await core.deleteNamespacedConfigMap({ namespace: "default", name: "new" });
    await eventually(
      async () => heard,
      (all) => all.includes("delete new"),
    );
    assert.deepEqual(heard, ["add there", "add new", "update new", "delete new"]);
  } finally {
    await informer.stop();
  }
});

test("a watch of pods sees a deployment's pods come up; their logs are read and commands run in them", async () => {
  const apps = config.makeApiClient(k8s.AppsV1Api);
  const core = config.makeApiClient(k8s.CoreV1Api);
  const phases: string[] = [];
  const watching = await new k8s.Watch(config).watch(
    "/api/v1/namespaces/default/pods",
    { labelSelector: "app=web", allowWatchBookmarks: true },
    (type, pod) => void phases.push(`${type} ${pod.status?.phase}`),
    () => {},
  );
  await apps.createNamespacedDeployment({ namespace: "default", body: deployment("web") });
  const { items } = await eventually(
    () => core.listNamespacedPod({ namespace: "default", labelSelector: "app=web" }),
    (pods) => pods.items.length === 2 && pods.items.every(({ status }) => status?.phase === "Running"),
  );
  await eventually(
    async () => phases,
    (all) => all.filter((phase) => phase === "MODIFIED Running").length >= 2,
  );
  watching.abort();
  assert.ok(phases.includes("ADDED Pending"));

  const name = items[0]!.metadata!.name!;
  const log = new PassThrough();
  await new k8s.Log(config).log("default", name, "c", log, { tailLines: 10 });
  assert.equal(await text(log), "ready\n");

  const stdout = new PassThrough();
  const status = await new Promise<k8s.V1Status>((resolve, reject) => {
    new k8s.Exec(config)
      .exec("default", name, "c", ["echo", "hello"], stdout, new PassThrough(), null, false, resolve)
      .catch(reject);
  });
  assert.equal(status.status, "Success");
  assert.match(String(stdout.read()), /hello/);
});

test("who attaches hears the container, in every protocol there is", async () => {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const namespace = "default";
  await core.createNamespacedPod({
    namespace,
    body: { metadata: { name: "heard" }, spec: { containers: [container] } },
  });
  await eventually(
    () => core.readNamespacedPod({ namespace, name: "heard" }),
    ({ status }) => status?.phase === "Running",
  );
  const options = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key } = options as { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  const path = "/api/v1/namespaces/default/pods/heard/attach?stdout=true&stderr=true";
  const { server } = config.getCurrentCluster()!;

  const V = "channel.k8s.io";
  for (const protocol of [`v5.${V}`, `v4.${V}`, V, `v4.base64.${V}`, `base64.${V}`]) {
    const socket = new WebSocket(server.replace("https", "wss") + path, [protocol], { ca, cert, key });
    let heard = "";
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`closed after ${JSON.stringify(heard)}`)));
      socket.on("message", (data: Buffer) => {
        const isBase64 = protocol.includes("base64");
        const channel = isBase64 ? data[0]! - 0x30 : data[0]!;
        assert.equal(channel, 1, protocol);
        heard += isBase64 ? Buffer.from(data.subarray(1).toString(), "base64").toString() : data.subarray(1).toString();
        if (heard.includes("\n")) resolve();
      });
    });
    assert.equal(socket.protocol, protocol);
    assert.equal(heard, "ready\n");
    socket.terminate();
  }

  const world = nodeWorld();
  const tls = { ca: String(ca), ...(cert && { cert: String(cert) }), ...(key && { key: String(key) }) };
  await using http = world.net.httpClient({ base: server, tls, version: "1.1" });
  const streams = { stdin: false, stdout: true, stderr: true, tty: false };
  const remote = await dialRemoteCommand(http, world.random, { ...streams, path, over: "spdy" });
  let heard = "";
  for await (const chunk of remote.stdout) {
    heard += Buffer.from(chunk).toString();
    if (heard.includes("\n")) break;
  }
  assert.equal(heard, "ready\n");
  remote.close();
});

test("a browser's watch: events as messages of a WebSocket, the token as a subprotocol", async () => {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const namespace = "default";
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "browser" } } });
  await config.makeApiClient(k8s.RbacAuthorizationV1Api).createNamespacedRoleBinding({
    namespace,
    body: {
      metadata: { name: "browser" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "ServiceAccount", name: "browser", namespace }],
    },
  });
  const body = { spec: { audiences: [] } } as unknown as k8s.AuthenticationV1TokenRequest;
  const { status } = await core.createNamespacedServiceAccountToken({ namespace, name: "browser", body });
  const token = Buffer.from(status?.token ?? "").toString("base64url");
  const bearer = `base64url.bearer.authorization.k8s.io.${token}`;
  const server = config.getCurrentCluster()!.server.replace("https", "wss");
  const socket = new WebSocket(
    `${server}/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name%3Dsocket`,
    [bearer, "base64.binary.k8s.io"],
    { rejectUnauthorized: false },
  );
  const events: string[] = [];
  const first = new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data) => {
      const { type, object } = JSON.parse(String(data));
      events.push(`${type} ${object.metadata.name}`);
      if (type === "DELETED") resolve();
    });
  });
  await new Promise((resolve) => socket.once("open", resolve));
  await core.createNamespacedConfigMap({ namespace: "default", body: { metadata: { name: "socket" } } });
  await core.deleteNamespacedConfigMap({ namespace: "default", name: "socket" });
  await first;
  socket.close();
  assert.deepEqual(events, ["ADDED socket", "DELETED socket"]);
});

test("each of several impersonated groups is a group of its own, over HTTP/1.1 and HTTP/2", async () => {
  const { connect } = await import("node:http2");
  const { request } = await import("node:https");
  const { server } = config.getCurrentCluster()!;
  const user = config.getCurrentUser()!;
  const tls = {
    ca: Buffer.from(config.getCurrentCluster()!.caData!, "base64"),
    cert: Buffer.from(user.certData!, "base64"),
    key: Buffer.from(user.keyData!, "base64"),
  };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const headers = {
    "content-type": "application/json",
    "impersonate-user": "jane",
    "impersonate-group": ["a,b", "c"],
  };
  const groupsOf = (body: string) => JSON.parse(body).status.userInfo.groups;
  const expected = ["a,b", "c", "system:authenticated"];
  const one = await new Promise<string>((resolve, reject) => {
    const asked = request(`${server}${path}`, { method: "POST", headers, ...tls }, (response) =>
      text(response).then(resolve, reject),
    );
    asked.on("error", reject);
    asked.end("{}");
  });
  assert.deepEqual(groupsOf(one), expected);
  const session = connect(server, tls);
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  stream.end("{}");
  assert.deepEqual(groupsOf(await text(stream)), expected);
  session.close();
});
