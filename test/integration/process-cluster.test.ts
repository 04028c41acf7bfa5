/** A cluster whose containers are processes of this machine: three nodes on one, killed and gone on with, stopped without a trace, and without root. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { NODE_ADDRESS, TestCluster, WEB_1 } from "../../src/testing/cluster.ts";
import { noImages } from "../../src/testing/images.ts";
import { noNamespaces } from "../../src/testing/netns.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();
const missing = noNamespaces() ?? (clients === undefined ? "kubectl could not be fetched" : undefined);
const MAIN = ["tools/node.sh", "src/cli/main.ts"].map((path) => join(import.meta.dirname, "../..", path));

/** A deployment, a job or whatever with one container of this machine's own programs. */
const template = (app: string, command: readonly string[], more: object = {}, pod: object = {}) => ({
  metadata: { labels: { app } },
  spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image: "machine", command, ...more }], ...pod },
});
const deployment = (name: string, replicas: number, command: readonly string[], more: object = {}) =>
  JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, command, more) },
  });

const SERVER = `require("node:http").createServer((request, response) => response.end(require("node:os").hostname())).listen(80)`;
const fetching = (url: string) => ["-e", `fetch("${url}").then((r) => r.text()).then((text) => console.log(text))`];

/** Tables of rules that are there and empty are as good as none. */
const withoutTables = (text: string) => text.replace(/^\*\w+\nCOMMIT\n/gm, "");

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly podIP: string; readonly phase: string; readonly containerStatuses: readonly any[] };
}

describe("three nodes of processes", { skip: missing }, () => {
  let cluster: TestCluster;
  let network: string;
  before(() => {
    cluster = new TestCluster("process", clients!);
    network = cluster.network();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const up = () => cluster.up("--runtime", "process", "--nodes", "3");
  const pods = async (app: string) =>
    (await cluster.get<{ readonly items: readonly Pod[] }>(`pods -l app=${app}`)).items;
  const running = (app: string, count: number) =>
    cluster.until(async () => {
      const items = await pods(app);
      const ready = items.filter(({ status }) => status.containerStatuses?.every(({ ready: is }) => is));
      return ready.length === count && items.length === count ? items : undefined;
    }, `${count} pods of ${app} run`);
  /** The kernel's lines about the containers' processes: pid, and when it started. */
  const processes = () =>
    globSync(join(cluster.dataDir, "nodes/*/process/containers/*/pid"))
      .map((path) => readFileSync(path, "utf8").split(" "))
      .map((fields) => `${fields[0]} ${fields[21]}`)
      .sort();
  const alive = () =>
    processes().filter((line) => {
      const path = `/proc/${line.split(" ")[0]}/stat`;
      return existsSync(path) && readFileSync(path, "utf8").split(" ")[21] === line.split(" ")[1];
    });

  test("t8s up --nodes 3 gives three Ready nodes", async () => {
    assert.match(await up(), /3 kubelets \(process\)/);
    const nodes = await cluster.kubectl("get nodes");
    assert.equal(nodes.match(/^node-[123] +Ready /gm)?.length, 3, nodes);
  });

  test("a deployment spreads over them, each pod with an address of its own; logs, exec, scale and delete work", async () => {
    const shell = "echo hello from $(hostname); trap 'exit 0' TERM; while :; do sleep 0.1; done";
    await cluster.apply(deployment("sleepers", 6, ["sh", "-c", shell]));
    const items = await running("sleepers", 6);
    assert.equal(new Set(items.map(({ spec }) => spec.nodeName)).size, 3);
    assert.equal(new Set(items.map(({ status }) => status.podIP)).size, 6);
    for (const { status } of items) assert.match(status.podIP, /^10\.244\./);
    const { name } = items[0]!.metadata;
    await cluster.until(
      async () => (await cluster.kubectl(`logs ${name}`)) === `hello from ${name}\n`,
      "what it has said",
    );
    const inside = await cluster.kubectl([
      "exec",
      name,
      "--",
      "sh",
      "-c",
      "hostname; pwd; echo $KUBERNETES_SERVICE_HOST",
    ]);
    assert.equal(inside, `${name}\n/\n10.96.0.1\n`);
    assert.equal(await cluster.kubectl(`exec -i ${name} -- cat`, { input: "typed" }), "typed");
    const { code } = await cluster.run("kubectl", ["exec", name, "--", "sh", "-c", "exit 7"]);
    assert.equal(code, 7);
    await cluster.kubectl("scale deployment/sleepers --replicas=2");
    await running("sleepers", 2);
    await cluster.kubectl("delete deployment sleepers");
    await cluster.until(async () => (await pods("sleepers")).length === 0, "its pods are gone");
    await cluster.until(async () => alive().length === 0, "their processes are gone");
  });

  test("two pods of a node serve the same port; probes, a service, its node port and port-forward reach them", async () => {
    const probe = { httpGet: { path: "/", port: 80 }, periodSeconds: 1, timeoutSeconds: 30 };
    await cluster.apply(
      deployment("web", 4, [process.execPath, "-e", SERVER], {
        readinessProbe: probe,
        livenessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, timeoutSeconds: 30 },
      }),
    );
    const items = await running("web", 4);
    await cluster.kubectl("expose deployment web --port=80 --type=NodePort");
    const port = await cluster.kubectl("get service web -o jsonpath={.spec.ports[0].nodePort}");
    const names = items.map(({ metadata }) => metadata.name);
    const ask = async (url: string) => (await cluster.run(process.execPath, fetching(url))).out.trim();
    await cluster.until(
      async () => names.includes(await ask(`http://${NODE_ADDRESS}:${port}/`)),
      "the node port answers",
    );
    const url = "http://web.default.svc.cluster.local/";
    await cluster.until(async () => {
      const said = await cluster.kubectl(["exec", names[0]!, "--", process.execPath, ...fetching(url)]);
      return names.includes(said.trim());
    }, "the service's name leads to one");
    const forward = cluster.start("kubectl", ["port-forward", names[1]!, "25980:80"]);
    await forward.says(/Forwarding from/);
    assert.equal(await ask("http://127.0.0.1:25980/"), names[1]);
    await forward.stop();
    await cluster.kubectl("delete deployment,service web");
  });

  test("a loaded image is a container's root, its entrypoint what runs", { skip: noImages() }, async () => {
    await cluster.load();
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "image" } };
    const spec = {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "c", image: WEB_1, ports: [{ containerPort: 80, hostPort: 8081 }] }],
    };
    await cluster.apply(JSON.stringify({ ...pod, spec }));
    await cluster.kubectl("wait --for=condition=Ready pod/image --timeout=180s");
    const address = await cluster.kubectl("get pod image -o jsonpath={.status.podIP}");
    const answer = () => cluster.run(process.execPath, fetching(`http://${address}/`));
    await cluster.until(async () => (await answer()).out.trim() === "one", "the image's server answers");
    const atPort = () => cluster.run(process.execPath, fetching(`http://${NODE_ADDRESS}:8081/`));
    await cluster.until(async () => (await atPort()).out.trim() === "one", "its port of the node leads to it");
    assert.match(await cluster.kubectl("exec image -- ls /"), /^bin\ndev\netc\n(.*\n)+www\n$/);
    await cluster.kubectl("delete pod image");
  });

  test("a job completes; what fails goes to CrashLoopBackOff; what can't start says why", async () => {
    const job = { restartPolicy: "Never" };
    await cluster.apply(
      JSON.stringify({
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name: "sum" },
        spec: { completions: 2, parallelism: 2, template: template("sum", ["sh", "-c", "echo $((6*7))"], {}, job) },
      }),
    );
    await cluster.apply(deployment("failing", 1, ["sh", "-c", "echo dying; exit 3"]));
    await cluster.apply(deployment("missing", 1, ["no-such-program"]));
    await cluster.kubectl("wait --for=condition=complete job/sum --timeout=180s");
    assert.equal(await cluster.kubectl("logs job/sum"), "42\n");
    const looping = (app: string) =>
      cluster.until(async () => {
        const status = (await pods(app))[0]!.status.containerStatuses[0];
        return status.state.waiting?.reason === "CrashLoopBackOff" && status.restartCount >= 1 && status;
      }, `${app} is in CrashLoopBackOff`);
    const failing = await looping("failing");
    assert.deepEqual([failing.lastState.terminated.exitCode, failing.lastState.terminated.reason], [3, "Error"]);
    await cluster.until(
      async () => (await cluster.kubectl("logs deployment/failing")) === "dying\n",
      "what it has said",
    );
    const absent = (await looping("missing")).lastState.terminated;
    assert.deepEqual([absent.exitCode, absent.reason], [128, "StartError"]);
    assert.match(absent.message, /exec: "no-such-program": executable file not found in \$PATH/);
    await cluster.kubectl("delete deployment/failing deployment/missing job/sum");
  });

  test("killed, its containers run on, and the next up takes them over as they are", async () => {
    await cluster.apply(
      deployment("stay", 3, ["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.2; done"]),
    );
    const names = (await running("stay", 3)).map(({ metadata }) => metadata.name).sort();
    await cluster.until(async () => alive().length === 3, "three processes");
    const were = alive();
    await cluster.end("SIGKILL");
    assert.deepEqual(alive(), were);
    await up();
    const items = await running("stay", 3);
    assert.deepEqual(alive(), were);
    assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), names);
    assert.deepEqual(
      items.map(({ status }) => status.containerStatuses[0].restartCount),
      [0, 0, 0],
    );
    const lines = async () => (await cluster.kubectl(`logs ${names[0]}`)).trim().split("\n");
    const seen = (await lines()).length;
    const log = await cluster.until(async () => {
      const all = await lines();
      return all.length > seen + 2 ? all : undefined;
    }, "the log goes on");
    assert.deepEqual(
      log,
      log.map((_, i) => `line ${i}`),
    );
    assert.equal(await cluster.kubectl(["exec", names[0]!, "--", "hostname"]), `${names[0]}\n`);
  });

  test("stopped, nothing of it is left but its data, and the next up runs its pods again", async () => {
    const sandboxes = globSync(join(cluster.dataDir, "nodes/*/process/sandboxes/*.json")).map((path) => basename(path));
    assert.ok(sandboxes.length >= 3);
    const stopped = await cluster.t8s(["down", "--data-dir", cluster.dataDir]);
    assert.match(stopped.out, /is stopped/);
    const clean = async () => {
      assert.deepEqual(cluster.leftovers(), []);
      assert.equal(withoutTables(cluster.network()), withoutTables(network));
      assert.deepEqual(globSync(join(cluster.dataDir, "nodes/*/process")), []);
      for (const id of sandboxes) assert.ok(!existsSync(`/run/netns/t8s-${id.slice(0, 16)}`));
    };
    await clean();
    await up();
    await running("stay", 3);
    await cluster.end("SIGKILL");
    assert.equal(alive().length, 3);
    assert.match((await cluster.t8s(["down", "--data-dir", cluster.dataDir])).out, /is stopped/);
    await clean();
  });
});

describe("a cluster of someone without root", { skip: missing ?? unreadable() }, () => {
  let cluster: TestCluster;
  let home: string;
  before(() => {
    cluster = new TestCluster("nobody", clients!);
    home = mkdtempSync(join(tmpdir(), `${cluster.name}-home-`));
    chownSync(home, 65534, 65534);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(home, { recursive: true, force: true });
  });

  test("it is Ready, runs a pod with logs and exec, and leaves only its data", async () => {
    const data = join(home, ".local/share/typernetes/default");
    const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", ...MAIN];
    const env = { HOME: home, KUBECONFIG: join(home, "kubeconfig") };
    const upped = cluster.start("setpriv", [...asNobody, "up"], { env });
    try {
      await upped.says(/Try:/);
      assert.match(upped.text(), /containers run as processes: containerd needs root/);
      const kubectl = (...words: readonly string[]) =>
        cluster.kubectl(["--kubeconfig", join(home, "kubeconfig"), ...words]);
      assert.match(await kubectl("get", "nodes"), / Ready /);
      const volumes = [
        { name: "info", downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
      ];
      const { spec } = template(
        "one",
        ["sh", "-c", "id -u; cat /etc/podinfo/name; echo; sleep 1000"],
        { volumeMounts: [{ name: "info", mountPath: "/etc/podinfo" }] },
        { volumes },
      );
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "one" }, spec };
      await cluster.kubectl(["--kubeconfig", join(home, "kubeconfig"), "apply", "-f", "-"], {
        input: JSON.stringify(pod),
      });
      await kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=180s");
      // Root of a user namespace, which is nobody outside of it.
      await cluster.until(async () => (await kubectl("logs", "one")) === "0\none\n", "what it has said");
      assert.equal(
        await kubectl(
          "exec",
          "one",
          "--",
          "sh",
          "-c",
          "hostname; ls /var/run/secrets/kubernetes.io/serviceaccount/token",
        ),
        "one\n/var/run/secrets/kubernetes.io/serviceaccount/token\n",
      );
      const { out } = await cluster.run("setpriv", [...asNobody, "down"], { env: { ...env } });
      assert.match(out, /is stopped/);
      assert.equal(await upped.exited, 0);
      assert.deepEqual(cluster.leftovers(), []);
      assert.deepEqual(globSync(join(data, "nodes/*/process")), []);
    } finally {
      await upped.stop();
    }
  });
});

/** Why somebody else can't run this code, or undefined. */
function unreadable(): string | undefined {
  try {
    execFileSync("sh", MAIN, {
      uid: 65534,
      gid: 65534,
      stdio: ["ignore", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: process.env["PATH"] },
    });
    return undefined;
  } catch (error) {
    return (error as { readonly status: number }).status === 1 ? undefined : "another user may not read this folder";
  }
}
