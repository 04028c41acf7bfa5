/** The CNI network of a node: a bridge with a subnet of its own, host ports by portmap. Pure. */
export interface NodeNetwork {
  readonly bridge: string;
  /** One, or one of each family. */
  readonly podCidrs: readonly string[];
  /** Where host-local keeps its leases. */
  readonly stateDir: string;
}

export function renderConflist({ bridge, podCidrs, stateDir }: NodeNetwork): string {
  const conflist = {
    cniVersion: "0.4.0",
    name: "typernetes",
    plugins: [
      {
        type: "bridge",
        bridge,
        isGateway: true,
        // Traffic that leaves the cluster is masqueraded by one rule of the node's own, not by one for each pod.
        ipMasq: false,
        hairpinMode: true,
        promiscMode: false,
        ipam: {
          type: "host-local",
          dataDir: stateDir,
          ranges: podCidrs.map((subnet) => [{ subnet }]),
          routes: podCidrs.map((subnet) => ({ dst: subnet.includes(":") ? "::/0" : "0.0.0.0/0" })),
        },
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  };
  return `${JSON.stringify(conflist, null, 2)}\n`;
}

/** Chains of ours: pods may be forwarded whatever the host's policy is, and are masqueraded when they leave the cluster. */
export function renderNetworkRules(podCidr: string, clusterCidr: string): string {
  return [
    "*filter",
    ":T8S-FORWARD - [0:0]",
    `-A T8S-FORWARD -s ${clusterCidr} -m comment --comment "pods may send" -j ACCEPT`,
    `-A T8S-FORWARD -d ${clusterCidr} -m comment --comment "pods may receive" -j ACCEPT`,
    "COMMIT",
    "*nat",
    ":T8S-POSTROUTING - [0:0]",
    `-A T8S-POSTROUTING -s ${podCidr} -d ${clusterCidr} -j RETURN`,
    `-A T8S-POSTROUTING -s ${podCidr} -m addrtype ! --dst-type LOCAL -m comment --comment "pods that leave the cluster" -j MASQUERADE --random-fully`,
    "COMMIT",
    "",
  ].join("\n");
}

export interface Route {
  readonly to: string;
  readonly via: string;
}

/** One route for each other node's subnet; nodes that share our address need none. */
export function routesTo(
  nodes: readonly {
    readonly name: string;
    readonly podCidr: string | undefined;
    readonly internalIp: string | undefined;
  }[],
  self: string | undefined,
): readonly Route[] {
  const own = nodes.find(({ name }) => name === self)?.internalIp;
  return nodes
    .flatMap(({ name, podCidr, internalIp }) =>
      name === self || podCidr === undefined || internalIp === undefined || internalIp === own
        ? []
        : [{ to: podCidr, via: internalIp }],
    )
    .sort((a, b) => (a.to < b.to ? -1 : 1));
}
