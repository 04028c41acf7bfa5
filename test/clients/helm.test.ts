/** Helm with a chart of the shapes that operators ship: definitions and their objects, webhooks, roles, hooks and tests, looked-up secrets, kept objects. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TestCluster } from "../../src/testing/cluster.ts";
import { noNamespaces } from "../../src/testing/netns.ts";
import { realClients } from "../../tools/clients.ts";

const CHART = join(import.meta.dirname, "../fixtures/platform");

const clients = realClients(undefined, "1.37");
const skip = noNamespaces() ?? (clients === undefined ? "helm could not be fetched" : undefined);
describe("Helm and a chart of an operator", { skip }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("helm", clients!);
    await cluster.up("--runtime", "process");
  });
  after(() => cluster[Symbol.asyncDispose]());

  const helm = (line: string, env: Readonly<Record<string, string>> = {}) =>
    cluster.run("helm", line.replaceAll("CHART", CHART).split(" "), { env, timeoutMs: 240_000 });
  const done = async (line: string, env?: Readonly<Record<string, string>>) => {
    const { code, out, err } = await helm(line, env);
    assert.equal(code, 0, out + err);
    return out;
  };
  const refused = async (line: string) => {
    const { code, out, err } = await helm(line);
    assert.equal(code, 1, out + err);
    return err;
  };
  const get = (what: string, path: string, namespace = "tools") =>
    cluster.kubectl(["get", ...what.split(" "), "-n", namespace, "-o", `jsonpath=${path}`]);
  const managers = (what: string, namespace = "tools") =>
    cluster.kubectl([
      ...`get ${what} -n ${namespace} --show-managed-fields -o`.split(" "),
      'jsonpath={range .metadata.managedFields[*]}{.manager} {.operation} {.subresource}{"\\n"}{end}',
    ]);

  test("definitions come first, hooks run in their order, and what the server knows is in the templates", async () => {
    await done("install shop CHART -n tools --create-namespace --wait --timeout 120s");
    assert.equal(await get("gadget shop", "{.spec}"), '{"mode":"plain","size":2}');
    const facts = JSON.parse(await get("configmap shop-facts", "{.data}"));
    assert.match(facts.version, /^v1\.36\./);
    assert.deepEqual([facts.apps, facts.nothing, facts.upgrade], ["true", "false", "false"]);
    assert.equal(facts.namespaces, "4", "its own is made after the templates");
    for (const job of ["pre-install", "post-install"])
      assert.equal(await get(`job shop-${job}`, "{.status.succeeded}"), "1");
    assert.match(await done("get manifest shop -n tools"), /kind: ValidatingWebhookConfiguration/);
    assert.match(await done("get hooks shop -n tools"), /helm\.sh\/hook: post-delete/);
  });

  test("a dry run by the server looks up what is there and changes nothing", async () => {
    const token = await get("secret shop-token", "{.data.token}");
    const shown = await done("upgrade shop CHART -n tools --dry-run=server --set size=3");
    assert.match(shown, new RegExp(`token: ${token}\n[^]*size: 3\n`));
    assert.equal(await get("gadget shop", "{.spec.size}"), "2");
  });

  test("a live change is a conflict where the chart says otherwise, and what others own is theirs", async () => {
    const token = await get("secret shop-token", "{.data.token}");
    await cluster.kubectl("scale deployment shop -n tools --replicas=3");
    await cluster.kubectl("annotate service shop -n tools hand=made");
    assert.match(
      await refused("upgrade shop CHART -n tools --set size=3"),
      /Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps\/v1: \.spec\.replicas/,
    );
    await done("upgrade shop CHART -n tools --set size=3,replicas=2 --force-conflicts --wait --timeout 120s");
    assert.equal(await get("deployment shop", "{.spec.replicas}"), "2");
    assert.equal(await get("service shop", "{.metadata.annotations.hand}"), "made");
    assert.equal(await get("secret shop-token", "{.data.token}"), token);
    assert.equal(await get("configmap shop-facts", "{.data.upgrade}"), "true");
  });

  test("an upgrade that never gets ready is rolled back, and one that is invalid is refused in the server's words", async () => {
    const before = await get("deployment shop", "{.spec.template.spec.containers[0].readinessProbe}");
    const why = await refused("upgrade shop CHART -n tools --set broken=true --rollback-on-failure --timeout 20s");
    assert.match(why, /has been rolled back due to rollback-on-failure being set/);
    assert.equal(await get("deployment shop", "{.spec.template.spec.containers[0].readinessProbe}"), before);
    assert.match(await done("history shop -n tools"), /deployed\s+platform-0\.1\.0\s+1\s+Rollback to 3/);
    assert.match(
      await refused("upgrade shop CHART -n tools --set size=99"),
      /Gadget\.platform\.example\.com "shop" is invalid: spec\.size: Invalid value: 99: spec\.size in body should be less than or equal to 10/,
    );
    await done("rollback shop 1 -n tools --force-conflicts --wait --timeout 120s");
    assert.equal(await get("gadget shop", "{.spec.size}"), "2");
  });

  test("the release's test runs and its log is shown, and one that fails says so", async () => {
    assert.match(await done("test shop -n tools --logs"), /Phase:\s+Succeeded[^]*POD LOGS: shop-test.*\nchecked\n/);
    await done("upgrade shop CHART -n tools --set testCode=1");
    assert.match(await refused("test shop -n tools"), /pod shop-test failed/i);
  });

  test("uninstall keeps what is to be kept and runs the last hooks", async () => {
    assert.match(await done("uninstall shop -n tools --wait --timeout 120s"), /\[ConfigMap\] shop-kept/);
    assert.equal(
      await cluster.kubectl("get deployments,secrets,gadgets,services,configmaps -n tools -o name"),
      "configmap/kube-root-ca.crt\nconfigmap/shop-kept\nconfigmap/shop-left\n",
    );
    assert.equal(await get("crd gadgets.platform.example.com", "{.spec.names.kind}"), "Gadget");
  });

  test("patches made of three versions leave others' changes, and a release may go over to server-side apply", async () => {
    await done("install old CHART -n old --create-namespace --server-side=false");
    await cluster.kubectl("set env deployment/old -n old HAND=1");
    await done("upgrade old CHART -n old --server-side=false --set settings.z=1");
    assert.equal(
      await get("deployment old", "{.spec.template.spec.containers[0].env}", "old"),
      '[{"name":"HAND","value":"1"}]',
    );
    assert.match(await managers("configmap old-facts", "old"), /^helm Update \n$/);
    await done("upgrade old CHART -n old --server-side=true");
    assert.match(await managers("configmap old-facts", "old"), /^helm Apply \n$/);
    // In the order of their times, and of their names where those are equal.
    const all = (await managers("deployment old", "old")).split("\n");
    assert.deepEqual(all.filter((line) => /^(helm|kubectl)/.test(line)).sort(), ["helm Apply ", "kubectl-set Update "]);
    const uid = await get("configmap old-facts", "{.metadata.uid}", "old");
    await done("upgrade old CHART -n old --server-side=false --force-replace --set settings.z=2");
    assert.equal(await get("configmap old-facts", "{.metadata.uid}/{.data.z}", "old"), `${uid}/2`);
  });

  test("releases are kept in configuration maps where that is asked for", async () => {
    const env = { HELM_DRIVER: "configmap" };
    await done("install maps CHART -n maps --create-namespace", env);
    await done("upgrade maps CHART -n maps", env);
    assert.match(await done("list -n maps", env), /^maps\s+maps\s+2\s+.*deployed/m);
    assert.equal(
      await cluster.kubectl("get configmaps -n maps -l owner=helm -o name"),
      "configmap/sh.helm.release.v1.maps.v1\nconfigmap/sh.helm.release.v1.maps.v2\n",
    );
  });

  test("a release that doesn't fit into a secret is refused", async () => {
    const big = join(cluster.scratch, "big");
    cpSync(CHART, big, { recursive: true });
    writeFileSync(join(big, "blob"), randomBytes(1_300_000).toString("base64"));
    assert.match(
      await refused(`install big ${big} -n default`),
      /Secret "sh\.helm\.release\.v1\.big\.v1" is invalid: data: Too long: may not be more than 1048576 bytes/,
    );
  });
});
