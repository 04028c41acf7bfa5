/** Three nodes with real containers on one machine: traffic between them, nodes that die, are cut off or lose the control plane, and nothing left behind. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

/** Pods that answer with their own name, as many as one likes or one a node. */
const named = (kind: string, name: string, spec: string) => `
apiVersion: apps/v1
kind: ${kind}
metadata: {name: ${name}}
spec:
  ${spec}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: c
          image: busybox:1.36
          command: [sh, -c, "echo I am $(hostname); hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
`;
const WORKLOADS = `${named("Deployment", "web", "replicas: 6")}---${named("DaemonSet", "agent", "")}---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
`;
const NODES = ["node-1", "node-2", "node-3"];

interface Pod {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
  readonly container: string;
  readonly ready: boolean;
}

describe("three nodes with containers of their own", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  let untouched: string;
  before(() => {
    cluster = new TestCluster("nodes", clients!);
    untouched = cluster.network();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const up = () =>
    cluster.up(..."--nodes 3 --runtime containerd --node-monitor-grace-period 15s --name".split(" "), cluster.name);
  const pods = async (app: string): Promise<readonly Pod[]> =>
    (await cluster.get(`pods -l app=${app}`)).items.map(({ metadata, spec, status }: any) => ({
      name: metadata.name,
      node: spec.nodeName,
      ip: status.podIP,
      container: `${status.containerStatuses?.[0]?.containerID} ${status.containerStatuses?.[0]?.restartCount}`,
      ready: status.conditions.some(({ type, status: is }: any) => type === "Ready" && is === "True"),
    }));
  const allReady = (app: string, count: number) =>
    cluster.until(async () => {
      const found = await pods(app);
      return found.length === count && found.every(({ ready }) => ready) ? found : undefined;
    }, `${count} pods of ${app} are ready`);
  const containers = async () => (await pods("web")).map(({ name, container }) => `${name} ${container}`).sort();
  const inside = (pod: Pod, command: string) => cluster.kubectl(["exec", pod.name, "--", "sh", "-c", command]);
  const machines = (): readonly any[] =>
    JSON.parse(readFileSync(join(cluster.dataDir, "cluster.json"), "utf8")).lan.machines;
  const pidIn = (...path: readonly string[]) => Number(readFileSync(join(cluster.dataDir, "nodes", ...path), "utf8"));
  /** Who answers `url` in 30 requests. */
  const answers = async (url: string, seconds = 30): Promise<readonly string[]> => [
    ...new Set(
      (await cluster.sh(`for i in $(seq 30); do curl -sS -m ${seconds} ${url} || echo lost; done`)).trim().split("\n"),
    ),
  ];
  const isReady = async (node: string) =>
    (await cluster.kubectl(["get", "node", node, "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'])) ===
    "True";
  const nothingIsLeft = () => {
    assert.deepEqual(cluster.leftovers(), []);
    assert.equal(cluster.network(), untouched);
  };

  test("three nodes are Ready, each with an address and a pod subnet of its own", async () => {
    await up();
    await cluster.load();
    const { items } = await cluster.get("nodes");
    assert.deepEqual(items.map(({ metadata }: any) => metadata.name).sort(), NODES);
    for (const node of NODES) assert.ok(await isReady(node), node);
    const addresses = items.map(
      ({ status }: any) => status.addresses.find(({ type }: any) => type === "InternalIP").address,
    );
    assert.deepEqual(
      addresses.sort(),
      machines().map(({ address }) => address),
    );
    assert.equal(new Set(addresses).size, 3);
    assert.equal(new Set(items.map(({ spec }: any) => spec.podCIDR)).size, 3);
    const { code, out } = await cluster.t8s(["status", "--data-dir", cluster.dataDir]);
    assert.equal(code, 0, out);
    assert.match(out, /nodes +3 of 3 Ready/);
  });

  test("a deployment is spread over the nodes and a daemon set has a pod on each", async () => {
    await cluster.apply(WORKLOADS);
    const web = await allReady("web", 6);
    for (const node of NODES) assert.equal(web.filter((pod) => pod.node === node).length, 2, node);
    const agents = await allReady("agent", 3);
    assert.deepEqual(agents.map(({ node }) => node).sort(), NODES);
  });

  test("a pod reaches pods of every node, directly and by the name of their service", async () => {
    const web = await pods("web");
    for (const from of await pods("agent")) {
      const direct = await inside(from, web.map(({ ip }) => `wget -qO- http://${ip}:8080`).join(";"));
      assert.deepEqual(
        direct.trim().split("\n"),
        web.map(({ name }) => name),
        `from ${from.node}`,
      );
      await cluster.until(async () => {
        const said = await inside(from, "for i in $(seq 50); do wget -qO- http://web.default.svc.cluster.local; done");
        return new Set(said.trim().split("\n")).size === 6;
      }, `all answer by name on ${from.node}`);
    }
  });

  test("a node port answers on each node's address, and on the machine's own", async () => {
    for (const address of [...machines().map((machine) => machine.address), "127.0.0.1"]) {
      const found = await answers(`http://${address}:30080/`);
      assert.ok(!found.includes("lost") && found.length >= 4, `${address}: ${found.join()}`);
    }
  });

  test("logs, exec and port-forward reach a pod on the second node", async () => {
    const pod = (await pods("web")).find(({ node }) => node === "node-2")!;
    assert.equal(await cluster.kubectl(`logs ${pod.name}`), `I am ${pod.name}\n`);
    assert.equal(await inside(pod, "hostname"), `${pod.name}\n`);
    const forward = cluster.start("kubectl", ["port-forward", pod.name, "18080:8080"]);
    await forward.says(/Forwarding from 127.0.0.1/);
    assert.equal(await cluster.sh("curl -sS -m 60 http://127.0.0.1:18080/"), `${pod.name}\n`);
    await forward.stop();
  });

  test("a node whose process and containerd are killed comes back with the containers that it had", async () => {
    const before = await containers();
    const killed = pidIn("node-2", "node.pid");
    process.kill(killed, "SIGKILL");
    process.kill(pidIn("node-2", "containerd/containerd.pid"), "SIGKILL");
    assert.ok(!(await answers(`http://${machines()[1].address}:30080/`)).includes("lost"), "traffic goes on meanwhile");
    const pod = (await pods("web")).find(({ node }) => node === "node-2")!;
    await cluster.until(async () => (await inside(pod, "echo back")) === "back\n", "exec works again");
    assert.notEqual(pidIn("node-2", "node.pid"), killed);
    assert.deepEqual(await containers(), before);
  });

  test("traffic leaves a node that is cut off after the grace period, and comes back with it", async () => {
    const { link } = machines()[2];
    const lost = (await pods("web")).filter(({ node }) => node === "node-3").map(({ name }) => name);
    await cluster.sh(`ip link set ${link} down`);
    try {
      await cluster.until(async () => !(await isReady("node-3")), "the node is NotReady", 180_000);
      const url = `http://${machines()[0].address}:30080/`;
      await cluster.until(async () => {
        const found = await answers(url, 2);
        return found.length === 4 && !found.some((name) => name === "lost" || lost.includes(name));
      }, "the others alone answer");
    } finally {
      await cluster.sh(`ip link set ${link} up`);
    }
    await cluster.until(() => isReady("node-3"), "the node is Ready again");
    await allReady("web", 6);
    await cluster.until(async () => (await answers(`http://127.0.0.1:30080/`)).length === 6, "all six answer again");
  });

  test("nodes go on without the control plane, and the next start takes them over with their containers", async () => {
    const before = await containers();
    await cluster.end("SIGKILL");
    for (const { address } of machines())
      assert.ok(!(await answers(`http://${address}:30080/`)).includes("lost"), address);
    await up();
    await cluster.until(async () => {
      const agents = await allReady("agent", 3);
      return (await inside(agents[0]!, "wget -qO- http://web")).startsWith("web-");
    }, "the cluster works");
    await allReady("web", 6);
    assert.deepEqual(await containers(), before);
  });

  test("down after a kill takes everything away", async () => {
    await cluster.end("SIGKILL");
    const { code, out, err } = await cluster.t8s(["down", "--data-dir", cluster.dataDir]);
    assert.equal(code, 0, out + err);
    nothingIsLeft();
  });

  test("an orderly stop leaves nothing behind", async () => {
    await up();
    await allReady("web", 6);
    assert.match(await cluster.end(), /stopped; everything is kept/);
    nothingIsLeft();
  });
});
