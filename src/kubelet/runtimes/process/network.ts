/**
 * A network namespace for each pod: a pair of virtual links connects it to a bridge of the node, with an address from the node's `podCIDR`. It needs
 * root and `ip`. The namespaces are named, so they outlive us as their processes do.
 */
import { createHash } from "node:crypto";
import { RpcError } from "../../../wire/rpc/service.ts";
import type { World } from "../../../world/world.ts";
import { closeForwarding, openForwarding } from "../../network/node-network.ts";

export interface HostPort {
  readonly protocol: string;
  readonly container_port: number;
  readonly host_port: number;
  readonly host_ip: string;
}

export interface PodNetwork {
  /** Where the sandbox's namespace is, to be opened by others. */
  pathOf(sandboxId: string): string;
  /** False until the node has a `podCIDR`. */
  ready(): boolean;
  setPodCidr(cidr: string): Promise<void>;
  /** Makes the namespace and returns its address. */
  add(sandboxId: string, ports: readonly HostPort[]): Promise<string>;
  /** An address that is in use already. */
  keep(sandboxId: string, address: string): void;
  exists(sandboxId: string): Promise<boolean>;
  remove(sandboxId: string, ports: readonly HostPort[]): Promise<void>;
  /** Takes away the node's bridge and rules. */
  close(): Promise<void>;
}

const HOST_PORTS = "T8S-HOSTPORT";
/** Where packets to the node's own addresses come by, from others and from the node itself. */
const JUMPS = ["PREROUTING", "OUTPUT"].map((chain) => [
  chain,
  "-m",
  "addrtype",
  "--dst-type",
  "LOCAL",
  "-j",
  HOST_PORTS,
]);

/** The rule for a port of the node that leads to a pod, named after its sandbox. Pure. */
export function hostPortRule(name: string, address: string, port: HostPort): readonly string[] {
  const anywhere = port.host_ip === "" || port.host_ip === "0.0.0.0";
  const match = ["-p", port.protocol.toLowerCase(), ...(anywhere ? [] : ["-d", port.host_ip])];
  const target = `${address}:${port.container_port}`;
  const named = ["-m", "comment", "--comment", name];
  return [...match, "--dport", String(port.host_port), ...named, "-j", "DNAT", "--to-destination", target];
}

/** The first address of a subnet that is neither its own, nor the gateway's, nor taken; later than `after` where there is one. Pure. */
export function freeAddress(cidr: string, taken: ReadonlySet<string>, after: string | undefined): string | undefined {
  const [base, length] = cidr.split("/");
  const size = 2 ** (32 - Number(length));
  const first = toNumber(base!);
  const start = after === undefined ? 2 : Math.max(2, toNumber(after) - first + 1);
  for (let i = 0; i < size - 3; i++) {
    const address = toText(first + 2 + ((start - 2 + i) % (size - 3)));
    if (!taken.has(address)) return address;
  }
  return undefined;
}

const toNumber = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const toText = (address: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");

export function createPodNetwork(
  { dir, clusterCidr }: { readonly dir: string; readonly clusterCidr: string },
  { host, fs }: Pick<World, "host" | "fs">,
): PodNetwork {
  const bridge = `t8s-${createHash("sha256").update(dir).digest("hex").slice(0, 10)}`;
  const taken = new Map<string, string>();
  let podCidr = "";
  let last: string | undefined;

  const nameOf = (sandboxId: string) => `t8s-${sandboxId.slice(0, 16)}`;
  async function ip(args: readonly string[], lines: readonly string[]): Promise<void> {
    const { code, stderr } = await host.exec("ip", [...args, "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
    if (code !== 0) throw new Error(`ip: ${Buffer.from(stderr).toString().trim()}`);
  }

  const nat = (...args: readonly string[]) => host.exec("iptables", ["-w", "5", "-t", "nat", ...args]);

  async function openHostPorts(name: string, address: string, ports: readonly HostPort[]): Promise<void> {
    const wanted = ports.filter(({ host_port: port }) => port > 0);
    if (wanted.length === 0) return;
    await nat("-N", HOST_PORTS);
    for (const jump of JUMPS) if ((await nat("-C", ...jump)).code !== 0) await nat("-I", ...jump);
    for (const port of wanted) {
      const { code, stderr } = await nat("-A", HOST_PORTS, ...hostPortRule(name, address, port));
      if (code !== 0) throw new Error(`host port ${port.host_port}: ${Buffer.from(stderr).toString().trim()}`);
    }
  }

  async function closeHostPorts(name: string): Promise<void> {
    const { stdout } = await nat("-S", HOST_PORTS);
    for (const line of Buffer.from(stdout).toString().split("\n"))
      if (line.split(" ").includes(name)) await nat("-D", ...line.split(" ").slice(1));
  }

  return {
    pathOf: (sandboxId) => `/run/netns/${nameOf(sandboxId)}`,
    ready: () => podCidr !== "",

    async setPodCidr(cidrs) {
      const cidr = cidrs.split(",").find((one) => !one.includes(":")) ?? "";
      if (cidr === podCidr || cidr === "") return;
      const gateway = toText(toNumber(cidr.split("/")[0]!) + 1);
      await host.exec("ip", ["link", "add", bridge, "type", "bridge"]); // There already after a kill.
      await ip([], [`address replace ${gateway}/${cidr.split("/")[1]} dev ${bridge}`, `link set ${bridge} up`]);
      await openForwarding({ fs, host }, clusterCidr, clusterCidr);
      podCidr = cidr;
    },

    async add(sandboxId, ports) {
      if (podCidr === "") throw new RpcError("Unknown", "failed to set up sandbox network: cni plugin not initialized");
      const address = freeAddress(podCidr, new Set(taken.values()), last);
      if (address === undefined)
        throw new RpcError("Unknown", `failed to set up sandbox network: no IP addresses available in ${podCidr}`);
      taken.set(sandboxId, address);
      last = address;
      const name = nameOf(sandboxId);
      const [base, length] = podCidr.split("/");
      try {
        await ip(
          [],
          [
            `netns add ${name}`,
            `link add ${linkOf(sandboxId)} type veth peer name eth0 netns ${name}`,
            `link set ${linkOf(sandboxId)} master ${bridge} up`,
          ],
        );
        // A pod may reach itself through a service.
        await host.exec("ip", ["link", "set", linkOf(sandboxId), "type", "bridge_slave", "hairpin", "on"]);
        await ip(
          ["-n", name],
          [
            "link set lo up",
            "link set eth0 up",
            `address add ${address}/${length} dev eth0`,
            `route add default via ${toText(toNumber(base!) + 1)}`,
          ],
        );
        await openHostPorts(name, address, ports);
      } catch (error) {
        await this.remove(sandboxId, ports);
        throw error;
      }
      return address;
    },

    keep: (sandboxId, address) => void taken.set(sandboxId, address),
    exists: async (sandboxId) => (await fs.stat(`/run/netns/${nameOf(sandboxId)}`)) !== undefined,

    async remove(sandboxId, ports) {
      taken.delete(sandboxId);
      if (ports.some(({ host_port: port }) => port > 0)) await closeHostPorts(nameOf(sandboxId));
      await host.exec("ip", ["link", "del", linkOf(sandboxId)]);
      if (await this.exists(sandboxId)) await host.exec("ip", ["netns", "del", nameOf(sandboxId)]);
    },

    async close() {
      await host.exec("ip", ["link", "del", bridge]);
      for (const jump of JUMPS) while ((await nat("-D", ...jump)).code === 0);
      await nat("-F", HOST_PORTS);
      await nat("-X", HOST_PORTS);
      await closeForwarding(host);
    },
  };
}

const linkOf = (sandboxId: string): string => `t8s${sandboxId.slice(0, 12)}`;
