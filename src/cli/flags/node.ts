import type { Flags } from "../flags.ts";
import { logFlags } from "./common.ts";

/** Upstream's names where kubelet or kube-proxy have such a flag. */
export const nodeFlags = {
  "data-dir": {
    type: "string",
    default: "",
    help: "Where the node keeps everything. It holds kubelet.conf, kube-proxy.conf, pki/ca.crt, pki/kubelet.crt and pki/kubelet.key.",
  },
  "hostname-override": { type: "string", default: "", help: "The node's name. Empty takes the machine's." },
  "node-ip": { type: "string", default: "", help: "The node's address. Empty takes the machine's first." },
  port: { type: "int", default: 10_250, help: "The port for the kubelet to serve on." },
  "cgroup-root": {
    type: "string",
    default: "",
    help: "The cgroup that pods are put in. Empty makes one of the node's name.",
  },
  "container-runtime-endpoint": {
    type: "string",
    default: "",
    help: "The socket of a containerd that runs already. Empty starts one of our own.",
  },
  "cluster-cidr": { type: "string", default: "10.244.0.0/16", help: "Where pods get their addresses from." },
  "cluster-dns": { type: "string", default: "10.96.0.10", help: "The name server that pods are given." },
  "proxy-mode": { type: "string", default: "iptables", help: "Which proxy mode to use: iptables or none." },
  "pod-manifest-path": { type: "string", default: "", help: "A folder of manifests to run as static pods." },
  "manifest-url": { type: "string", default: "", help: "A URL of manifests to run as static pods." },
  ...logFlags,
} as const satisfies Flags;
