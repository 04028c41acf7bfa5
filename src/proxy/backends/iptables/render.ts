/**
 * Renders the model as input for `iptables-restore`. Pure: the same services give the same bytes on every node, in the order of their keys.
 * Upstream: pkg/proxy/iptables/proxier.go
 */
import { cidrHolds } from "../../../machinery/validation/ip.ts";
import { endpointAddress, type Endpoint } from "../../model/endpoints.ts";
import type { PortModel } from "../../model/model.ts";
import { type Family, isExternallyAccessible } from "../../model/service-port.ts";
import { chainSuffix } from "./names.ts";

export interface RenderOptions {
  readonly family: Family;
  /** Traffic from these addresses is pods' own; undefined when it can't be told apart. */
  readonly clusterCidr: string | undefined;
  readonly masqueradeAll: boolean;
  readonly masqueradeBit: number;
  readonly localhostNodePorts: boolean;
  /** Empty: all local addresses. */
  readonly nodePortIps: readonly string[];
  /** Addresses of this node, for source ranges that include it. */
  readonly nodeIps: readonly string[];
  readonly randomFully: boolean;
  /** Counting localhost NodePorts and INVALID packets needs nfacct objects. */
  readonly nfacct: boolean;
  readonly conntrackTcpLiberal: boolean;
}

/** More endpoints than this: comments go, because the kernel reads every byte of them. */
const LARGE_CLUSTER_ENDPOINTS = 1000;

/** All chains and rules of one service. Filter and dispatch rules are rewritten in every sync; `chains` only when the service changed. */
export interface ServiceRules {
  readonly filter: readonly string[];
  /** Rules in KUBE-SERVICES and KUBE-NODEPORTS. */
  readonly dispatch: readonly string[];
  /** Chain -> its rules. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

export function renderService(ports: readonly PortModel[], options: RenderOptions, large = false): ServiceRules {
  const filter: string[] = [];
  const dispatch: string[] = [];
  const chains = new Map<string, readonly string[]>();
  for (const model of ports) renderPort(model, options, large, filter, dispatch, chains);
  return { filter, dispatch, chains };
}

function renderPort(
  model: PortModel,
  options: RenderOptions,
  large: boolean,
  filter: string[],
  dispatch: string[],
  chains: Map<string, readonly string[]>,
): void {
  const { port, key, cluster, local, any } = model;
  const { protocol } = port;
  const suffix = chainSuffix(key, protocol);
  const [svc, svl, ext, fw] = [`KUBE-SVC-${suffix}`, `KUBE-SVL-${suffix}`, `KUBE-EXT-${suffix}`, `KUBE-FW-${suffix}`];
  const match = `-m ${protocol} -p ${protocol}`;
  const comment = (text: string) => `-m comment --comment ${/\s/.test(text) ? `"${text}"` : text}`;
  const to = (address: string, number: number) => `${match} -d ${address} --dport ${number}`;

  if (port.healthCheckNodePort !== 0) {
    filter.push(
      `-A KUBE-NODEPORTS ${comment(`${key} health check node port`)} -m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`,
    );
  }

  // 1. Where each kind of traffic would go, and what stands in its way.
  const nobody = any ? undefined : { verdict: "REJECT", why: "has no endpoints" };
  const noLocal = { verdict: "DROP", why: "has no local endpoints" };
  const internalTarget = port.internalLocal ? svl : svc;
  const internalStop = nobody ?? (port.internalLocal && local.length === 0 ? noLocal : undefined);
  const external = isExternallyAccessible(port);
  const externalStop = nobody ?? (port.externalLocal && local.length === 0 ? noLocal : undefined);
  // With the Local policy and nobody local, pods and the node itself still reach the others through KUBE-EXT.
  const externalChain = any && external;
  const loadBalancerTarget = port.sourceRanges.length > 0 ? fw : ext;

  // 2. Cluster IP.
  if (internalStop === undefined)
    dispatch.push(
      `-A KUBE-SERVICES ${comment(`${key} cluster IP`)} ${to(port.clusterIp, port.port)} -j ${internalTarget}`,
    );
  else
    filter.push(
      `-A KUBE-SERVICES ${comment(`${key} ${internalStop.why}`)} ${to(port.clusterIp, port.port)} -j ${internalStop.verdict}`,
    );

  // 3. External and load-balancer addresses.
  for (const address of port.externalIps) {
    if (externalChain)
      dispatch.push(`-A KUBE-SERVICES ${comment(`${key} external IP`)} ${to(address, port.port)} -j ${ext}`);
    if (externalStop !== undefined)
      filter.push(
        `-A KUBE-EXTERNAL-SERVICES ${comment(`${key} ${externalStop.why}`)} ${to(address, port.port)} -j ${externalStop.verdict}`,
      );
  }
  for (const address of port.loadBalancerIps) {
    if (externalChain)
      dispatch.push(
        `-A KUBE-SERVICES ${comment(`${key} loadbalancer IP`)} ${to(address, port.port)} -j ${loadBalancerTarget}`,
      );
    if (externalChain && port.sourceRanges.length > 0) {
      filter.push(
        `-A KUBE-PROXY-FIREWALL ${comment(`${key} traffic not accepted by ${fw}`)} ${to(address, port.port)} -j DROP`,
      );
    }
    if (externalStop !== undefined)
      filter.push(
        `-A KUBE-EXTERNAL-SERVICES ${comment(`${key} ${externalStop.why}`)} ${to(address, port.port)} -j ${externalStop.verdict}`,
      );
  }

  // 4. Node port.
  if (port.nodePort !== 0) {
    if (externalChain) {
      if (options.nfacct && options.family === 4 && options.localhostNodePorts) {
        dispatch.push(
          `-A KUBE-NODEPORTS ${comment(key)} ${match} -d 127.0.0.0/8 --dport ${port.nodePort} -m nfacct --nfacct-name localhost_nps_accepted_pkts -j ${ext}`,
        );
      }
      dispatch.push(`-A KUBE-NODEPORTS ${comment(key)} ${match} --dport ${port.nodePort} -j ${ext}`);
    }
    if (externalStop !== undefined) {
      filter.push(
        `-A KUBE-EXTERNAL-SERVICES ${comment(`${key} ${externalStop.why}`)} -m addrtype --dst-type LOCAL ${match} --dport ${port.nodePort} -j ${externalStop.verdict}`,
      );
    }
  }
  if (!any) return;

  // 5. The chains behind all that.
  const usesSvc = !port.internalLocal || external;
  const usesSvl = (port.internalLocal || (port.externalLocal && external)) && local.length > 0;
  const masquerade = (): readonly string[] => {
    const start = `-A ${internalTarget} ${comment(`${key} cluster IP`)} ${to(port.clusterIp, port.port)}`;
    if (options.masqueradeAll) return [`${start} -j KUBE-MARK-MASQ`];
    // Off-cluster senders must be answered through this node.
    return options.clusterCidr === undefined ? [] : [`${start} ! -s ${options.clusterCidr} -j KUBE-MARK-MASQ`];
  };
  const balance = (chain: string, endpoints: readonly Endpoint[]): readonly string[] => [
    ...(chain === internalTarget ? masquerade() : []),
    ...(port.affinitySeconds === undefined
      ? []
      : endpoints.map((endpoint) => {
          const sep = separate(key, protocol, endpoint);
          return `-A ${chain} ${noted(endpoint)}-m recent --name ${sep} --rcheck --seconds ${port.affinitySeconds} --reap -j ${sep}`;
        })),
    ...endpoints.map((endpoint, i) => {
      const left = endpoints.length - i;
      const chance = left === 1 ? "" : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
      return `-A ${chain} ${noted(endpoint)}${chance}-j ${separate(key, protocol, endpoint)}`;
    }),
  ];
  const noted = (endpoint: Endpoint) => (large ? "" : `${comment(`${key} -> ${endpointAddress(endpoint)}`)} `);

  if (usesSvc && cluster.length > 0) chains.set(svc, balance(svc, cluster));
  if (usesSvl) chains.set(svl, balance(svl, local));
  if (externalChain) {
    const destinations = `${key} external destinations`;
    chains.set(
      ext,
      port.externalLocal
        ? [
            ...(options.clusterCidr === undefined
              ? []
              : [`-A ${ext} ${comment(`pod traffic for ${destinations}`)} -s ${options.clusterCidr} -j ${svc}`]),
            `-A ${ext} ${comment(`masquerade LOCAL traffic for ${destinations}`)} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
            `-A ${ext} ${comment(`route LOCAL traffic for ${destinations}`)} -m addrtype --src-type LOCAL -j ${svc}`,
            ...(local.length > 0 ? [`-A ${ext} -j ${svl}`] : []),
          ]
        : [`-A ${ext} ${comment(`masquerade traffic for ${destinations}`)} -j KUBE-MARK-MASQ`, `-A ${ext} -j ${svc}`],
    );
    if (port.sourceRanges.length > 0 && port.loadBalancerIps.length > 0) {
      const allowed = port.sourceRanges.map(
        (range) => `-A ${fw} ${comment(`${key} loadbalancer IP`)} -s ${range} -j ${ext}`,
      );
      // A node inside an allowed range reaches its own balancer address from that address itself.
      const own = options.nodeIps.some((ip) => port.sourceRanges.some((range) => cidrHolds(range, ip)))
        ? port.loadBalancerIps.map((address) => `-A ${fw} ${comment(`${key} loadbalancer IP`)} -s ${address} -j ${ext}`)
        : [];
      chains.set(fw, [
        ...allowed,
        ...own,
        `-A ${fw} ${comment(`other traffic to ${key} will be dropped by KUBE-PROXY-FIREWALL`)}`,
      ]);
    }
  }
  for (const endpoint of new Set([...(usesSvc ? cluster : []), ...(usesSvl ? local : [])])) {
    const sep = separate(key, protocol, endpoint);
    const about = large ? "" : `${comment(key)} `;
    const remember = port.affinitySeconds === undefined ? "" : `-m recent --name ${sep} --set `;
    chains.set(sep, [
      `-A ${sep} ${about}-s ${endpoint.ip} -j KUBE-MARK-MASQ`, // A pod that reaches itself through the service.
      `-A ${sep} ${about}${remember}${match} -j DNAT --to-destination ${endpointAddress(endpoint)}`,
    ]);
  }
}

const separate = (key: string, protocol: string, endpoint: Endpoint): string =>
  `KUBE-SEP-${chainSuffix(key, protocol, endpointAddress(endpoint))}`;

export interface RestoreInput {
  readonly text: string;
  /** Every per-service chain that should exist after this sync. */
  readonly active: ReadonlySet<string>;
}

/**
 * The input of one `iptables-restore --noflush`: fixed chains and dispatch in full, per-service chains of those in `changed` (undefined: all), and
 * `-X` for the stale ones.
 */
export function renderRestore(
  services: ReadonlyMap<string, ServiceRules>,
  changed: ReadonlySet<string> | undefined,
  stale: readonly string[],
  options: RenderOptions,
): RestoreInput {
  const mark = `0x${(1 << options.masqueradeBit).toString(16)}`;
  const filter: string[] = [];
  const dispatch: string[] = [];
  const heads: string[] = [];
  const bodies: string[] = [];
  const active = new Set<string>();
  // By key, so that two nodes render the same bytes.
  for (const [key, rules] of [...services].sort(([a], [b]) => (a < b ? -1 : 1))) {
    filter.push(...rules.filter);
    dispatch.push(...rules.dispatch);
    for (const [chain, lines] of rules.chains) {
      active.add(chain);
      if (changed !== undefined && !changed.has(key)) continue;
      heads.push(`:${chain} - [0:0]`);
      bodies.push(...lines);
    }
  }
  const localnet = options.family === 4 && options.localhostNodePorts;
  const loopback = options.family === 6 ? "! -d ::1/128 " : options.localhostNodePorts ? "" : "! -d 127.0.0.0/8 ";
  const nodePortJumps =
    options.nodePortIps.length === 0
      ? [
          `-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL ${loopback}-j KUBE-NODEPORTS`,
        ]
      : options.nodePortIps.map(
          (ip) =>
            `-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -d ${ip} -j KUBE-NODEPORTS`,
        );
  const lines = [
    "*filter",
    ...[
      "KUBE-SERVICES",
      "KUBE-EXTERNAL-SERVICES",
      "KUBE-FORWARD",
      "KUBE-NODEPORTS",
      "KUBE-PROXY-FIREWALL",
      ...(localnet ? ["KUBE-FIREWALL"] : []),
    ].map((chain) => `:${chain} - [0:0]`),
    ...(localnet
      ? [
          `-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
        ]
      : []),
    ...filter,
    ...(options.conntrackTcpLiberal
      ? []
      : [
          `-A KUBE-FORWARD -m conntrack --ctstate INVALID ${options.nfacct ? "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts " : ""}-j DROP`,
        ]),
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    "COMMIT",
    "*nat",
    ...["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"].map((chain) => `:${chain} - [0:0]`),
    ...heads,
    ...stale.map((chain) => `:${chain} - [0:0]`),
    `-A KUBE-POSTROUTING -m mark ! --mark ${mark}/${mark} -j RETURN`,
    // Cleared, so that a packet that is routed again is not masqueraded twice.
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${mark}`,
    `-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE${options.randomFully ? " --random-fully" : ""}`,
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${mark}`,
    ...dispatch,
    ...bodies,
    ...nodePortJumps,
    ...stale.map((chain) => `-X ${chain}`),
    "COMMIT",
  ];
  return { text: `${lines.join("\n")}\n`, active };
}

export const isLargeCluster = (endpoints: number): boolean => endpoints > LARGE_CLUSTER_ENDPOINTS;
