/**
 * Sets up the pod network of a node: waits for the node's `spec.podCIDR`, writes the CNI configuration and lets pod traffic through the host's
 * firewall. Elsewhere the agent of a network provider does this.
 */
import type { Component } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import type { Node } from "../../api/generated/core.v1.ts";
import type { Informers } from "../../client/informer/informer.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { nodes } from "../../client/resources.ts";
import { renderConflist, renderNetworkRules } from "./conflist.ts";

export interface NodeNetworkOptions {
  readonly nodeName: string;
  readonly clusterCidr: string;
  readonly bridge: string;
  /** Where containerd looks for CNI configurations. */
  readonly confDir: string;
  readonly stateDir: string;
}

/** from, chain of ours, table */
const JUMPS = [
  ["filter", "FORWARD", "T8S-FORWARD"],
  ["nat", "POSTROUTING", "T8S-POSTROUTING"],
] as const;

export function createNodeNetwork(
  options: NodeNetworkOptions,
  deps: Pick<World, "fs" | "host" | "clock"> & { readonly informers: Informers; readonly log: Logger },
): Component {
  const { fs, clock, log } = deps;

  async function configure(podCidrs: readonly string[]): Promise<void> {
    await openForwarding(deps, podCidrs[0]!, options.clusterCidr);
    await fs.mkdir(options.confDir, { recursive: true });
    await fs.writeFile(
      `${options.confDir}/10-typernetes.conflist`,
      renderConflist({ bridge: options.bridge, podCidrs, stateDir: options.stateDir }),
      { atomic: true },
    );
  }

  return {
    name: "node-network",
    async run(signal, ready) {
      const informer = deps.informers.of<Node>(nodes);
      let wake = deferred();
      const touch = () => wake.resolve();
      signal.addEventListener("abort", touch, { once: true });
      using _subscription = informer.subscribe({ add: touch, update: touch, delete: touch });
      let configured = "";
      ready();
      while (!signal.aborted) {
        wake = deferred();
        const self = informer.get(options.nodeName);
        const podCidrs = self?.spec.podCIDRs ?? (self?.spec.podCIDR === undefined ? [] : [self.spec.podCIDR]);
        try {
          if (podCidrs.length > 0 && configured !== podCidrs.join()) {
            await configure(podCidrs);
            configured = podCidrs.join();
            log.info("Configured the pod network", { podCIDRs: configured });
          }
        } catch (error) {
          log.error("Failed to configure the pod network", error);
          await pause(clock, 1000, signal);
          continue;
        }
        await wake.promise;
      }
      await cleanNodeNetwork(options, deps);
    },
  };
}

export async function runs(
  host: World["host"],
  command: string,
  args: readonly string[],
  stdin?: string,
): Promise<void> {
  const { code, stderr } = await host.exec(command, args, stdin === undefined ? {} : { stdin });
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} exited with ${code}: ${Buffer.from(stderr).toString().trim()}`);
}

/** Lets this machine forward what pods send, and lets them out of the cluster behind its address. */
export async function openForwarding(
  { fs, host }: Pick<World, "fs" | "host">,
  podCidr: string,
  clusterCidr: string,
): Promise<void> {
  for (const [key, value] of [
    ["net/ipv4/ip_forward", "1"],
    ["net/bridge/bridge-nf-call-iptables", "1"],
  ] as const) {
    const path = `/proc/sys/${key}`;
    // A kernel without br_netfilter has no second key; services between pods of one node then need hairpin by other means.
    if ((await fs.stat(path)) === undefined) continue;
    if (
      Buffer.from(await fs.readFile(path))
        .toString()
        .trim() !== value
    )
      await fs.writeFile(path, value);
  }
  await runs(host, "iptables-restore", ["-w", "5", "--noflush"], renderNetworkRules(podCidr, clusterCidr));
  for (const [table, from, to] of JUMPS) {
    if ((await host.exec("iptables", ["-w", "5", "-t", table, "-C", from, "-j", to])).code !== 0)
      // Behind kube-proxy's, which are put in front: what it refuses must not have been let through here.
      await runs(host, "iptables", ["-w", "5", "-t", table, "-A", from, "-j", to]);
  }
}

export async function closeForwarding(host: World["host"]): Promise<void> {
  for (const [table, from, to] of JUMPS) {
    while ((await host.exec("iptables", ["-w", "5", "-t", table, "-D", from, "-j", to])).code === 0);
    await host.exec("iptables", ["-w", "5", "-t", table, "-F", to]);
    await host.exec("iptables", ["-w", "5", "-t", table, "-X", to]);
  }
}

/** Takes away bridge, rules and CNI configuration. */
export async function cleanNodeNetwork(
  options: Pick<NodeNetworkOptions, "bridge" | "confDir">,
  { fs, host }: Pick<World, "fs" | "host">,
): Promise<void> {
  await closeForwarding(host);
  await cleanHostPorts(host);
  await host.exec("ip", ["link", "del", options.bridge]);
  await fs.remove(`${options.confDir}/10-typernetes.conflist`);
}

/** The portmap plugin leaves its base chains when the last host port goes. They go too, unless someone else's pods still use them. */
async function cleanHostPorts(host: World["host"]): Promise<void> {
  const saved = await host.exec("iptables-save", ["-t", "nat"]);
  const text = Buffer.from(saved.stdout).toString();
  if (saved.code !== 0 || !/^:CNI-HOSTPORT-/m.test(text) || /^:CNI-DN-/m.test(text)) return;
  const lines = text.split("\n");
  const jumps = lines
    .filter((line) => /-j CNI-HOSTPORT-/.test(line) && !line.startsWith("-A CNI-HOSTPORT-"))
    .map((line) => line.replace(/^-A/, "-D"));
  const chains = lines.filter((line) => line.startsWith(":CNI-HOSTPORT-")).map((line) => line.slice(1).split(" ")[0]!);
  const input = [
    "*nat",
    ...jumps,
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    "COMMIT",
    "",
  ].join("\n");
  await host.exec("iptables-restore", ["-w", "5", "--noflush"], { stdin: input });
}
