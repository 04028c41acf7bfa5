/** Turns the flags of `kube-proxy` and its configuration file into a proxy. Upstream: cmd/kube-proxy/app, pkg/proxy/apis/config */
import { isIP } from "node:net";
import { stringify } from "yaml";
import { nodes } from "../../api/core/v1/node/resource.ts";
import type { Client } from "../../client/client.ts";
import { createClient } from "../../client/create-client.ts";
import { httpsTransport } from "../../client/https.ts";
import { createInformers } from "../../client/informer/informers.ts";
import { hasReason } from "../../machinery/status.ts";
import { backends } from "../../proxy/backends/index.ts";
import { createProxy } from "../../proxy/proxy.ts";
import { pause } from "../../world/time.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import { kubeProxyFlags } from "../flags/kube-proxy.ts";
import { together } from "../together.ts";
import { type Document, readDocument, toDocument, withFile } from "./config-file.ts";
import { connection } from "./connection.ts";
import { featureGates } from "./feature-gates.ts";
import { closing, type Make, type Process } from "./process.ts";

type Options = Values<typeof kubeProxyFlags>;

/** Flags by their fields in a KubeProxyConfiguration. */
const FIELDS = {
  kubeconfig: "clientConnection.kubeconfig",
  "hostname-override": "hostnameOverride",
  "proxy-mode": "mode",
  "cluster-cidr": "clusterCIDR",
  "bind-address": "bindAddress",
  "bind-address-hard-fail": "bindAddressHardFail",
  "healthz-bind-address": "healthzBindAddress",
  "metrics-bind-address": "metricsBindAddress",
  "iptables-min-sync-period": "iptables.minSyncPeriod",
  "iptables-sync-period": "iptables.syncPeriod",
  "iptables-masquerade-bit": "iptables.masqueradeBit",
  "iptables-localhost-nodeports": "iptables.localhostNodePorts",
  "masquerade-all": "iptables.masqueradeAll",
  "conntrack-tcp-be-liberal": "conntrack.tcpBeLiberal",
  "detect-local-mode": "detectLocalMode",
  "nodeport-addresses": "nodePortAddresses",
  "feature-gates": "featureGates",
} as const;

const NODE_WAIT_MS = 30_000;

export const kubeProxy: Make<typeof kubeProxyFlags> = async (process) => {
  const { world, random, log, metrics } = process;
  const document = await readDocument(
    world.fs,
    process.values.config,
    "KubeProxyConfiguration",
    "kubeproxy.config.k8s.io/v1alpha1",
  );
  const values = withFile(kubeProxyFlags, process, document, FIELDS);
  featureGates(values["feature-gates"]);
  const mode = values["proxy-mode"] || "iptables";
  const factory = backends[mode];
  if (factory === undefined)
    throw new CommandError(
      `unsupported proxy mode ${JSON.stringify(mode)}: this version has ${Object.keys(backends).join(", ")}`,
    );
  if (!["", "ClusterCIDR"].includes(values["detect-local-mode"]))
    throw new CommandError(`--detect-local-mode ${values["detect-local-mode"]} is not supported, only ClusterCIDR`);
  if (values["write-config-to"] !== "") {
    await world.fs.writeFile(values["write-config-to"], stringify(writtenConfiguration(values, document)));
    return "done";
  }
  const nodePorts = values["nodeport-addresses"];
  const render = {
    family: 4 as const,
    clusterCidr: values["cluster-cidr"].split(",").find((cidr) => cidr.includes(".")),
    masqueradeAll: values["masquerade-all"],
    masqueradeBit: values["iptables-masquerade-bit"],
    localhostNodePorts: values["iptables-localhost-nodeports"],
    randomFully: true,
    nfacct: false,
    conntrackTcpLiberal: values["conntrack-tcp-be-liberal"],
  };
  if (values.cleanup) {
    await factory(world, { ...render, nodePortIps: [], nodeIps: [] }, log).cleanup();
    return "done";
  }
  const nodeName = (values["hostname-override"] || world.host.hostname).trim().toLowerCase();
  const client = createClient(httpsTransport(world, await connection(world, values, process.userAgent)));
  const nodeIps = await addressesOf(client, nodeName, process);
  const backend = factory(
    world,
    { ...render, nodePortIps: nodePorts.includes("primary") ? nodeIps : addressesIn(world, nodePorts), nodeIps },
    log,
  );
  const base = { clock: world.clock, random, log, client };
  const informers = createInformers(base);
  const proxy = createProxy(
    {
      nodeName,
      family: 4,
      minSyncPeriodMs: values["iptables-min-sync-period"],
      syncPeriodMs: values["iptables-sync-period"],
      healthzBindAddress: withPort(values["healthz-bind-address"], 10256),
      metricsBindAddress: withPort(values["metrics-bind-address"], 10249),
      // As upstream: services go on being served while their proxy is exchanged; --cleanup takes the rules away.
      cleanupOnExit: false,
      configz: writtenConfiguration({ ...values, "proxy-mode": mode }, document),
    },
    { ...base, net: world.net, host: world.host, informers, backend, metrics },
  );
  return [closing(together("kube-proxy", proxy, undefined, informers), [client.transport])];
};

/** The node's own addresses, once it is there; the loopback address where it doesn't come. */
async function addressesOf(
  client: Client,
  name: string,
  { world, log, signal }: Process<typeof kubeProxyFlags>,
): Promise<readonly string[]> {
  const until = world.clock.monotonic() + NODE_WAIT_MS;
  while (!signal.aborted && world.clock.monotonic() < until) {
    try {
      const node = await client.get(nodes, { name }, { signal });
      const found = (node.status?.addresses ?? [])
        .filter(({ type, address }) => type === "InternalIP" && isIP(address) === 4)
        .map(({ address }) => address);
      if (found.length > 0) return found;
    } catch (error) {
      if (signal.aborted) break;
      if (!hasReason(error, "NotFound")) log.error("Failed to retrieve node info", error);
    }
    await pause(world.clock, 1000, signal);
  }
  log.info("Can't determine this node's IP, assuming loopback");
  return ["127.0.0.1"];
}

/** The machine's IPv4 addresses within the ranges; none for all. */
function addressesIn({ host }: Process<typeof kubeProxyFlags>["world"], cidrs: readonly string[]): readonly string[] {
  if (cidrs.length === 0 || cidrs.some((cidr) => cidr.endsWith("/0"))) return [];
  const number = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return host
    .interfaces()
    .filter(({ family }) => family === 4)
    .map(({ address }) => address)
    .filter((address) =>
      cidrs.some((cidr) => {
        const [base = "", length = "32"] = cidr.split("/");
        const size = 2 ** (32 - Number(length));
        return isIP(base) === 4 && Math.floor(number(address) / size) === Math.floor(number(base) / size);
      }),
    );
}

const withPort = (address: string, port: number): string => (isIP(address) === 4 ? `${address}:${port}` : address);

const writtenConfiguration = (values: Options, document: Document): Document =>
  toDocument(kubeProxyFlags, values, FIELDS, {
    configSyncPeriod: "15m0s",
    ...document,
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
  });
