/** The flags of `kube-proxy`, spelled and defaulted as upstream's. Upstream: cmd/kube-proxy/app/options.go */
import { type Flags, withIgnored } from "../flags.ts";
import { connectionFlags } from "./component.ts";
import { logFlags } from "./common.ts";

const own = {
  config: {
    type: "string",
    default: "",
    help: "File with a KubeProxyConfiguration. Of the flags, only those that name the node and the server count beside it.",
  },
  "write-config-to": { type: "string", default: "", help: "Write the configuration there, and exit." },
  "hostname-override": { type: "string", default: "", help: "The node's name. Empty: the machine's." },
  "proxy-mode": { type: "string", default: "", help: "Which proxy mode to use: iptables. Empty: iptables." },
  "cluster-cidr": {
    type: "string",
    default: "",
    help: "Addresses of pods: what comes from elsewhere to a service's address is masqueraded.",
  },
  "bind-address": {
    type: "string",
    default: "0.0.0.0",
    help: "The node's own address where it is one: it tells the primary family.",
  },
  "bind-address-hard-fail": { type: "bool", default: false, help: "End when a port can't be served on." },
  "healthz-bind-address": {
    type: "string",
    default: "0.0.0.0:10256",
    help: "Where /healthz and /livez are served. Empty: nowhere.",
  },
  "metrics-bind-address": {
    type: "string",
    default: "127.0.0.1:10249",
    help: "Where /metrics and /proxyMode are served. Empty: nowhere.",
  },
  "iptables-min-sync-period": { type: "duration", default: 1000, help: "The least time between two writes of rules." },
  "iptables-sync-period": {
    type: "duration",
    default: 30_000,
    help: "How often rules are looked at though nothing changed.",
  },
  "iptables-masquerade-bit": {
    type: "int",
    default: 14,
    help: "The bit of the packet mark that asks for masquerading.",
  },
  "iptables-localhost-nodeports": {
    type: "bool",
    default: true,
    help: "Let node ports be reached on the loopback address.",
  },
  "masquerade-all": { type: "bool", default: false, help: "Masquerade everything that goes to a service's address." },
  "conntrack-tcp-be-liberal": {
    type: "bool",
    default: false,
    help: "Take TCP packets outside of the window for what they are.",
  },
  "detect-local-mode": {
    type: "string",
    default: "",
    help: "How traffic of this node's pods is known. Only ClusterCIDR.",
  },
  "nodeport-addresses": { type: "list", default: [], help: "Addresses that node ports are served on. Empty: all." },
  cleanup: { type: "bool", default: false, help: "Take away all rules, and exit." },
  "feature-gates": { type: "map", default: {}, help: "Feature gates as name=true or name=false, comma separated." },
  ...logFlags,
} as const satisfies Flags;

export const kubeProxyFlags = withIgnored(
  { ...connectionFlags, ...own },
  `vmodule log-flush-frequency:duration log-json-info-buffer-size log-json-split-stream:bool log-text-info-buffer-size log-text-split-stream:bool
  config-sync-period:duration conntrack-max-per-core:int conntrack-min:int conntrack-tcp-timeout-close-wait:duration
  conntrack-tcp-timeout-established:duration conntrack-udp-timeout:duration conntrack-udp-timeout-stream:duration init-only:bool
  ipvs-exclude-cidrs:list ipvs-min-sync-period:duration ipvs-scheduler ipvs-strict-arp:bool ipvs-sync-period:duration ipvs-tcp-timeout:duration
  ipvs-tcpfin-timeout:duration ipvs-udp-timeout:duration oom-score-adj:int pod-bridge-interface pod-interface-name-prefix profiling:bool
  show-hidden-metrics-for-version`,
);
