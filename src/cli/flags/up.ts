import type { Flags } from "../flags.ts";
import { clusterFlags, logFlags } from "./common.ts";

export const upFlags = {
  ...clusterFlags,
  nodes: { type: "int", default: 1, help: "How many nodes." },
  runtime: {
    type: "string",
    default: "auto",
    help: "What runs containers: containerd, process, simulated, or auto for containerd where it can be had and process otherwise.",
  },
  port: { type: "int", default: 6443, help: "The API server's port. 0 takes any free one." },
  "proxy-mode": {
    type: "string",
    default: "auto",
    help: "Which proxy mode to use: iptables, none, or auto for iptables where pods have addresses of their own and none otherwise.",
  },
  "etcd-servers": {
    type: "list",
    default: [],
    help: "etcd to store in, scheme://host:port, comma separated. Empty runs our own.",
  },
  detach: { type: "bool", short: "d", default: false, help: "Go on in the background once the cluster is ready." },
  "kubeconfig-merge": {
    type: "bool",
    default: true,
    help: "Merge a context t8s-NAME into the kubeconfig ($KUBECONFIG, else ~/.kube/config).",
  },
  "container-runtime-endpoint": {
    type: "string",
    default: "",
    help: "The socket of a containerd that runs already. Empty starts one of our own.",
  },
  "cluster-cidr": {
    type: "string",
    default: "",
    help: "Where pods get their addresses from. Empty is 10.244.0.0/16, and 10.128.0.0/10 for more than 256 nodes.",
  },
  "service-cluster-ip-range": {
    type: "string",
    default: "10.96.0.0/12",
    help: "Where services get their addresses from.",
  },
  "advertise-address": {
    type: "string",
    default: "",
    help: "The address on which nodes and pods reach the API server. Empty takes the machine's first.",
  },
  "pod-manifest-path": {
    type: "string",
    default: "",
    help: "A folder of manifests that every node runs as static pods.",
  },
  "node-monitor-grace-period": {
    type: "duration",
    default: 50_000,
    help: "How long a node may be silent before it counts as lost.",
  },
  "manifest-url": { type: "string", default: "", help: "A URL of manifests that every node runs as static pods." },
  ...logFlags,
} as const satisfies Flags;
