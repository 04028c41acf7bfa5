/** The names and addresses of the machines on this computer and of the network between them. Pure. */
import { createHash } from "node:crypto";

/** A network namespace that stands for a machine. */
export interface Machine {
  readonly node: string;
  readonly namespace: string;
  /** The host's end of its cable. */
  readonly link: string;
  readonly address: string;
  readonly cgroup: string;
  /** Everything that the node keeps. */
  readonly dir: string;
}

/** The machines and the switch that they and the host hang on. */
export interface Lan {
  readonly bridge: string;
  /** The host's address in it. */
  readonly address: string;
  readonly subnet: string;
  readonly machines: readonly Machine[];
}

export const MACHINES_MAX = 200;
/** Below are the host and what it may want in the same subnet. */
const FIRST_HOST = 11;

export function planLan(
  cluster: string,
  nodes: readonly string[],
  dataDir: string,
  interfaces: readonly { readonly cidr: string; readonly family: 4 | 6 }[],
): Lan {
  const bridge = linkName(`t8s-${cluster}`);
  const prefix = freePrefix(interfaces.filter(({ family }) => family === 4).map(({ cidr }) => cidr));
  return {
    bridge,
    address: `${prefix}.1`,
    subnet: `${prefix}.0/24`,
    machines: nodes.map((node, i) => ({
      node,
      namespace: `t8s-${cluster}-${node}`,
      link: `t8s${hash(`${cluster}/${node}`).slice(0, 10)}`,
      address: `${prefix}.${FIRST_HOST + i}`,
      cgroup: `/t8s-${cluster}-${node}`,
      dir: `${dataDir}/nodes/${node}`,
    })),
  };
}

/** The first of 172.30.0.0/24, 172.30.1.0/24, … that no interface of the host is in. */
function freePrefix(taken: readonly string[]): string {
  for (let i = 0; i < 256; i++) {
    const prefix = `172.30.${i}`;
    if (!taken.some((cidr) => overlap(cidr, `${prefix}.0/24`))) return prefix;
  }
  throw new Error("no free subnet for the nodes in 172.30.0.0/16");
}

/** Two subnets share addresses when they are equal as far as the wider one's length goes. */
function overlap(a: string, b: string): boolean {
  const [first, second] = [a, b].map((cidr) => {
    const [base, length] = cidr.split("/");
    return { number: base!.split(".").reduce((sum, part) => sum * 256 + Number(part), 0), length: Number(length) };
  }) as [{ number: number; length: number }, { number: number; length: number }];
  const size = 2 ** (32 - Math.min(first.length, second.length));
  return Math.floor(first.number / size) === Math.floor(second.number / size);
}

/** The kernel takes 15 letters for a link's name. Longer ones end in a few of their sum, so that two clusters never share one. */
export const linkName = (name: string): string =>
  name.length <= 15 ? name : `${name.slice(0, 9)}-${hash(name).slice(0, 5)}`;

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

/** `ip -batch` for the host's side. What is there already may be there. */
export const bridgeCommands = ({ bridge, address }: Lan): readonly string[] => [
  `address replace ${address}/24 dev ${bridge}`,
  `link set ${bridge} up`,
];

/** The same inside the machine. */
export const machineCommands = ({ address }: Machine, lan: Lan): readonly string[] => [
  "link set lo up",
  `address replace ${address}/24 dev eth0`,
  "link set eth0 up",
  `route replace default via ${lan.address}`,
];

/** table, chain of the host's, chain of ours */
export const jumps = ({ bridge }: Lan): readonly (readonly [string, string, string])[] => [
  ["filter", "FORWARD", `T8S-NODES-${bridge}`],
  ["nat", "POSTROUTING", `T8S-NODES-${bridge}`],
];

/** The host forwards for the machines whatever its policy is, and they leave it behind its address. */
export const lanRules = ({ bridge, subnet }: Lan): string =>
  [
    "*filter",
    `:T8S-NODES-${bridge} - [0:0]`,
    `-A T8S-NODES-${bridge} -i ${bridge} -m comment --comment "nodes may send" -j ACCEPT`,
    `-A T8S-NODES-${bridge} -o ${bridge} -m comment --comment "nodes may receive" -j ACCEPT`,
    "COMMIT",
    "*nat",
    `:T8S-NODES-${bridge} - [0:0]`,
    `-A T8S-NODES-${bridge} -s ${subnet} ! -o ${bridge} -m comment --comment "nodes that leave the host" -j MASQUERADE`,
    "COMMIT",
    "",
  ].join("\n");
