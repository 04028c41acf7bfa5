/** Components as processes of their own, under upstream's names and flags: they work together over TLS, and each may die and come back. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, unlinkSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "../../src/client/create-client.ts";
import { httpsTransport } from "../../src/client/https.ts";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { createInformers } from "../../src/client/informer/informers.ts";
import { configMaps, deployments, leases, nodes, pods } from "../../src/client/resources.ts";
import { createContainerd, importImages, removeMounts } from "../../src/kubelet/runtimes/containerd/containerd.ts";
import { silent } from "../../src/observe/log.ts";
import { ComponentProcesses, type Program } from "../../src/testing/components.ts";
import { nodeWorld } from "../../src/world/node/index.ts";
import { noCluster } from "../../src/testing/cluster.ts";
import { archiveOf, webImage } from "../../src/testing/images.ts";
import { hostIn, makeNamespace, type Namespace } from "../../src/testing/netns.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

describe("a cluster of processes", { skip: clients === undefined ? "kubectl could not be fetched" : false }, () => {
  let cluster: ComponentProcesses;
  const running: Record<string, Program> = {};

  before(async () => {
    cluster = await ComponentProcesses.create(clients);
    // All at once, as a supervisor would: each waits for those it needs.
    running["kubelet"] = cluster.kubelet({}, "--container-runtime=simulated");
    running["scheduler"] = cluster.scheduler();
    running["manager"] = cluster.controllerManager();
    running["apiserver"] = cluster.apiserver();
    running["etcd"] = cluster.etcd();
    await cluster.ready("kube-apiserver");
  });
  after(() => cluster[Symbol.asyncDispose]());

  const leader = async (name: string) =>
    (await cluster.client.get(leases, { namespace: "kube-system", name })).spec?.holderIdentity;

  const scaleTo = async (replicas: number) => {
    await cluster.kubectl(`scale deployment/web --replicas=${replicas}`);
    await cluster.until(async () => {
      const { status } = await cluster.client.get(deployments, { namespace: "default", name: "web" });
      return status?.readyReplicas === replicas && status.replicas === replicas;
    }, `${replicas} replicas are ready`);
  };

  /** As a supervisor does: on a slow machine the others may have been gone for longer than a leader may be without its lease. */
  const revive = () => {
    for (const [name, start] of [
      ["manager", () => cluster.controllerManager()],
      ["scheduler", () => cluster.scheduler()],
    ] as const)
      if (running[name]!.text.includes("leaderelection lost")) running[name] = start();
  };

  test("a deployment becomes ready", async () => {
    // Once nothing keeps pods off the node: the scheduler would write on them that they fit nowhere yet.
    await cluster.until(async () => {
      const { spec, status } = await cluster.client.get(nodes, { name: "node-1" });
      const ready = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
      return ready === true && (spec?.taints ?? []).length === 0;
    }, "the node takes pods");
    await cluster.kubectl("create deployment web --image=nginx --replicas=3");
    assert.match(await cluster.kubectl("rollout status deployment/web --timeout=180s"), /successfully rolled out/);
    assert.match(await cluster.kubectl("get nodes"), /^node-1 +Ready +<none> +\S+ +v1\.36/m);
    // Nobody is led to the API server's own machine.
    await assert.rejects(cluster.kubectl("get --raw /api/v1/nodes/node-1/proxy/healthz"), /address not allowed/);
    const kubelet = `--server=https://127.0.0.1:${cluster.ports.kubelet}`;
    assert.match(await cluster.kubectl(`get --raw /healthz ${kubelet}`), /ok/);
    const { kubeletconfig } = JSON.parse(await cluster.kubectl(`get --raw /configz ${kubelet}`));
    assert.deepEqual(
      [kubeletconfig.port, kubeletconfig.clusterDNS, kubeletconfig.syncFrequency, kubeletconfig.authorization.mode],
      [cluster.ports.kubelet, ["10.96.0.10"], "1m0s", "Webhook"],
    );
  });

  test("writes name upstream's managers", async () => {
    const expected = {
      pods: ["kube-controller-manager", "kubelet"],
      deployments: ["kube-controller-manager", "kubectl-create"],
      "node node-1": ["kube-controller-manager", "kubelet"],
      "lease -n kube-node-lease": ["kubelet"],
      "lease kube-scheduler -n kube-system": ["kube-scheduler"],
    };
    for (const [words, managers] of Object.entries(expected)) {
      const path = "jsonpath={..managedFields[*].manager}";
      await cluster.until(
        async () => {
          const seen = (await cluster.kubectl(`get ${words} -o ${path} --show-managed-fields`)).split(" ");
          assert.deepEqual([...new Set(seen)].sort(), managers);
          return true;
        },
        `${words} are written by ${managers.join(" and ")}`,
      );
    }
  });

  for (const name of ["kube-controller-manager", "kube-scheduler"] as const) {
    test(`${name} shows its health to everybody and its metrics to whom the API server lets`, async () => {
      for (const path of ["/healthz", "/livez", "/readyz"])
        assert.deepEqual(await cluster.get(name, path), [200, "ok"]);
      const [code, text] = await cluster.get(name, "/metrics");
      assert.equal(code, 403);
      assert.match(text, /forbidden: User "system:anonymous" cannot get path "\/metrics"/);
      assert.equal((await cluster.get(name, "/metrics", "admin"))[0], 200);
      assert.equal((await cluster.get(name, "/configz", "admin"))[0], 200);
      assert.equal((await cluster.get(name, "/nothing", "admin"))[0], 404);
    });
  }

  test("a controller manager and a scheduler that are killed are followed by others, and work goes on", async () => {
    const first = { manager: await leader("kube-controller-manager"), scheduler: await leader("kube-scheduler") };
    await Promise.all([running["manager"]!.stop("SIGKILL"), running["scheduler"]!.stop("SIGKILL")]);
    running["manager"] = cluster.controllerManager();
    running["scheduler"] = cluster.scheduler();
    await scaleTo(5);
    assert.notEqual(await leader("kube-controller-manager"), first.manager);
    assert.notEqual(await leader("kube-scheduler"), first.scheduler);
  });

  test("a second controller manager waits, and leads when the first one stops", async () => {
    const second = cluster.start("kube-controller-manager", [
      `--kubeconfig=${cluster.path("admin.kubeconfig")}`,
      "--secure-port=0",
      "--leader-elect-lease-duration=3s",
      "--leader-elect-renew-deadline=2s",
      "--leader-elect-retry-period=500ms",
    ]);
    const before = await leader("kube-controller-manager");
    assert.equal(await running["manager"]!.stop(), 0);
    await cluster.until(async () => (await leader("kube-controller-manager")) !== before, "the second one leads");
    await cluster.until(async () => /Successfully acquired lease/.test(second.text), "the second one says so");
    const events = await cluster.kubectl("get events -n kube-system -o jsonpath={.items[*].message}");
    assert.match(events, /_[0-9a-f-]{36} became leader/);
    running["manager"] = cluster.controllerManager();
    assert.equal(await second.stop(), 0);
  });

  test("an etcd that is killed and comes back has lost nothing that was acknowledged, and all go on", async () => {
    const stop = new AbortController();
    const { clock, random } = nodeWorld();
    const informers = createInformers({ client: cluster.client, clock, random, log: silent });
    const informer = informers.of(configMaps, { namespace: "default" });
    const following = informers.run(stop.signal, () => {});
    const acknowledged: string[] = [];
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        const name = `kept-${i}`;
        try {
          await cluster.client.create(configMaps, { metadata: { namespace: "default", name } });
          acknowledged.push(name);
        } catch {
          await sleep(50);
        }
      }
    })();
    await cluster.until(() => acknowledged.length > 20, "writes are acknowledged");
    await running["etcd"]!.stop("SIGKILL");
    const before = acknowledged.length;
    running["etcd"] = cluster.etcd();
    await cluster.until(() => acknowledged.length > before + 20, "writes are acknowledged again");
    writing = false;
    await writer;
    const { items } = await cluster.client.list(configMaps, { namespace: "default" });
    const kept = new Set(items.map(({ metadata }) => metadata.name));
    assert.deepEqual(
      acknowledged.filter((name) => !kept.has(name)),
      [],
    );
    await cluster.until(
      () => acknowledged.every((name) => informer.get(`default/${name}`) !== undefined),
      "who watches has seen all",
    );
    stop.abort();
    await following;
    revive();
    await scaleTo(2);
  });

  test("a kube-apiserver that is killed and comes back is found again by all others", async () => {
    await running["apiserver"]!.stop("SIGKILL");
    running["apiserver"] = cluster.apiserver();
    await cluster.ready("kube-apiserver");
    revive();
    await scaleTo(4);
  });

  test("all of them end when they are told to: etcd of the signal, as upstream's, the others with exit code 0", async () => {
    for (const name of ["kubelet", "scheduler", "manager", "apiserver", "etcd"])
      assert.equal(await running[name]!.stop(), name === "etcd" ? "SIGTERM" : 0, `${name}\n${running[name]!.text}`);
  });
});

test("envtest's way to start etcd and kube-apiserver", async () => {
  await using cluster = await ComponentProcesses.create();
  const { ports } = cluster;
  const help = cluster.start("etcd", ["--help"]);
  assert.equal(await help.exited, 0);
  assert.match(help.text, /^\s*--unsafe-no-fsync\b/m);
  const url = `http://127.0.0.1:${ports.etcd}`;
  cluster.start("etcd", [
    `--advertise-client-urls=${url}`,
    `--data-dir=${cluster.path("k8s_test_framework")}`,
    `--listen-client-urls=${url}`,
    `--listen-peer-urls=http://127.0.0.1:${ports.spare}`,
    "--unsafe-no-fsync=true",
  ]);
  await cluster.until(async () => (await fetch(`${url}/health`)).status === 200, "etcd is healthy");
  // Its certificates, under its names.
  const { apiserver, ca } = cluster.pki;
  cluster.write("apiserver.crt", apiserver.cert);
  cluster.write("apiserver.key", apiserver.key);
  cluster.write("client-cert-auth-ca.crt", ca.cert);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  cluster.write("sa-signer.key", privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-new",
      "-key",
      cluster.path("sa-signer.key"),
      "-subj",
      "/CN=sa",
      "-days",
      "1",
      "-out",
      cluster.path("sa-signer.crt"),
    ],
    { stdio: "ignore" },
  );
  const server = cluster.start("kube-apiserver", [
    "--allow-privileged=true",
    "--authorization-mode=RBAC",
    "--bind-address=127.0.0.1",
    `--cert-dir=${cluster.dir}`,
    `--client-ca-file=${cluster.path("client-cert-auth-ca.crt")}`,
    "--disable-admission-plugins=ServiceAccount",
    `--etcd-servers=${url}`,
    `--secure-port=${ports["kube-apiserver"]}`,
    `--service-account-issuer=https://127.0.0.1:${ports["kube-apiserver"]}/`,
    `--service-account-key-file=${cluster.path("sa-signer.crt")}`,
    `--service-account-signing-key-file=${cluster.path("sa-signer.key")}`,
    "--service-cluster-ip-range=10.0.0.0/24",
  ]);
  await cluster.until(async () => (await cluster.get("kube-apiserver", "/healthz"))[0] === 200, "anonymous /healthz");
  const made = await cluster.client.create(pods, {
    metadata: { namespace: "default", name: "a" },
    spec: { containers: [{ name: "c", image: "i" }] },
  } as never);
  assert.equal(made.spec.serviceAccountName, undefined);
  const [code, text] = await cluster.get("kube-apiserver", "/api/v1/pods");
  assert.equal(code, 403, text);
  assert.equal(await server.stop(), 0);
});

const genuine = (() => {
  try {
    return execFileSync("etcd", ["--version"], { encoding: "utf8" }).split("\n")[0];
  } catch {
    return undefined;
  }
})();

describe("on a genuine etcd", { skip: genuine === undefined ? "etcd is not installed" : false }, () => {
  let cluster: ComponentProcesses;
  let url: string;
  before(async () => {
    cluster = await ComponentProcesses.create(clients);
    url = `http://127.0.0.1:${cluster.ports.etcd}`;
    const args = [
      `--data-dir=${cluster.path("genuine")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${cluster.ports.spare}`,
    ];
    cluster.start("genuine etcd", args, "etcd");
    await cluster.until(async () => (await fetch(`${url}/health`)).status === 200, "etcd is healthy");
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("kube-apiserver stores, lists and watches there, and finds all of it again", async () => {
    const { client } = cluster;
    let server = cluster.apiserver(url);
    await cluster.ready("kube-apiserver");
    const stop = new AbortController();
    const events: string[] = [];
    const watching = (async () => {
      const watch = client.watch(configMaps, { namespace: "default", resourceVersion: "0", signal: stop.signal });
      for await (const { type, object } of watch) events.push(`${type} ${object.metadata.name}`);
    })().catch(() => {});
    for (let i = 0; i < 20; i++)
      await client.create(configMaps, { metadata: { namespace: "default", name: `c-${i}` }, data: { i: String(i) } });
    await client.delete(configMaps, { namespace: "default", name: "c-0" });
    await cluster.until(() => events.includes("ADDED c-19") && events.includes("DELETED c-0"), "the watch sees all");
    stop.abort();
    await watching;
    await server.stop("SIGKILL");
    server = cluster.apiserver(url);
    await cluster.ready("kube-apiserver");
    const { items } = await client.list(configMaps, { namespace: "default" });
    assert.equal(items.filter(({ metadata }) => metadata.name.startsWith("c-")).length, 19);
    const keys = execFileSync(
      "etcdctl",
      [`--endpoints=${url}`, "get", "--keys-only", "--prefix", "/registry/configmaps/default/c-1"],
      {
        encoding: "utf8",
        env: { ...process.env, ETCDCTL_API: "3" },
      },
    );
    assert.equal(keys.trim().split(/\n+/).length, 11);
    await server.stop();
  });

  test("t8s up --etcd-servers does, too", async () => {
    const name = `components-${randomUUID().slice(0, 8)}`;
    const up = cluster.start("t8s", [
      "up",
      `--name=${name}`,
      `--data-dir=${cluster.path("up")}`,
      `--etcd-servers=${url}`,
      "--runtime=simulated",
      `--port=${cluster.ports["kube-apiserver"]}`,
      "--kubeconfig-merge=false",
    ]);
    await cluster.until(() => up.text.includes("Ready in"), "the cluster is up");
    const read = (file: string) => readFileSync(cluster.path(`up/pki/${file}`), "utf8");
    const client = createClient(
      httpsTransport(nodeWorld(), {
        server: cluster.server,
        ca: read("ca.crt"),
        cert: read("admin.crt"),
        key: read("admin.key"),
      }),
    );
    try {
      const { items } = await client.list(configMaps, { namespace: "default" });
      assert.equal(items.filter(({ metadata }) => metadata.name.startsWith("c-")).length, 19);
      // One process, and yet each component writes under its own name.
      const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
      const spec = { replicas: 1, selector: { matchLabels: { a: "b" } }, template };
      await client.create(deployments, { metadata: { namespace: "default", name: "web" }, spec } as never);
      const managersOf = async (of: typeof pods | typeof nodes) =>
        (await client.list(of as typeof pods)).items.map(({ metadata }) =>
          (metadata.managedFields ?? [])
            .map(({ manager, subresource = "" }) => `${manager} ${subresource}`.trim())
            .join(", "),
        );
      await cluster.until(
        async () => (await managersOf(pods)).includes("kube-controller-manager, kubelet status"),
        "the pod was written by a controller and a kubelet",
      );
      assert.match((await managersOf(nodes))[0]!, /kubelet.*kubelet status/);
    } finally {
      await client.transport.close();
    }
    assert.equal(await up.stop(), 0, up.text);
  });
});

const NODE_ADDRESS = "172.31.21.2";
const LOG_LINKS = "/var/log/containers";

/** The kubelet puts links to all containers' logs where agents look for them: ours go with the test. */
function removeLogLinks(dir: string): void {
  if (!existsSync(LOG_LINKS)) return;
  for (const name of readdirSync(LOG_LINKS))
    if (readlinkSync(`${LOG_LINKS}/${name}`).startsWith(`${dir}/`)) unlinkSync(`${LOG_LINKS}/${name}`);
  if (readdirSync(LOG_LINKS).length === 0) rmdirSync(LOG_LINKS);
}

describe("a node of processes, on a containerd that was there", { skip: noCluster(clients) ?? false }, () => {
  const name = `t8s-components-${process.pid}`;
  let namespace: Namespace;
  let cluster: ComponentProcesses;
  let runtime: ComponentGroup;

  before(async () => {
    namespace = makeNamespace(name);
    namespace.run(
      `ip link add eth0 type veth peer name outside && ip addr add ${NODE_ADDRESS}/24 dev eth0 && ip link set eth0 up && ip link set outside up && ip route add default via 172.31.21.1 dev eth0`,
    );
    cluster = await ComponentProcesses.create(clients, { enter: namespace.enter, nodeAddress: NODE_ADDRESS });
    // The runtime and its network are an administrator's here: the kubelet finds a socket.
    runtime = new ComponentGroup();
    const world = nodeWorld();
    const host = hostIn(namespace, world.host);
    const containerd = createContainerd(
      {
        dir: cluster.path("containerd"),
        cniConfDir: cluster.path("cni"),
        cgroupRoot: `/${name}`,
      },
      { ...world, host, log: silent },
    );
    await runtime.start(containerd);
    const bridge = { type: "bridge", bridge: "cni0", isGateway: true, ipMasq: true, hairpinMode: true };
    const ipam = { type: "host-local", ranges: [[{ subnet: "10.244.0.0/24" }]], dataDir: cluster.path("ipam") };
    cluster.write(
      "cni/10-bridge.conflist",
      JSON.stringify({ cniVersion: "1.0.0", name: "components", plugins: [{ ...bridge, ipam }] }),
    );
    const archive = cluster.path("images.tar");
    await world.fs.writeFile(archive, archiveOf(webImage("one\n", "docker.io/library/web:1")));
    await importImages({ host }, containerd.socket, archive);
    cluster.etcd();
    cluster.apiserver();
    cluster.controllerManager();
    cluster.scheduler();
    cluster.kubelet(
      { failSwapOn: false, cgroupRoot: `/${name}`, podLogsDir: cluster.path("log") },
      `--container-runtime-endpoint=unix://${containerd.socket}`,
      `--node-ip=${NODE_ADDRESS}`,
    );
    cluster.start("kube-proxy", [
      `--kubeconfig=${cluster.path("proxy.kubeconfig")}`,
      "--hostname-override=node-1",
      "--cluster-cidr=10.244.0.0/16",
    ]);
    await cluster.until(async () => (await cluster.kubectl("get --raw /readyz")) === "ok", "the API server is ready");
  });
  after(async () => {
    await cluster?.kubectl("delete deployment --all");
    await cluster?.kubectl("delete pods --all --grace-period=1 --timeout=180s");
    await cluster?.stopAll();
    await runtime?.[Symbol.asyncDispose]();
    if (cluster !== undefined) await removeMounts(nodeWorld(), cluster.path("kubelet"));
    removeLogLinks(cluster?.dir ?? "/nowhere");
    await cluster?.[Symbol.asyncDispose]();
    namespace?.[Symbol.dispose]();
  });

  test("a deployment runs in containers, and its service answers on the node's port", async () => {
    await cluster.kubectl("create deployment web --image=web:1 --replicas=2 --port=80");
    assert.match(await cluster.kubectl("rollout status deployment/web --timeout=180s"), /successfully rolled out/);
    await cluster.kubectl("expose deployment web --port=80 --type=NodePort");
    const port = await cluster.kubectl("get service web -o jsonpath={.spec.ports[0].nodePort}");
    await cluster.until(
      () => namespace.run(`curl -sS -m 10 http://${NODE_ADDRESS}:${port}/`) === "one\n",
      "the service answers",
    );
    assert.equal(namespace.run("curl -sS http://127.0.0.1:10249/proxyMode"), "iptables");
    assert.match(namespace.run("curl -sS http://127.0.0.1:10249/configz"), /"clusterCIDR":"10.244.0.0\/16"/);
    assert.match(namespace.run("curl -sS http://127.0.0.1:10256/healthz"), /"healthy":true/);
    assert.match(await cluster.kubectl("exec deploy/web -- /bin/busybox hostname"), /^web-/);
  });

  test("logs of a container that has not started are refused in the kubelet's words", async () => {
    await cluster.kubectl("run none --image=localhost/none:1 --image-pull-policy=Never");
    await cluster.until(
      async () => (await cluster.kubectl("get pod none")).includes("ErrImageNeverPull"),
      "the image is not pulled",
    );
    await assert.rejects(cluster.kubectl("logs none"), (error: Error) =>
      error.message.includes(
        'Error from server (BadRequest): container "none" in pod "none" is waiting to start: ErrImageNeverPull',
      ),
    );
  });
});
