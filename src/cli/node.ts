/**
 * What runs on one node: the container runtime, the pod network, the kubelet and kube-proxy. A machine of its own runs the same as a node within the
 * cluster's process; only the way to the API server differs.
 */
import type { Component } from "../base/component-group.ts";
import type { Client } from "../client/client.ts";
import { createEventBroadcaster } from "../client/event-recorder.ts";
import { createInformers } from "../client/informer/informers.ts";
import { createKubelet } from "../kubelet/kubelet.ts";
import { createNodeNetwork } from "../kubelet/network/node-network.ts";
import { createNodeRoutes } from "../kubelet/network/node-routes.ts";
import { createContainerd } from "../kubelet/runtimes/containerd/containerd.ts";
import { createProcessRuntime } from "../kubelet/runtimes/process/process.ts";
import type { Runtime } from "../kubelet/runtimes/runtime.ts";
import { createSimulatedRuntime } from "../kubelet/runtimes/simulated/index.ts";
import type { SimulatedRuntime } from "../kubelet/runtimes/simulated/simulated.ts";
import type { Logger } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { backends } from "../proxy/backends/index.ts";
import { createProxy } from "../proxy/proxy.ts";
import type { World } from "../world/world.ts";
import { inOrder } from "./in-order.ts";
import type { KeyPair } from "./pki.ts";
import { together } from "./together.ts";

export interface NodeOptions {
  readonly name: string;
  readonly address: string;
  /** The kubelet's folder. */
  readonly dir: string;
  /** What the runtime and its network keep on this machine. */
  readonly machineDir: string;
  readonly cgroupRoot: string;
  readonly runtime: "containerd" | "process" | "simulated";
  readonly containerRuntimeEndpoint: string;
  /** HTTPS for the API server's calls; without it the kubelet serves nothing. */
  readonly serving?: { readonly port: number; readonly tls: KeyPair; readonly clientCa: string };
  readonly clusterCidr: string;
  readonly clusterDns: string;
  readonly staticPodPath: string;
  readonly staticPodUrl: string;
}

export interface NodeDependencies {
  readonly world: World;
  readonly log: Logger;
  clientOf(program: "kubelet" | "kube-proxy"): Client;
  /** Sees a simulated runtime as it is made. */
  onSimulated?(runtime: SimulatedRuntime): void;
}

export const CLUSTER_DOMAIN = "cluster.local";

export function createNode(options: NodeOptions, deps: NodeDependencies): Component {
  const { world } = deps;
  const { name, dir, serving } = options;
  const client = deps.clientOf("kubelet");
  const log = deps.log.with({ component: "kubelet" });
  const base = { clock: world.clock, random: world.random.fork(`kubelet/${name}`), log, client };
  const broadcaster = createEventBroadcaster(base);
  const informers = createInformers(base);
  const [before, runtime] = runtimeOf(options, deps, log);
  const kubelet = createKubelet(
    {
      nodeName: name,
      nodeIPs: [options.address],
      rootDir: dir,
      podLogsDir: `${dir}/log/pods`,
      containerLogsDir: `${dir}/log/containers`,
      ...serving,
      healthzPort: 0,
      clusterDns: [options.clusterDns],
      clusterDomain: CLUSTER_DOMAIN,
      cgroupRoot: options.cgroupRoot,
      // Its disk is the machine's, which others fill; and images that were loaded come from nowhere again.
      ...(options.runtime !== "simulated" && {
        evictionHard: { "memory.available": "100Mi" },
        imageGcHighPercent: 100,
      }),
      ...(options.staticPodPath !== "" && { staticPodPath: options.staticPodPath }),
      ...(options.staticPodUrl !== "" && { staticPodUrl: options.staticPodUrl }),
      ...(options.runtime === "simulated" && {
        capacity: { cpu: "32", memory: "256Gi", pods: "110", "ephemeral-storage": "100Gi" },
      }),
    },
    {
      world: { ...world, random: base.random },
      client,
      log,
      informers,
      runtime,
      metrics: new Metrics(),
      events: broadcaster.recorder("kubelet", name),
    },
  );
  return inOrder(`node ${name}`, [
    // They stop in reverse: a runtime that stops its pods still needs the network's configuration to take their links and ports away.
    ...nodeNetwork(options, deps),
    ...before,
    together(`kubelet ${name}`, kubelet, broadcaster, informers),
  ]);
}

/** The pod network of a node with containers of its own. A kubelet may read no node but its own, so this reads as kube-proxy does. */
function nodeNetwork(options: NodeOptions, { world, log: parent, clientOf }: NodeDependencies): readonly Component[] {
  if (options.runtime !== "containerd") return [];
  const client = clientOf("kube-proxy");
  const log = parent.with({ component: "node-network" });
  const informers = createInformers({ clock: world.clock, random: world.random.fork("node-network"), log, client });
  const deps = { fs: world.fs, host: world.host, clock: world.clock, informers, log };
  const network = createNodeNetwork(
    {
      nodeName: options.name,
      clusterCidr: options.clusterCidr,
      bridge: "cni0",
      confDir: `${options.machineDir}/cni/conf`,
      stateDir: `${options.machineDir}/cni/state`,
    },
    deps,
  );
  const routes = createNodeRoutes({ nodeName: options.name }, deps);
  return [together("node-network", inOrder("node-network", [network, routes]), undefined, informers)];
}

function runtimeOf(
  options: NodeOptions,
  { world, onSimulated }: NodeDependencies,
  log: Logger,
): readonly [readonly Component[], Runtime] {
  const { machineDir, cgroupRoot } = options;
  switch (options.runtime) {
    case "containerd": {
      const containerd = createContainerd(containerdOptions(machineDir, cgroupRoot, options.containerRuntimeEndpoint), {
        ...world,
        log: log.with({ component: "containerd" }),
      });
      return [[containerd], containerd.runtime];
    }
    case "process": {
      const process = createProcessRuntime(
        {
          dir: `${options.dir}/process`,
          imageDir: `${machineDir}/images`,
          address: options.address,
          clusterCidr: options.clusterCidr,
        },
        { ...world, log },
      );
      return [[process], process.runtime];
    }
    case "simulated": {
      const own = { clock: world.clock, random: world.random.fork(`runtime/${options.name}`) };
      const runtime = createSimulatedRuntime(own);
      onSimulated?.(runtime.simulation);
      return [[], runtime];
    }
  }
}

export function containerdOptions(machineDir: string, cgroupRoot: string, endpoint: string) {
  return {
    dir: `${machineDir}/containerd`,
    cniConfDir: `${machineDir}/cni/conf`,
    cgroupRoot,
    ...(endpoint !== "" && { endpoint }),
  };
}

/** Nodes of one machine share its cgroups, so each has a root of its own. */
export const cgroupRootOf = (nodeName: string): string => `/t8s-${nodeName}`;

export interface NodeProxyOptions {
  readonly nodeName: string;
  readonly address: string;
  readonly mode: string;
  readonly clusterCidr: string;
}

export function createNodeProxy(
  options: NodeProxyOptions,
  { world, log: parent, clientOf }: NodeDependencies,
): Component {
  const client = clientOf("kube-proxy");
  const log = parent.with({ component: "kube-proxy" });
  const base = { clock: world.clock, random: world.random.fork("kube-proxy"), log, client };
  const informers = createInformers(base);
  const inner = createProxy(
    {
      nodeName: options.nodeName,
      family: 4,
      minSyncPeriodMs: 1000,
      syncPeriodMs: 30_000,
      healthzBindAddress: "0.0.0.0:10256",
      metricsBindAddress: "127.0.0.1:10249",
      cleanupOnExit: true,
    },
    {
      ...base,
      net: world.net,
      host: world.host,
      informers,
      backend: proxyBackend(options, world, log),
      metrics: new Metrics(),
    },
  );
  return together("kube-proxy", inner, undefined, informers);
}

export function proxyBackend(
  options: Pick<NodeProxyOptions, "mode" | "clusterCidr" | "address">,
  world: World,
  log: Logger,
) {
  return backends[options.mode]!(
    world,
    {
      family: 4,
      clusterCidr: options.clusterCidr,
      masqueradeAll: false,
      masqueradeBit: 14,
      localhostNodePorts: true,
      nodePortIps: [],
      nodeIps: [options.address],
      randomFully: true,
      nfacct: false,
      conntrackTcpLiberal: false,
    },
    log,
  );
}
