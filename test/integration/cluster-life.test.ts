/** A cluster that is stopped, started again and killed: what stays, what goes, what is taken over. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

const PODS = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: "web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "echo begun >> /data/log; sleep 1000000"], ports: [{containerPort: 80, hostPort: 8088}], volumeMounts: [{name: data, mountPath: /data}]}]
  volumes: [{name: data, emptyDir: {medium: Memory}}]
`;

describe("the life of a cluster", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  let untouched: string;
  before(() => {
    cluster = new TestCluster("life", clients!);
    untouched = cluster.network();
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Container ids and restart counts of all pods. */
  const containers = async () =>
    Object.fromEntries(
      (await cluster.get("pods")).items.map(({ metadata, status }: any) => [
        metadata.name,
        (status.containerStatuses ?? []).map((c: any) => `${c.containerID} ${c.restartCount} ${c.ready}`).join(),
      ]),
    ) as Record<string, string>;
  const allReady = () =>
    cluster.until(async () => {
      const found = Object.values(await containers());
      return found.length === 3 && found.every((text) => text.endsWith("true"));
    }, "all pods are ready");
  const serves = () =>
    cluster.until(
      async () => (await cluster.sh("curl -sS -m 10 http://127.0.0.1:30080/")) === "one\n",
      "the service answers",
    );
  const nothingIsLeft = () => {
    assert.deepEqual(cluster.leftovers(), []);
    assert.equal(cluster.network(), untouched);
  };

  test("Ctrl-C stops the containers too and leaves nothing behind", async () => {
    await cluster.up();
    await cluster.load();
    await cluster.apply(PODS);
    await allReady();
    await serves();
    assert.match(await cluster.end("SIGINT"), /stopped; everything is kept for the next `t8s up`/);
    nothingIsLeft();
  });

  test("up again finds all objects and runs their pods", async () => {
    await cluster.up();
    await allReady();
    await serves();
    assert.equal(
      await cluster.kubectl("get deployments,services -o name"),
      "deployment.apps/web\nservice/kubernetes\nservice/web\n",
    );
    assert.match(await cluster.kubectl("get pod alone"), /^alone +1\/1 +Running +1 /m);
  });

  test("a second up for the same cluster is refused", async () => {
    const { code, err } = await cluster.t8s(["up", "--data-dir", cluster.dataDir]);
    assert.equal(code, 1);
    assert.match(err, /Error: cluster default is already running as process \d+ \(t8s down --name default stops it\)/);
  });

  test("after kill -9 the containers run on, and the next up takes them over without a restart", async () => {
    const before = await containers();
    await cluster.end("SIGKILL");
    assert.equal(await cluster.sh("curl -sS -m 10 http://127.0.0.1:30080/"), "one\n", "they serve without a cluster");
    await cluster.up();
    await allReady();
    assert.deepEqual(await containers(), before);
    assert.equal(await cluster.kubectl("exec alone -- cat /data/log"), "begun\n");
    await cluster.kubectl("scale deployment web --replicas=1");
    await cluster.until(async () => Object.keys(await containers()).length === 2, "the kubelet still rules them");
    await cluster.kubectl("scale deployment web --replicas=2");
    await allReady();
  });

  test("a pod deleted while the kubelet was dead goes once it is back", async () => {
    await cluster.kubectl("delete pod alone --wait=false");
    await cluster.end("SIGKILL");
    await cluster.up();
    await cluster.until(async () => !("alone" in (await containers())), "the pod is gone");
  });

  test("t8s down after kill -9 stops what runs on and leaves nothing behind", async () => {
    await cluster.end("SIGKILL");
    assert.ok(cluster.leftovers().length > 0);
    const { code, out } = await cluster.t8s(["down", "--data-dir", cluster.dataDir]);
    assert.equal(code, 0);
    assert.match(out, /cluster default is stopped/);
    nothingIsLeft();
  });

  test("t8s up -d goes on in the background, status tells, down stops it", async () => {
    const up = await cluster.t8s(["up", "-d", "--data-dir", cluster.dataDir]);
    assert.equal(up.code, 0, up.err);
    assert.match(up.out, /Ready in/);
    assert.match((await cluster.t8s(["status", "--data-dir", cluster.dataDir])).out, /running/);
    assert.match(await cluster.kubectl("get deployment web"), /^web /m);
    const down = await cluster.t8s(["down", "--data-dir", cluster.dataDir]);
    assert.equal(down.code, 0, down.err);
    nothingIsLeft();
    assert.match((await cluster.t8s(["down", "--data-dir", cluster.dataDir])).out, /cluster default is not running/);
  });

  test("t8s delete removes the cluster's folder and its context", async () => {
    const { code, err } = await cluster.t8s(["delete", "--data-dir", cluster.dataDir]);
    assert.equal(code, 0, err);
    assert.equal(existsSync(cluster.dataDir), false);
    assert.equal(await cluster.kubectl("config get-contexts -o name"), "");
  });
});
