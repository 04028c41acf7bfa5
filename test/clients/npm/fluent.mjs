/** kubernetes-fluent-client: server-side apply first, watches over HTTP/2, finalizers, scales, evictions. */
import assert from "node:assert/strict";
import { K8s, kind } from "kubernetes-fluent-client";
import { deployment, eventually, step } from "./steps.mjs";

const namespace = "npm-fluent";

await step("kubernetes-fluent-client: apply, filters, patches, finalizers, scale, logs, a watch", async () => {
  await K8s(kind.Namespace).Apply({ metadata: { name: namespace } });
  await K8s(kind.ConfigMap).Apply({ metadata: { name: "c", namespace, labels: { a: "b" } }, data: { x: "1" } });
  const heard = [];
  const watcher = K8s(kind.ConfigMap)
    .InNamespace(namespace)
    .WithLabel("a", "b")
    .Watch((object, phase) => void heard.push(`${phase} ${object.metadata.name} ${object.data?.x}`), {
      resyncFailureMax: 3,
    });
  await watcher.start();
  await K8s(kind.ConfigMap).Apply({ metadata: { name: "c", namespace, labels: { a: "b" } }, data: { x: "2" } });
  await eventually(() => heard.includes("MODIFIED c 2") || heard.includes("ADDED c 2"));
  await K8s(kind.ConfigMap, { name: "c", namespace }).Patch([{ op: "add", path: "/data/y", value: "3" }]);
  assert.deepEqual((await K8s(kind.ConfigMap).InNamespace(namespace).Get("c")).data, { x: "2", y: "3" });
  await K8s(kind.ConfigMap).InNamespace(namespace).Finalize("add", "example.com/x", "c");
  const found = await K8s(kind.ConfigMap).InNamespace(namespace).WithField("metadata.name", "c").Get();
  assert.deepEqual(found.items[0].metadata.finalizers, ["example.com/x"]);
  await K8s(kind.ConfigMap).InNamespace(namespace).Finalize("remove", "example.com/x", "c");
  await K8s(kind.ConfigMap).InNamespace(namespace).Delete("c");
  await eventually(() => heard.some((line) => line.startsWith("DELETED c")));
  watcher.close();
  const web = deployment("web", 1);
  await K8s(kind.Deployment).Apply({ ...web, metadata: { name: "web", namespace } });
  await K8s(kind.Deployment).InNamespace(namespace).Scale(2, "web");
  await eventually(
    async () => (await K8s(kind.Deployment).InNamespace(namespace).Get("web")).status?.availableReplicas === 2,
  );
  assert.match((await K8s(kind.Deployment).InNamespace(namespace).Logs("web")).join("\n"), /up/);
  const [pod] = (await K8s(kind.Pod).InNamespace(namespace).WithField("status.phase", "Running").Get()).items;
  await K8s(kind.Pod).InNamespace(namespace).Evict(pod.metadata.name);
  await eventually(async () =>
    (await K8s(kind.Pod).InNamespace(namespace).Get()).items.every(
      ({ metadata }) => metadata.name !== pod.metadata.name,
    ),
  );
  await K8s(kind.Namespace).Delete(namespace);
});
process.exit(0);
