/**
 * A whole cluster in one process: which components it has, in which order they start, and as which user each of them acts. The simulator calls this
 * same function with a simulated world. Components meet only in the API server; in process they call it without serialization, as the users that are
 * set here.
 */
import { isTrue } from "../machinery/meta/conditions.ts";
import { assert } from "../base/assert.ts";
import type { Component } from "../base/component-group.ts";
import { ComponentGroup } from "../base/component-group.ts";
import { type ApiServer, createApiServer, type UserInfo } from "../apiserver/server.ts";
import { nodes } from "../api/core/v1/node/resource.ts";
import { clusterRoleBindings } from "../api/rbac/v1/clusterrolebinding/resource.ts";
import { clusterRoles } from "../api/rbac/v1/clusterrole/resource.ts";
import { createClient } from "../client/create-client.ts";
import type { Client } from "../client/client.ts";
import { createEventBroadcaster } from "../client/event-recorder.ts";
import { createInformers } from "../client/informer/informers.ts";
import type { Transport } from "../client/transport.ts";
import { createControllerManager } from "../controllers/manager.ts";
import { controllerUser, serviceAccount, user } from "./component-users.ts";
import { createDns } from "../dns/dns.ts";
import { createEtcd, type EtcdServer } from "../etcd/server.ts";
import { createNodeRoutes } from "../kubelet/network/node-routes.ts";
import { removeMounts } from "../kubelet/runtimes/containerd/containerd.ts";
import type { SimulatedRuntime } from "../kubelet/runtimes/simulated/simulated.ts";
import { hasReason } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { connectEtcd } from "../protocols/etcd/connect.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { createScheduler } from "../scheduler/scheduler.ts";
import type { Address } from "../world/net.ts";
import { pause } from "../world/time.ts";
import type { World } from "../world/world.ts";
import { describeFields } from "./descriptions.ts";
import { inOrder } from "./in-order.ts";
import { createMachines } from "./machines/machines.ts";
import { lanComponent } from "./machines/lan.ts";
import type { Lan } from "./machines/plan.ts";
import { CLUSTER_DOMAIN, cgroupRootOf, createNode, createNodeProxy, type NodeDependencies } from "./node.ts";
import type { KeyPair, Pki } from "./pki.ts";
import type { Progress } from "./progress.ts";
import { together } from "./together.ts";
import { userAgent } from "./version.ts";

export interface ClusterOptions {
  readonly dataDir: string;
  readonly nodes: readonly string[];
  readonly runtime: "containerd" | "process" | "simulated";
  /** HTTPS for the API server and the kubelets; without it the cluster lives in this process alone. */
  readonly serving?: { readonly port: number; readonly pki: Pki };
  /** Signs service-account tokens. */
  readonly serviceAccountKey: string;
  /** What pods get as the API server's authority where there is no PKI. */
  readonly rootCa?: string;
  readonly advertiseAddress: string;
  readonly clusterCidr: string;
  readonly serviceRange: string;
  readonly etcdServers: readonly string[];
  readonly proxyMode: "iptables" | "none";
  readonly dns: boolean;
  readonly nameServers: readonly Address[];
  readonly containerRuntimeEndpoint: string;
  readonly staticPodPath: string;
  readonly staticPodUrl: string;
  /** The first kubelet's port; the others take the next ones. */
  readonly kubeletPort: number;
  /** Nodes that are machines of their own, apart from this process. */
  readonly machines?: { readonly lan: Lan; readonly logArgs: readonly string[] };
  /** How long a node may be silent before it counts as lost. */
  readonly nodeMonitorGracePeriodMs?: number;
}

export interface ClusterDependencies {
  readonly world: World;
  readonly log: Logger;
  readonly progress: Progress;
  readonly seams?: Seams;
}

/** Where the parts of a cluster touch. The simulator takes it apart here: a part dies and is made again, a call is late or never arrives. */
export interface Seams {
  /** A part, made in the world that it may touch. */
  part(name: string, make: (world: World) => Component | Promise<Component>): Promise<Component>;
  /** The calls of a part as `user`; `connect` reaches the API server that there is at the moment. */
  transport(user: UserInfo, connect: () => Transport, world: World): Transport;
  /** As `transport`, from the API server to etcd. */
  etcd(connect: () => EtcdClient, world: World): EtcdClient;
  /** Sees each simulated runtime as it is made. */
  runtime?(nodeName: string, runtime: SimulatedRuntime): void;
}

export interface Cluster {
  /** The ones there are at the moment. */
  readonly etcd: EtcdClient;
  readonly apiserver: ApiServer;
  /** The administrator, in process. */
  readonly client: Client;
}

const ADMIN = { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] };
const DNS_USER = serviceAccount("kube-dns");

/** Runs until `signal` aborts. `onReady` is called when every component serves; what is running then is its argument. */
export async function runCluster(
  options: ClusterOptions,
  deps: ClusterDependencies,
  signal: AbortSignal,
  onReady: (cluster: Cluster) => void | Promise<void>,
): Promise<void> {
  const { world, log, progress } = deps;
  // Disposed last: volumes that kubelets mounted stay mounted until their pods are gone.
  await using _volumes = { [Symbol.asyncDispose]: () => removeMounts(world, `${options.dataDir}/nodes`) };
  await using group = new ComponentGroup();
  const seams: Seams = deps.seams ?? {
    part: async (_name, make) => make(world),
    transport: (_user, connect) => connect(),
    etcd: (connect) => connect(),
  };
  // Before what listens on its address, and so taken away after it.
  if (options.machines !== undefined) await group.start(lanComponent(options.machines.lan, world), signal);
  let etcd: () => EtcdClient;
  if (options.etcdServers.length > 0) {
    const remote = await connectEtcd(world, { endpoints: options.etcdServers });
    etcd = () => remote;
  } else {
    let member: EtcdServer;
    const part = await seams.part("etcd", (world) => (member = etcdMember(options, { ...deps, world })));
    etcd = () => member.client();
    await progress.step("etcd", () => group.start(part, signal));
  }
  let apiserver!: ApiServer;
  const server = await seams.part(
    "kube-apiserver",
    (world) => (apiserver = apiServer(options, { ...deps, world }, seams.etcd(etcd, world))),
  );
  await progress.step("kube-apiserver", () => group.start(server, signal));

  const clientOf = (world: World, user: UserInfo, agent: string) =>
    createClient(seams.transport(user, () => apiserver.transport(user, agent), world));
  const part = (name: string, make: (deps: PartDependencies) => Component | Promise<Component>) =>
    seams.part(name, (world) => make({ ...deps, world, clientOf: (user, agent) => clientOf(world, user, agent) }));
  const admin = clientOf(world, ADMIN, userAgent(world.host, "t8s"));
  const manager = await part("kube-controller-manager", (deps) => controllerManager(options, deps));
  await progress.step("kube-controller-manager", () => group.start(manager, signal));
  const scheduling = await part("kube-scheduler", scheduler);
  await progress.step("kube-scheduler", () => group.start(scheduling, signal));

  const startNodes = async () => {
    // Simulated nodes share an address, and so a certificate: hundreds of key pairs would take longer than all else.
    const shared =
      options.runtime === "simulated"
        ? await options.serving?.pki.node("simulated", [options.advertiseAddress])
        : undefined;
    // Nodes start side by side in bunches: one after the other would take minutes for hundreds of them.
    for (let first = 0; first < options.nodes.length; first += 50) {
      await Promise.all(
        options.nodes
          .slice(first, first + 50)
          .map(async (name, i) =>
            group.start(
              await part(`kubelet ${name}`, (deps) => node(options, deps, name, first + i, shared?.server)),
              signal,
            ),
          ),
      );
    }
  };
  // What follows needs the API alone and waits for other programs most of the time.
  await sideBySide([
    progress.step(
      options.nodes.length === 1
        ? `kubelet (${options.runtime})`
        : `${options.nodes.length} kubelets (${options.runtime})`,
      async () => {
        if (options.machines !== undefined)
          await group.start(await part("machines", (deps) => machines(options, deps)), signal);
        else await startNodes();
        await Promise.race([nodesReady(admin, options.nodes.length, world, signal), group.wait(signal)]);
      },
    ),
    options.proxyMode !== "none" &&
      progress.step(`kube-proxy (${options.proxyMode})`, async () =>
        group.start(await part("kube-proxy", (deps) => proxy(options, deps)), signal),
      ),
    options.dns &&
      progress.step("dns", async () => {
        await allowDns(admin);
        await group.start(await part("dns", (deps) => dns(options, deps)), signal);
      }),
  ]);
  const cluster: Cluster = {
    get etcd() {
      return etcd();
    },
    get apiserver() {
      return apiserver;
    },
    client: admin,
  };
  if (!signal.aborted) await onReady(cluster);
  await group.wait(signal);
  log.info("Stopping");
}

/** Settles when all have: what still starts must not outlive a failure beside it. */
async function sideBySide(steps: readonly (Promise<void> | false)[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) if (result.status === "rejected") throw result.reason;
}

interface PartDependencies extends ClusterDependencies {
  /** A client in this process, as `user`; `agent` names the program. */
  clientOf(user: UserInfo, agent: string): Client;
}

const etcdMember = (options: ClusterOptions, { world, log }: ClusterDependencies): EtcdServer =>
  createEtcd(
    { name: "default", dataDir: `${options.dataDir}/etcd` },
    { ...world, log: log.with({ component: "etcd" }), metrics: new Metrics({ stability: false }) },
  );

function apiServer(options: ClusterOptions, { world, log }: ClusterDependencies, etcd: EtcdClient): ApiServer {
  const { serving } = options;
  return createApiServer(
    {
      ...(serving && {
        secure: {
          bindAddress: "0.0.0.0",
          port: serving.port,
          cert: serving.pki.apiserver.cert,
          key: serving.pki.apiserver.key,
          clientCa: serving.pki.ca.cert,
        },
        // As kubeadm has it: extension servers believe our front-proxy client, and so do we.
        proxyClient: serving.pki.frontProxyClient,
        requestHeader: {
          clientCa: serving.pki.frontProxyCa.cert,
          allowedNames: ["front-proxy-client"],
          usernameHeaders: ["X-Remote-User"],
          uidHeaders: ["X-Remote-Uid"],
          groupHeaders: ["X-Remote-Group"],
          extraHeadersPrefixes: ["X-Remote-Extra-"],
        },
        kubelet: {
          tls: {
            ca: serving.pki.ca.cert,
            cert: serving.pki.apiserverKubeletClient.cert,
            key: serving.pki.apiserverKubeletClient.key,
          },
        },
      }),
      advertiseAddress: options.advertiseAddress,
      serviceAccount: { issuer: "https://kubernetes.default.svc.cluster.local", signingKey: options.serviceAccountKey },
      serviceClusterIpRange: options.serviceRange,
      // As kubeadm has it: a kubelet touches nothing but its own node and the pods on it.
      enableAdmissionPlugins: ["NodeRestriction"],
      describe: describeFields,
      partsHere: ["controller-manager", "scheduler"],
    },
    { ...world, etcd, log: log.with({ component: "kube-apiserver" }), metrics: new Metrics() },
  );
}

function controllerManager(options: ClusterOptions, { world, log, clientOf }: PartDependencies): Component {
  const { serving } = options;
  const agent = userAgent(world.host, "kube-controller-manager");
  return createControllerManager({
    world: { clock: world.clock, random: world.random.fork("kube-controller-manager") },
    client: clientOf(user("system:kube-controller-manager"), agent),
    // Each controller is its own service account, with the rights that the bootstrap policy gives it and no more.
    clientFor: (controller) => {
      const user = controllerUser(controller);
      return clientOf(user, `${agent}/${user.name}`);
    },
    log: log.with({ component: "kube-controller-manager" }),
    metrics: new Metrics(),
    options: {
      "cluster-cidr": options.clusterCidr,
      "service-cluster-ip-range": options.serviceRange,
      "allocate-node-cidrs": true,
      "cluster-name": "kubernetes",
      ...(options.nodeMonitorGracePeriodMs !== undefined && {
        "node-monitor-grace-period": options.nodeMonitorGracePeriodMs,
      }),
    },
    ...(options.rootCa !== undefined && { rootCa: options.rootCa }),
    ...(serving && { rootCa: serving.pki.ca.cert, signingCa: serving.pki.ca }),
    serviceAccountKey: options.serviceAccountKey,
  });
}

function scheduler({ world, log, clientOf }: PartDependencies): Component {
  const deps = {
    clock: world.clock,
    random: world.random.fork("kube-scheduler"),
    log: log.with({ component: "kube-scheduler" }),
    client: clientOf(user("system:kube-scheduler"), userAgent(world.host, "kube-scheduler")),
  };
  const broadcaster = createEventBroadcaster(deps);
  const informers = createInformers(deps);
  const inner = createScheduler({
    ...deps,
    informers,
    metrics: new Metrics(),
    events: broadcaster.recorder("default-scheduler"),
    options: {},
  });
  return together("kube-scheduler", inner, broadcaster, informers);
}

/** A node in this process. */
async function node(
  options: ClusterOptions,
  deps: PartDependencies,
  name: string,
  index: number,
  sharedCertificate: KeyPair | undefined,
): Promise<Component> {
  const { serving } = options;
  const tls = sharedCertificate ?? (serving && (await serving.pki.node(name, [options.advertiseAddress])).server);
  return createNode(
    {
      name,
      address: options.advertiseAddress,
      dir: `${options.dataDir}/nodes/${name}`,
      machineDir: options.dataDir,
      cgroupRoot: cgroupRootOf(name),
      runtime: options.runtime,
      containerRuntimeEndpoint: options.containerRuntimeEndpoint,
      ...(tls &&
        serving && {
          serving: {
            port: options.kubeletPort === 0 || sharedCertificate ? 0 : options.kubeletPort + index,
            tls,
            clientCa: serving.pki.ca.cert,
          },
        }),
      clusterCidr: options.clusterCidr,
      clusterDns: dnsAddress(options.serviceRange),
      staticPodPath: options.staticPodPath,
      staticPodUrl: options.staticPodUrl,
    },
    nodeDependencies(options.nodes.length > 1 ? { ...deps, log: deps.log.with({ node: name }) } : deps, name),
  );
}

/** Nodes outside this process, and the way to their pods from here. */
function machines(options: ClusterOptions, deps: PartDependencies): Component {
  const { serving } = options;
  const { lan, logArgs } = options.machines!;
  assert(serving !== undefined, "machines reach the API server over HTTPS");
  const { world } = deps;
  const log = deps.log.with({ component: "machines" });
  const nodes = createMachines(
    {
      lan,
      server: `https://${options.advertiseAddress}:${serving.port}`,
      pki: serving.pki,
      args: [
        `--cluster-cidr=${options.clusterCidr}`,
        `--cluster-dns=${dnsAddress(options.serviceRange)}`,
        `--proxy-mode=${options.proxyMode}`,
        `--pod-manifest-path=${options.staticPodPath}`,
        `--manifest-url=${options.staticPodUrl}`,
        ...logArgs,
      ],
    },
    { world, log },
  );
  const client = deps.clientOf(user("system:kube-proxy"), userAgent(world.host, "kube-proxy"));
  const informers = createInformers({ clock: world.clock, random: world.random.fork("node-routes"), log, client });
  const routes = createNodeRoutes({ nodeName: undefined }, { host: world.host, clock: world.clock, informers, log });
  return inOrder("machines", [nodes, together("node-routes", routes, undefined, informers)]);
}

/** Who the programs of a node are where they live in this process. */
function nodeDependencies({ world, log, seams, clientOf }: PartDependencies, nodeName: string): NodeDependencies {
  return {
    world,
    log,
    onSimulated: (runtime) => seams?.runtime?.(nodeName, runtime),
    clientOf: (program) =>
      clientOf(
        program === "kubelet" ? user(`system:node:${nodeName}`, "system:nodes") : user("system:kube-proxy"),
        userAgent(world.host, program),
      ),
  };
}

function proxy(options: ClusterOptions, deps: PartDependencies): Component {
  const { proxyMode: mode, clusterCidr, advertiseAddress: address } = options;
  // Where the nodes are machines of their own, this one still needs their services: the API server's webhooks are among them.
  const nodeName = options.machines === undefined ? options.nodes[0]! : deps.world.host.hostname.toLowerCase();
  return createNodeProxy({ nodeName, address, mode, clusterCidr }, nodeDependencies(deps, nodeName));
}

function dns(options: ClusterOptions, { world, log: parent, clientOf }: PartDependencies): Component {
  const client = clientOf(DNS_USER, userAgent(world.host, "dns"));
  const log = parent.with({ component: "dns" });
  const base = { clock: world.clock, random: world.random.fork("dns"), log, client };
  const informers = createInformers(base);
  const inner = createDns(
    {
      clusterDomain: CLUSTER_DOMAIN,
      clusterIp: dnsAddress(options.serviceRange),
      host: options.advertiseAddress,
      port: 0,
      upstreams: options.nameServers,
    },
    { ...base, net: world.net, informers, metrics: new Metrics() },
  );
  return together("dns", inner, undefined, informers);
}

/** The tenth address of the service range: 10.96.0.10. */
function dnsAddress(serviceRange: string): string {
  const [a, b, c, d] = serviceRange.split("/")[0]!.split(".").map(Number);
  return `${a}.${b}.${c}.${(d ?? 0) + 10}`;
}

/** What DNS reads and writes, as its add-on's manifests would grant it. */
async function allowDns(admin: Client): Promise<void> {
  const metadata = { name: "system:typernetes-dns", labels: { "kubernetes.io/bootstrapping": "typernetes-defaults" } };
  const ignoreExisting = (error: unknown) => {
    if (!hasReason(error, "AlreadyExists")) throw error;
  };
  await admin
    .create(clusterRoles, {
      metadata,
      rules: [
        { apiGroups: [""], resources: ["services", "namespaces"], verbs: ["list", "watch", "create", "get"] },
        {
          apiGroups: ["discovery.k8s.io"],
          resources: ["endpointslices"],
          verbs: ["list", "watch", "create", "get", "patch", "update"],
        },
      ],
    })
    .catch(ignoreExisting);
  await admin
    .create(clusterRoleBindings, {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name },
      subjects: [{ kind: "ServiceAccount", namespace: "kube-system", name: "kube-dns" }],
    })
    .catch(ignoreExisting);
}

/** Settles when `count` nodes are Ready. */
async function nodesReady(client: Client, count: number, { clock }: World, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { items } = await client.list(nodes, { resourceVersion: "0" });
    const ready = items.filter(({ status }) => isTrue(status, "Ready"));
    if (ready.length >= count) return;
    await pause(clock, count > 50 ? 200 : 20, signal);
  }
}
