/** @kubernetes/client-node: all that works with streams, patches of every type, informers, metrics' absence, objects of any kind. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import * as k8s from "@kubernetes/client-node";
import { deployment, eventually, step } from "./steps.mjs";

const namespace = "npm-client-node";
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
await core.createNamespace({ body: { metadata: { name: namespace } } });

const SERVER = `
  process.stdin.on("data", (data) => process.stdout.write("heard " + data));
  require("node:http").createServer((request, response) => response.end("served " + request.url)).listen(8124, () => console.log("listening"));`;
const pod = (name, command) => ({
  metadata: { name, labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "c", image: "machine", command, stdin: true }],
  },
});

await step("client-node: every way to change an object", async () => {
  const name = "changed";
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name }, data: { a: "1" } } });
  const patch = (body, kind, more = {}) =>
    core.patchNamespacedConfigMap({ name, namespace, body, ...more }, k8s.setHeaderOptions("Content-Type", kind));
  await patch([{ op: "add", path: "/data/b", value: "2" }], k8s.PatchStrategy.JsonPatch);
  await patch({ data: { c: "3" } }, k8s.PatchStrategy.MergePatch);
  await patch({ metadata: { finalizers: ["example.com/x"] } }, k8s.PatchStrategy.StrategicMergePatch);
  const applied = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { d: "4" } };
  const { data } = await patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: "one" });
  assert.deepEqual(data, { a: "1", b: "2", c: "3", d: "4" });
  await assert.rejects(
    patch({ ...applied, data: { d: "5" } }, k8s.PatchStrategy.ServerSideApply, { fieldManager: "two" }),
    (error) => error.code === 409 && /FieldManagerConflict/.test(error.body),
  );
  await patch({ metadata: { finalizers: null } }, k8s.PatchStrategy.MergePatch);
  const generic = await objects.read({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace } });
  generic.data.e = "5";
  assert.equal((await objects.replace(generic)).data.e, "5");
  await objects.delete({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace } });
  await assert.rejects(core.readNamespacedConfigMap({ name, namespace }), (error) => error.code === 404);
});

await step("client-node: an informer, a cache, a scale, a rollout", async () => {
  const list = () => apps.listNamespacedDeployment({ namespace });
  const informer = k8s.makeInformer(config, `/apis/apps/v1/namespaces/${namespace}/deployments`, list);
  const heard = [];
  for (const verb of ["add", "update", "delete"])
    informer.on(verb, ({ metadata }) => heard.push(`${verb} ${metadata.name}`));
  await informer.start();
  await apps.createNamespacedDeployment({ namespace, body: deployment("web", 1) });
  await eventually(() => informer.get("web", namespace)?.status?.availableReplicas === 1);
  await apps.patchNamespacedDeploymentScale(
    { name: "web", namespace, body: { spec: { replicas: 2 } } },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
  );
  await eventually(() => informer.get("web", namespace)?.status?.availableReplicas === 2);
  await apps.deleteNamespacedDeployment({ name: "web", namespace, propagationPolicy: "Foreground" });
  await eventually(() => heard.includes("delete web"));
  assert.equal(heard[0], "add web");
  await informer.stop();
});

await step("client-node: exec, attach, copies, logs, a forwarded port", async () => {
  await core.createNamespacedPod({ namespace, body: pod("p", [process.execPath, "-e", SERVER]) });
  await eventually(async () => {
    const { status } = await core.readNamespacedPod({ name: "p", namespace });
    return status.phase === "Running" && (await core.readNamespacedPodLog({ name: "p", namespace })) === "listening\n";
  });
  const run = async (command, input) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [out, err] = [text(stdout), text(stderr)];
    const status = await new Promise((resolve, reject) => {
      new k8s.Exec(config)
        .exec(namespace, "p", "c", command, stdout, stderr, input ?? null, false, resolve)
        .catch(reject);
    });
    return { status, out: await out, err: await err };
  };
  const ran = await run(["sh", "-c", "read x; echo out $x; echo err >&2; exit 4"], Readable.from(["in\n"]));
  assert.deepEqual([ran.out, ran.err], ["out in\n", "err\n"]);
  assert.equal(ran.status.details.causes[0].message, "4");

  const attached = new PassThrough();
  const typed = new PassThrough();
  const socket = await new k8s.Attach(config).attach(namespace, "p", "c", attached, null, typed, false);
  let said = "";
  attached.on("data", (chunk) => (said += chunk));
  typed.write("me\n");
  await eventually(() => said.includes("heard me"));
  socket.close();

  const folder = mkdtempSync(join(tmpdir(), "client-node-"));
  try {
    writeFileSync(join(folder, "sent"), "x".repeat(100_000));
    const cp = new k8s.Cp(config);
    await run(["mkdir", "-p", "/tmp/client-node-cp"]);
    await cp.cpToPod(namespace, "p", "c", folder, "/tmp/client-node-cp");
    await eventually(async () => (await run(["wc", "-c", "/tmp/client-node-cp/sent"])).out.startsWith("100000"));
    await cp.cpFromPod(namespace, "p", "c", "sent", join(folder, "back"), "/tmp/client-node-cp");
    const back = join(folder, "back/sent");
    await eventually(() => existsSync(back) && statSync(back).size === 100_000);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await run(["rm", "-rf", "/tmp/client-node-cp"]);
  }

  const forward = new k8s.PortForward(config);
  const server = net.createServer((stream) => {
    forward.portForward(namespace, "p", [8124], stream, null, stream);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const body = await new Promise((resolve, reject) => {
    const url = `http://127.0.0.1:${server.address().port}/x`;
    http.get(url, { agent: false }, (response) => resolve(text(response))).on("error", reject);
  });
  assert.equal(body, "served /x");
  server.close();

  const log = new PassThrough();
  await new k8s.Log(config).log(namespace, "p", "c", log, { tailLines: 1, timestamps: true });
  assert.match(await text(log), /^\d{4}-.*Z heard me\n$/);
});

await step("client-node: what nobody serves is not found, and health is told", async () => {
  await assert.rejects(new k8s.Metrics(config).getNodeMetrics(), k8s.ApiException);
  assert.ok(await new k8s.Health(config).readyz({}));
  const { status } = await config
    .makeApiClient(k8s.AuthorizationV1Api)
    .createSelfSubjectAccessReview({ body: { spec: { resourceAttributes: { verb: "list", resource: "pods" } } } });
  assert.equal(status.allowed, true);
  const top = await k8s.topNodes(core);
  assert.equal(top.length, 1);
});

await core.deleteNamespace({ name: namespace });
process.exit(0);
