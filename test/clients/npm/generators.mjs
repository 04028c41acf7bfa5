/** What libraries that write manifests write is taken strictly: cdk8s with cdk8s-plus, kubernetes-models; and kubernetesjs asks over `kubectl proxy`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as cdk8s from "cdk8s";
import * as plus from "cdk8s-plus-34";
import * as k8s from "@kubernetes/client-node";
import { ConfigMap } from "kubernetes-models/v1";
import { Deployment } from "kubernetes-models/apps/v1";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { KubernetesClient } from "kubernetesjs";
import { deployment, eventually, step } from "./steps.mjs";

const namespace = "npm-generators";
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
await core.createNamespace({ body: { metadata: { name: namespace } } });

await step("cdk8s: what a chart of cdk8s-plus gives is applied", async () => {
  const chart = new cdk8s.Chart(new cdk8s.App(), "shop", { namespace });
  const settings = new plus.ConfigMap(chart, "settings", { data: { greeting: "hello" } });
  const web = new plus.Deployment(chart, "web", {
    containers: [
      {
        name: "c",
        image: "machine",
        command: ["sleep", "1000"],
        portNumber: 8080,
        envVariables: { GREETING: plus.EnvValue.fromConfigMap(settings, "greeting") },
        resources: { cpu: { request: plus.Cpu.millis(10) }, memory: { limit: cdk8s.Size.mebibytes(64) } },
        securityContext: { ensureNonRoot: false, readOnlyRootFilesystem: false },
      },
    ],
    securityContext: { ensureNonRoot: false },
  });
  web.exposeViaIngress("/shop", { name: "shop", pathType: plus.HttpIngressPathType.PREFIX });
  new plus.HorizontalPodAutoscaler(chart, "scaler", { target: web, maxReplicas: 3 });
  new plus.CronJob(chart, "nightly", {
    schedule: cdk8s.Cron.daily(),
    containers: [{ image: "machine", command: ["true"] }],
  });
  new plus.NetworkPolicy(chart, "policy", { selector: web });
  new plus.Role(chart, "reader").allowRead(plus.ApiResource.PODS);
  const manifests = chart.toJson();
  assert.ok(manifests.length >= 8, String(manifests.length));
  for (const manifest of manifests)
    await objects.patch(manifest, undefined, undefined, "cdk8s", true, k8s.PatchStrategy.ServerSideApply);
  await eventually(async () => {
    const { items } = await objects.list("apps/v1", "Deployment", namespace);
    return items[0]?.status?.replicas === 1;
  });
});

await step("kubernetes-models: objects that its schemas take are taken strictly", async () => {
  const { metadata, spec } = deployment("modelled", 1);
  const made = [
    new ConfigMap({ metadata: { name: "modelled", namespace }, data: { a: "b" } }),
    new Deployment({ metadata: { ...metadata, namespace }, spec }),
    new HorizontalPodAutoscaler({
      metadata: { name: "modelled", namespace },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "modelled" },
        minReplicas: 1,
        maxReplicas: 2,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
        ],
      },
    }),
  ];
  for (const model of made) {
    model.validate();
    const created = await objects.create(model.toJSON());
    // What the server answers is what the model's schema takes, too.
    const answer = await objects.read({ ...model.toJSON(), metadata: { name: created.metadata.name, namespace } });
    assert.equal(answer.kind, model.kind);
  }
});

await step("kubernetesjs: objects over `kubectl proxy`", async () => {
  const proxy = spawn("kubectl", ["proxy", "--port=0"]);
  try {
    const port = await new Promise((resolve) => {
      proxy.stdout.on("data", (data) => resolve(/:(\d+)$/m.exec(String(data))[1]));
    });
    const api = new KubernetesClient({ restEndpoint: `http://127.0.0.1:${port}` });
    const path = { namespace };
    await api.createCoreV1NamespacedConfigMap({
      path,
      query: {},
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "js" }, data: { a: "1" } },
    });
    const listed = await api.listCoreV1NamespacedConfigMap({ path, query: { fieldSelector: "metadata.name=js" } });
    assert.deepEqual(
      listed.items.map(({ data }) => data),
      [{ a: "1" }],
    );
    await api.deleteCoreV1NamespacedConfigMap({ path: { ...path, name: "js" }, query: {} });
    const after = await api.listCoreV1NamespacedConfigMap({ path, query: { fieldSelector: "metadata.name=js" } });
    assert.deepEqual(after.items, []);
  } finally {
    proxy.kill();
  }
});

await core.deleteNamespace({ name: namespace });
process.exit(0);
