/** Helm installs, upgrades, rolls back and uninstalls a chart with hooks. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();
const CHART = join(import.meta.dirname, "../fixtures/chart");

describe("a cluster and Helm", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("helm", clients!);
    await cluster.up();
    await cluster.load();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const running = () =>
    cluster.kubectl(
      "get deployment shop -o jsonpath={.spec.replicas}/{.status.readyReplicas}/{.spec.template.spec.containers[0].image}",
    );
  const greeting = () => cluster.kubectl("get configmap shop-settings -o jsonpath={.data.greeting}");

  test("install waits for what the chart makes and runs its hook", async () => {
    const said = await cluster.helm(["install", "shop", CHART, "--wait", "--timeout", "60s"]);
    assert.match(said, /STATUS: deployed\nREVISION: 1\n[^]*shop says hello\./);
    assert.equal(await running(), "2/2/web:1");
    assert.match(await cluster.helm("list"), /^shop\s+default\s+1\s+.*deployed\s+greeter-0\.1\.0\s+1\s*$/m);
    assert.equal(await cluster.kubectl("get jobs -o name"), "", "the hook that succeeded is deleted");
  });

  test("upgrade changes what differs and leaves the rest", async () => {
    const uid = await cluster.kubectl("get service shop -o jsonpath={.metadata.uid}");
    const said = await cluster.helm([
      ..."upgrade shop".split(" "),
      CHART,
      ..."--set image=web:2,replicas=3,greeting=welcome --wait --timeout 60s".split(" "),
    ]);
    assert.match(said, /has been upgraded[^]*REVISION: 2\n/);
    assert.equal(await running(), "3/3/web:2");
    assert.equal(await greeting(), "welcome");
    assert.equal(await cluster.kubectl("get service shop -o jsonpath={.metadata.uid}"), uid);
  });

  test("a failed upgrade is told and leaves a failed revision", async () => {
    const { code, err } = await cluster.run("helm", ["upgrade", "shop", CHART, "--set", "replicas=-1"]);
    assert.equal(code, 1);
    assert.match(err, /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/);
    assert.match(await cluster.helm("history shop"), /^3\s+.*failed/m);
  });

  test("rollback brings the first revision back", async () => {
    assert.match(await cluster.helm("rollback shop 1 --wait --timeout 60s"), /Rollback was a success/);
    assert.equal(await running(), "2/2/web:1");
    assert.equal(await greeting(), "hello");
    assert.match(await cluster.helm("history shop"), /^4\s+.*deployed\s+greeter-0\.1\.0\s+1\s+Rollback to 1\s*$/m);
  });

  test("uninstall takes everything away", async () => {
    assert.match(await cluster.helm("uninstall shop --wait --timeout 60s"), /release "shop" uninstalled/);
    assert.equal(
      await cluster.kubectl("get deployments,replicasets,configmaps,secrets,serviceaccounts,services,jobs -o name"),
      "configmap/kube-root-ca.crt\nserviceaccount/default\nservice/kubernetes\n",
    );
    await cluster.until(async () => (await cluster.kubectl("get pods -o name")) === "", "the pods are gone");
  });
});
