/** Services in a real cluster: names, node ports, traffic that moves when pods die, and what has no endpoints. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NODE_ADDRESS, noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

/** Three pods that answer with their own name, in any number of services. */
const NAMED = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: named}
spec:
  replicas: 3
  serviceName: headless
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: named}}
  template:
    metadata: {labels: {app: named}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: c
          image: busybox:1.36
          command: [sh, -c, "hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
          ports: [{name: web, containerPort: 8080}]
          readinessProbe: {httpGet: {port: web}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: named}, ports: [{name: http, port: 8080, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {type: NodePort, selector: {app: named}, ports: [{name: http, port: 80, targetPort: web, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {sessionAffinity: ClientIP, selector: {app: named}, ports: [{port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: named.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "busybox:1.36", command: [sleep, "1000000"]}]}
`;

describe("services of a cluster", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("network", clients!);
    await cluster.up();
    await cluster.load();
    await cluster.apply(NAMED);
    await cluster.kubectl("rollout status statefulset/named --timeout=180s");
    await cluster.kubectl("wait --for=condition=Ready pod/client --timeout=180s");
  });
  after(() => cluster[Symbol.asyncDispose]());

  const inside = (command: string) => cluster.kubectl(["exec", "client", "--", "sh", "-c", command]);
  /** What the cluster's DNS server answers a program on the node. */
  const resolve = async (type: string, name: string): Promise<any[]> =>
    JSON.parse(
      (
        await cluster.run(process.execPath, [
          "-e",
          'const r = new (require("node:dns").promises.Resolver)(); r.setServers(["10.96.0.10"]); r.resolve(process.argv[1], process.argv[2]).then((found) => console.log(JSON.stringify(found.map(({ type, ...rest }) => rest))), (error) => console.log(JSON.stringify([error.code])))',
          name,
          type,
        ])
      ).out,
    ) as any[];
  const address = (pod: string) => cluster.kubectl(`get pod ${pod} -o jsonpath={.status.podIP}`);
  /** Who answers `url` in this many requests. */
  const answers = async (url: string, times = 30, seconds = 30) =>
    new Set(
      (await cluster.sh(`for i in $(seq ${times}); do curl -sS -m ${seconds} ${url} || echo lost; done`))
        .trim()
        .split("\n"),
    );

  test("a pod reaches others by the name of their service, and all of them answer", async () => {
    await cluster.until(async () => (await inside("wget -qO- http://named")).startsWith("named-"), "the short name");
    // Rules are written at most once a second: the last endpoint may come one write after the first.
    await cluster.until(async () => {
      const said = await inside("for i in $(seq 40); do wget -qO- http://named.default.svc.cluster.local; done");
      return [...new Set(said.trim().split("\n"))].sort().join() === "named-0,named-1,named-2";
    }, "all three answer");
    assert.match(await inside("wget -qO- http://alias"), /^named-\d\n$/);
    assert.match(await inside("wget -qO- http://named.default"), /^named-\d\n$/);
  });

  test("a headless service has the addresses of its pods, each pod a name, and its ports SRV records", async () => {
    const addresses = await Promise.all(["named-0", "named-1", "named-2"].map(address));
    const found = [
      ...(await inside("nslookup -type=a headless.default.svc.cluster.local")).matchAll(/^Address: (\S+)$/gm),
    ];
    assert.deepEqual(found.map(([, ip]) => ip).sort(), [...addresses].sort());
    assert.match(
      await inside("nslookup -type=a named-1.headless.default.svc.cluster.local"),
      new RegExp(`^Address: ${addresses[1]}$`, "m"),
    );
    assert.equal(await inside("wget -qO- http://named-2.headless:8080"), "named-2\n");
    const records = await resolve("SRV", "_http._tcp.headless.default.svc.cluster.local");
    assert.deepEqual(
      records.sort((a, b) => a.name.localeCompare(b.name)),
      [0, 1, 2].map((i) => ({
        name: `named-${i}.headless.default.svc.cluster.local`,
        port: 8080,
        priority: 0,
        weight: 33,
      })),
    );
    assert.deepEqual(await resolve("SRV", "_http._tcp.named.default.svc.cluster.local"), [
      { name: "named.default.svc.cluster.local", port: 80, priority: 0, weight: 100 },
    ]);
    const reverse = addresses[0]!.split(".").reverse().join(".");
    assert.match(
      await inside(`nslookup -type=ptr ${reverse}.in-addr.arpa`),
      /name = named-0\.headless\.default\.svc\.cluster\.local/,
    );
    assert.match(await inside("nslookup nothing.default.svc.cluster.local || true"), /NXDOMAIN/);
  });

  test("a node port answers on the node's address and on 127.0.0.1; the cluster address answers on the node", async () => {
    const clusterIp = await cluster.kubectl("get service named -o jsonpath={.spec.clusterIP}");
    for (const url of [`http://${NODE_ADDRESS}:30080/`, "http://127.0.0.1:30080/", `http://${clusterIp}/`])
      assert.deepEqual([...(await answers(url, 40))].sort(), ["named-0", "named-1", "named-2"], url);
  });

  test("a pod reaches itself through its own service", async () => {
    const said = await cluster.kubectl([
      "exec",
      "named-0",
      "--",
      "sh",
      "-c",
      "for i in $(seq 30); do wget -qO- http://named; done",
    ]);
    assert.ok(said.includes("named-0\n"), said);
    assert.equal(said.trim().split("\n").length, 30);
  });

  test("session affinity keeps a client with its pod", async () => {
    const names = new Set((await inside("for i in $(seq 20); do wget -qO- http://sticky; done")).trim().split("\n"));
    assert.equal(names.size, 1);
  });

  test("a service without endpoints refuses at once", async () => {
    const clusterIp = await cluster.kubectl("get service empty -o jsonpath={.spec.clusterIP}");
    for (const where of [inside, (command: string) => cluster.sh(command)]) {
      assert.match(
        await where(
          `timeout 60 nc -w 50 ${clusterIp} 80 2>&1 < /dev/null || busybox nc -w 50 ${clusterIp} 80 2>&1 || true`,
        ),
        /refused/i,
      );
    }
  });

  test("traffic leaves a pod that dies, and comes back when it is replaced", async () => {
    const url = `http://${NODE_ADDRESS}:30080/`;
    await cluster.kubectl('patch statefulset named --type=merge -p {"spec":{"replicas":2}}');
    await cluster.kubectl("wait --for=delete pod/named-2 --timeout=180s");
    await cluster.kubectl("delete pod named-1 --grace-period=0 --force --wait=false");
    await cluster.until(
      async () => [...(await answers(url, 5, 2))].every((name) => name === "named-0" || name === "named-1"),
      "no request is lost any more",
    );
    await cluster.kubectl("rollout status statefulset/named --timeout=180s");
    await cluster.until(async () => (await answers(url)).size === 2, "the new pod gets its share");
  });

  test("a hostPort answers on the node", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: with-host-port}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "web:1", ports: [{containerPort: 80, hostPort: 8088}]}]
`);
    await cluster.kubectl("wait --for=condition=Ready pod/with-host-port --timeout=180s");
    for (const host of [NODE_ADDRESS, "127.0.0.1"])
      assert.equal(await cluster.sh(`curl -sS -m 60 http://${host}:8088/`), "one\n", host);
    await cluster.kubectl("delete pod with-host-port");
    await cluster.until(
      async () => (await cluster.run("curl", ["-sS", "-m", "2", `http://${NODE_ADDRESS}:8088/`])).code === 7,
      "the port refuses once the pod is gone",
    );
  });

  test("nothing went wrong on the way that the log would tell", () => {
    assert.deepEqual(cluster.errors(), []);
  });
});
