/** The session of a user: `t8s up`, and what kubectl does with a deployment, its pods and its service, on real containers. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { NODE_ADDRESS, noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();
const WEB = join(import.meta.dirname, "../fixtures/web.yaml");

/** Asks without a pause over new connections; prints how many answers of each kind it saw when it is told to stop. */
const COUNTING_CLIENT = `
  const { get } = require("node:http");
  const counts = {};
  let stop = false;
  process.on("SIGTERM", () => { stop = true; });
  const ask = () => new Promise((resolve) => {
    const request = get(process.argv[1], { agent: false, timeout: 20_000 }, (response) => {
      let text = "";
      response.on("data", (data) => { text += data; }).on("end", () => resolve(response.statusCode === 200 ? text.trim() : "status " + response.statusCode)).on("error", (error) => resolve("lost: " + error.code));
    });
    request.on("timeout", () => request.destroy(new Error("timeout"))).on("error", (error) => resolve("lost: " + (error.code ?? error.message)));
  });
  const loop = async () => { while (!stop) { const answer = await ask(); counts[answer] = (counts[answer] ?? 0) + 1; await new Promise((resolve) => setTimeout(resolve, 5)); } };
  Promise.all([loop(), loop(), loop()]).then(() => console.log(JSON.stringify(counts)));
  console.log("asking");
`;

describe("a cluster and kubectl", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = new TestCluster("kubectl", clients!);
    writeFileSync(
      cluster.kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "other",
        clusters: [{ name: "other", cluster: { server: "https://192.0.2.1" } }],
        users: [{ name: "other", user: { token: "t" } }],
        contexts: [{ name: "other", context: { cluster: "other", user: "other" } }],
      }),
    );
  });
  after(() => cluster[Symbol.asyncDispose]());

  const podNames = async (selector: string): Promise<string[]> =>
    (await cluster.kubectl(`get pods -l ${selector} -o jsonpath={.items[*].metadata.name}`)).split(" ").filter(Boolean);

  test("t8s up asks nothing, shows its steps and what to try, and the node is Ready", async () => {
    const said = await cluster.up();
    for (const step of [
      "etcd",
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "kubelet (containerd)",
      "kube-proxy (iptables)",
      "dns",
    ])
      assert.match(said, new RegExp(`✓ ${step.replace(/[()]/g, "\\$&")} [\\d.]+ s`));
    assert.match(said, /Ready in [\d.]+ s/);
    assert.match(await cluster.kubectl("get nodes"), new RegExp(`^${cluster.node} +Ready +<none> +\\S+ +v1\\.36`, "m"));
    await cluster.load();
  });

  test("the kubeconfig gets a context and keeps the ones it had", async () => {
    assert.equal((await cluster.kubectl("config current-context")).trim(), "t8s-default");
    assert.equal(await cluster.kubectl("config get-contexts -o name"), "other\nt8s-default\n");
    assert.equal(statSync(cluster.kubeconfig).mode & 0o777, 0o600);
    assert.match(await cluster.kubectl("cluster-info"), /control plane.* is running at .*https:\/\/127\.0\.0\.1:6443/);
    assert.match(await cluster.kubectl("version"), /Server Version: v1\.36/);
    assert.match(await cluster.kubectl("get --raw /readyz?verbose"), /readyz check passed/);
  });

  test("create deployment, rollout status, expose, scale", async () => {
    await cluster.kubectl("create deployment first --image=web:1 --replicas=3 --port=80");
    assert.match(
      await cluster.kubectl("rollout status deployment/first --timeout=180s"),
      /deployment "first" successfully rolled out/,
    );
    await cluster.kubectl("expose deployment first --port=80 --type=NodePort");
    const port = await cluster.kubectl("get service first -o jsonpath={.spec.ports[0].nodePort}");
    for (const host of [NODE_ADDRESS, "127.0.0.1"]) {
      await cluster.until(
        async () => (await cluster.sh(`curl -sS -m 30 http://${host}:${port}/`)) === "one\n",
        `the node port answers on ${host}`,
      );
    }
    await cluster.kubectl("scale deployment/first --replicas=5");
    await cluster.kubectl("rollout status deployment/first --timeout=180s");
    assert.match(await cluster.kubectl("get deployment first"), /^first +5\/5 +5 +5 /m);
    await cluster.kubectl("delete deployment,service first --wait=false");
    // The web server ignores SIGTERM, as the first process of a container may: nobody waits half a minute for that.
    await cluster.kubectl("delete pods -l app=first --now --wait=false");
  });

  test("set image, undo and history: a client that asks all the time loses no request", async () => {
    await cluster.kubectl(["apply", "-f", WEB]);
    await cluster.kubectl("rollout status deployment/web --timeout=180s");
    await cluster.kubectl("expose deployment web --port=80 --type=NodePort");
    const port = await cluster.kubectl("get service web -o jsonpath={.spec.ports[0].nodePort}");
    const url = `http://${NODE_ADDRESS}:${port}/`;
    await cluster.until(async () => (await cluster.sh(`curl -sS -m 30 ${url}`)) === "one\n", "the service answers");

    const client = cluster.start(process.execPath, ["-e", COUNTING_CLIENT, url]);
    await client.says(/asking/);
    assert.match(await cluster.kubectl("set image deployment/web web=web:2"), /deployment.apps\/web image updated/);
    await cluster.kubectl("rollout status deployment/web --timeout=180s");
    assert.match(
      await cluster.kubectl("rollout history deployment/web"),
      /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>\n/,
    );
    assert.match(await cluster.kubectl("rollout history deployment/web --revision=2"), /Image:\s+web:2/);
    await cluster.until(async () => (await podNames("app=web")).length === 3, "the old pods are gone");
    assert.equal(await cluster.sh(`curl -sS -m 30 ${url}`), "two\n");
    assert.match(await cluster.kubectl("rollout undo deployment/web"), /deployment.apps\/web rolled back/);
    await cluster.kubectl("rollout status deployment/web --timeout=180s");
    assert.match(
      await cluster.kubectl("rollout history deployment/web"),
      /REVISION +CHANGE-CAUSE\n2 +<none>\n3 +<none>\n/,
    );
    await cluster.until(async () => (await podNames("app=web")).length === 3, "the old pods are gone");
    await client.stop();
    const counts = JSON.parse(client.text().split("\n")[1]!) as Record<string, number>;
    assert.deepEqual(Object.keys(counts).sort(), ["one", "two"], `answers: ${JSON.stringify(counts)}`);
    assert.ok(counts["one"]! > 20 && counts["two"]! > 20, JSON.stringify(counts));
    assert.equal(await cluster.sh(`curl -sS -m 30 ${url}`), "one\n");
  });

  test("get -o wide, yaml and jsonpath, describe, explain, wait; top refuses politely", async () => {
    const [pod] = await podNames("app=web");
    assert.match(
      await cluster.kubectl("get pods -l app=web -o wide"),
      new RegExp(
        `^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n${pod} +1/1 +Running +0 +\\S+ +10\\.244\\.0\\.\\d+ +${cluster.node} +<none> +<none>$`,
        "m",
      ),
    );
    assert.match(await cluster.kubectl(`get pod ${pod} -o yaml`), /^apiVersion: v1\nkind: Pod\nmetadata:\n/);
    assert.equal(
      await cluster.kubectl("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}"),
      "web:1",
    );
    const described = await cluster.kubectl(`describe pod ${pod}`);
    for (const line of [
      /^Controlled By: +ReplicaSet\/web-/m,
      /^ +Ready: +True/m,
      /^QoS Class: +BestEffort/m,
      /Normal +Scheduled +\S+ +default-scheduler +Successfully assigned default\/web-/,
      /Normal +Pulled +\S.* +kubelet .*Container image "web:1" already present on machine/,
      /Normal +Started +\S.* +kubelet/,
    ])
      assert.match(described, line);
    assert.match(
      await cluster.kubectl("describe deployment web"),
      /Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable/,
    );
    assert.match(await cluster.kubectl("describe service web"), /^Endpoints: +10\.244\.0\.\d+:80,/m);
    assert.match(await cluster.kubectl("describe node"), /^Allocatable:/m);
    assert.match(await cluster.kubectl("explain deployment.spec.strategy"), /GROUP: +apps\nKIND: +Deployment/);
    assert.match(await cluster.kubectl("explain pod.spec --recursive"), /ephemeralContainers\t/);
    assert.match(
      await cluster.kubectl("wait --for=condition=Available deployment/web --timeout=180s"),
      /deployment.apps\/web condition met/,
    );
    assert.match(await cluster.refused("top nodes"), /^error: Metrics API not available/m);
    assert.match(await cluster.kubectl("api-resources"), /^deployments +deploy +apps\/v1 +true +Deployment$/m);
  });

  test("logs -f follows, exec -it has a terminal, cp copies both ways, attach attaches, port-forward forwards", async () => {
    await cluster.apply(`
      {apiVersion: v1, kind: Pod, metadata: {name: shell}, spec: {terminationGracePeriodSeconds: 0, containers: [
        {name: c, image: "busybox:1.36", command: [sh, -c, "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.3; done"]}]}}`);
    await cluster.kubectl("wait --for=condition=Ready pod/shell --timeout=180s");

    const logs = cluster.start("kubectl", ["logs", "-f", "shell"]);
    await logs.says(/^tick 1\n[^]*tick 6\n/);
    await logs.stop("SIGINT");
    assert.match(await cluster.kubectl("logs shell --tail=1 --timestamps"), /^2\d{3}-.*Z tick \d+\n$/);

    assert.equal(
      await cluster.kubectl(["exec", "shell", "--", "sh", "-c", "echo to out; echo to err >&2"]),
      "to out\n",
    );
    assert.equal(await cluster.kubectl("exec -i shell -- cat", { input: "through\n" }), "through\n");
    assert.match(
      await cluster.refused(["exec", "shell", "--", "sh", "-c", "exit 7"]),
      /command terminated with exit code 7/,
    );
    const terminal = cluster.start("script", [
      "-qec",
      "stty rows 40 cols 123; kubectl exec -it shell -- sh",
      "/dev/null",
    ]);
    await terminal.says(/# /);
    terminal.child.stdin!.write("tty; stty size; echo $((6*7))\n");
    await terminal.says(/\/dev\/pts\/0\r?\n40 123\r?\n42\r?\n/);
    terminal.child.stdin!.write("exit 3\n");
    await terminal.exited;
    assert.match(terminal.text(), /command terminated with exit code 3/);

    const file = cluster.file("copied.txt", "x".repeat(200_000));
    await cluster.kubectl(["cp", file, "shell:/tmp/there"]);
    await cluster.kubectl(["cp", "shell:/tmp/there", "back.txt"]);
    assert.equal(readFileSync(join(cluster.scratch, "back.txt"), "utf8"), readFileSync(file, "utf8"));

    const attached = cluster.start("kubectl", ["attach", "shell"]);
    await attached.says(/tick \d+\ntick \d+\n/);
    await attached.stop("SIGINT");

    const [pod] = await podNames("app=web");
    const forward = cluster.start("kubectl", ["port-forward", `pod/${pod}`, ":80"]);
    await forward.says(/Forwarding from 127\.0\.0\.1:\d+ -> 80/);
    const local = /127\.0\.0\.1:(\d+)/.exec(forward.text())![1];
    for (let i = 0; i < 5; i++) assert.equal(await cluster.sh(`curl -sS -m 30 http://127.0.0.1:${local}/`), "one\n");
    await forward.stop("SIGINT");

    assert.equal(
      await cluster.kubectl(
        ["run", "once", "-i", "--rm", "--quiet", "--restart=Never", "--image=busybox:1.36", "--", "tr", "a-z", "A-Z"],
        { input: "loud\n" },
      ),
      "LOUD\n",
    );
  });

  test("apply on both sides, diff, edit, label, annotate and patch change what they say", async () => {
    const map = (value: string) =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: ${value}, size: large}}`;
    assert.match(await cluster.apply(map("red")), /configmap\/settings created/);
    assert.match(await cluster.apply(map("red")), /configmap\/settings unchanged/);
    const diff = await cluster.run("kubectl", ["diff", "-f", "-"], { input: map("blue") });
    assert.equal(diff.code, 1);
    assert.match(diff.out, /^- +colour: red\n\+ +colour: blue$/m);
    assert.match(await cluster.apply(map("blue")), /configmap\/settings configured/);
    assert.match(
      await cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: blue}}"),
      /configured/,
    );
    const data = async (name: string) =>
      JSON.parse(await cluster.kubectl(`get configmap ${name} -o jsonpath={.data}`)) as unknown;
    assert.deepEqual(await data("settings"), { colour: "blue" });

    assert.match(
      await cluster.kubectl("edit configmap settings", { env: { EDITOR: "sed -i s/blue/green/" } }),
      /configmap\/settings edited/,
    );
    assert.deepEqual(await data("settings"), { colour: "green" });
    await cluster.kubectl("label configmap settings tier=front");
    assert.match(await cluster.kubectl("get configmap -l tier=front -o name"), /^configmap\/settings\n$/);
    await cluster.kubectl(["patch", "configmap", "settings", "--type=merge", "-p", '{"data":{"colour":null,"a":"b"}}']);
    assert.deepEqual(await data("settings"), { a: "b" });

    const owned = (value: string) =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: owned}, data: {a: "${value}"}}`;
    await cluster.apply(owned("1"), "--server-side", "--field-manager=one");
    assert.match(
      await cluster.refused("apply --server-side --field-manager=two -f -", { input: owned("2") }),
      /Apply failed with 1 conflict: conflict with "one": \.data\.a/,
    );
    await cluster.apply(owned("2"), "--server-side", "--field-manager=two", "--force-conflicts");
    assert.deepEqual(await data("owned"), { a: "2" });
    const managers = await cluster.get("configmap owned --show-managed-fields");
    assert.deepEqual(
      managers.metadata.managedFields.map(({ manager, operation }: any) => [manager, operation]),
      [["two", "Apply"]],
    );
  });

  test("a node is drained as far as its disruption budgets let it, and takes pods again", async () => {
    await cluster.kubectl("create poddisruptionbudget web --selector=app=web --min-available=3");
    await cluster.until(
      async () => (await cluster.kubectl("get pdb web -o jsonpath={.status.currentHealthy}")) === "3",
      "the budget counts its pods",
    );
    const err = await cluster.refused(`drain ${cluster.node} --force --timeout=1s`);
    assert.match(
      err,
      /error when evicting pods\/"web-\S+" -n "default" \(will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget\./,
    );
    assert.match(await cluster.kubectl("get nodes"), / Ready,SchedulingDisabled /);
    assert.equal((await podNames("app=web")).length, 3);
    await cluster.kubectl("delete pdb web");
    await cluster.kubectl(`drain ${cluster.node} --force --timeout=180s`);
    await cluster.until(
      async () => /^(web-\S+ +0\/1 +Pending +0 +\S+\n){3}$/.test(await cluster.kubectl("get pods --no-headers")),
      "new pods wait for a node",
    );
    await cluster.kubectl(`uncordon ${cluster.node}`);
    await cluster.kubectl("rollout status deployment/web --timeout=180s");
  });

  test("a NoExecute taint evicts the pods that don't tolerate it", async () => {
    const before = await podNames("app=web");
    await cluster.kubectl(`taint nodes ${cluster.node} gone=now:NoExecute`);
    await cluster.until(async () => {
      const now = await podNames("app=web");
      return now.length === 3 && now.every((name) => !before.includes(name));
    }, "other pods are there in their place");
    await cluster.until(
      async () =>
        /FailedScheduling +pod\/web-\S+ +0\/1 nodes are available: 1 node\(s\) had untolerated taint\(s\)/.test(
          await cluster.kubectl("get events --sort-by=.metadata.creationTimestamp"),
        ),
      "they wait, and say for what",
    );
    await cluster.kubectl(`taint nodes ${cluster.node} gone-`);
    await cluster.kubectl("rollout status deployment/web --timeout=180s");
  });

  test("debug adds a container that sees the others' processes", async () => {
    const [pod] = await podNames("app=web");
    await cluster.kubectl(["debug", pod!, "--image=busybox:1.36", "--target=web", "-c", "look", "--", "sleep", "600"]);
    await cluster.until(
      async () => / httpd /.test(await cluster.kubectl(["exec", pod!, "-c", "look", "--", "ps"])),
      "the web server is seen",
    );
  });

  test("a custom resource is defined, checked, shown, scaled and gone", async () => {
    await cluster.kubectl(["apply", "-f", join(import.meta.dirname, "../fixtures/widgets.yaml")]);
    await cluster.kubectl("wait --for=condition=Established crd/widgets.example.com --timeout=180s");
    const widget = (spec: string) => `{apiVersion: example.com/v1, kind: Widget, metadata: {name: one}, spec: ${spec}}`;
    assert.match(
      await cluster.refused("apply -f -", { input: widget("{size: 0}") }),
      /The Widget "one" is invalid: spec\.size: Invalid value: 0: spec\.size in body should be greater than or equal to 1/,
    );
    assert.match(
      await cluster.refused("apply -f -", { input: widget("{colour: green}") }),
      /spec\.colour: Unsupported value: "green": supported values: "red", "blue"/,
    );
    assert.equal(await cluster.apply(widget("{colour: red}")), "widget.example.com/one created\n");
    assert.equal(await cluster.kubectl("get wd"), "NAME   SIZE\none    3\n", "with the default of its schema");
    await cluster.kubectl("scale widget one --replicas=5");
    assert.equal(await cluster.kubectl("get widget one -o jsonpath={.spec}"), '{"colour":"red","size":5}');
    assert.match(await cluster.kubectl("explain widget.spec"), /^ +size\t<integer>/m);
    await cluster.kubectl("delete crd widgets.example.com");
    await cluster.until(
      async () =>
        /the server doesn't have a resource type|could not find the requested/.test(
          await cluster.refused("get widgets"),
        ),
      "the kind is gone",
    );
  });

  test("what is deleted is gone with all that belonged to it", async () => {
    await cluster.kubectl("delete deployment web");
    await cluster.kubectl("delete service web");
    await cluster.kubectl("delete pod shell --ignore-not-found");
    await cluster.until(
      async () => (await cluster.kubectl("get all,endpointslices,endpoints -o name")).split("\n").length === 4,
      "only the service of the API server, its slice and its endpoints are there",
      180_000,
    );
    assert.equal(
      await cluster.kubectl("get all,endpointslices,endpoints -o name"),
      "service/kubernetes\nendpointslice.discovery.k8s.io/kubernetes\nendpoints/kubernetes\n",
    );
    await cluster.until(
      async () => !/default\/(web|first)/.test(await cluster.sh("iptables-save")),
      "their rules are gone",
    );
    assert.equal(
      await cluster.sh(`ls -d /sys/fs/cgroup/memory/t8s-${cluster.node}/*/*pod* 2>/dev/null | wc -l`),
      "0\n",
      "their cgroups are gone",
    );
    assert.equal(await cluster.sh("ip -o link show type veth | grep -vc 'eth0\\|outside' || true"), "0\n");

    await cluster.kubectl("create namespace brief");
    await cluster.kubectl("create configmap inside -n brief --from-literal=a=b");
    await cluster.kubectl("create deployment inside -n brief --image=nothing:1");
    await cluster.kubectl("delete namespace brief --timeout=180s");
    assert.match(
      await cluster.refused("get namespace brief"),
      /Error from server \(NotFound\): namespaces "brief" not found/,
    );
  });

  test("nothing went wrong on the way that the log would tell", () => {
    const errors = cluster
      .errors()
      // The garbage collector looks for a kind that is gone until it asks again what kinds there are, as upstream's does.
      .filter((line) => !line.includes('"Failed to list" resource="widgets"'));
    assert.deepEqual(errors, []);
  });
});
