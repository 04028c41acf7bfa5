/** The flags of `t8s kube-scheduler`, spelled and defaulted as upstream's. Upstream: cmd/kube-scheduler/app/options */
import type { Flags } from "../flags.ts";

const IN_FILE = "This parameter is ignored if a config file is specified in --config.";

export const kubeSchedulerFlags = {
  config: { type: "string", default: "", help: "The path to the configuration file." },
  master: {
    type: "string",
    default: "",
    help: "The address of the Kubernetes API server (overrides any value in kubeconfig)",
  },
  kubeconfig: {
    type: "string",
    default: "",
    help: `Path to kubeconfig file with authorization and master location information. ${IN_FILE}`,
  },
  "kube-api-qps": {
    type: "float",
    default: 50,
    help: `QPS to use while talking with kubernetes apiserver. ${IN_FILE}`,
  },
  "kube-api-burst": {
    type: "int",
    default: 100,
    help: `Burst to use while talking with kubernetes apiserver. ${IN_FILE}`,
  },
  "pod-max-in-unschedulable-pods-duration": {
    type: "duration",
    default: 300_000,
    help: "The maximum time a pod can stay in unschedulablePods before it is moved to backoffQ or activeQ.",
  },
  "leader-elect": {
    type: "bool",
    default: true,
    help: "Start a leader election client and gain leadership before executing the main loop.",
  },
  "leader-elect-lease-duration": {
    type: "duration",
    default: 15_000,
    help: "How long candidates that don't lead wait before they take over a leadership that isn't renewed.",
  },
  "leader-elect-renew-deadline": {
    type: "duration",
    default: 10_000,
    help: "How long the leader tries to renew its leadership before it stops leading.",
  },
  "leader-elect-retry-period": { type: "duration", default: 2_000, help: "The time between two tries." },
  "leader-elect-resource-lock": {
    type: "string",
    default: "leases",
    help: "The type of resource object that is used for locking during leader election.",
  },
  "leader-elect-resource-name": {
    type: "string",
    default: "kube-scheduler",
    help: "The name of resource object that is used for locking during leader election.",
  },
  "leader-elect-resource-namespace": {
    type: "string",
    default: "kube-system",
    help: "The namespace of resource object that is used for locking during leader election.",
  },
  "bind-address": { type: "string", default: "0.0.0.0", help: "The IP address on which to listen for --secure-port." },
  "secure-port": { type: "int", default: 10259, help: "The port on which to serve HTTPS. 0 serves nothing." },
  "cert-dir": {
    type: "string",
    default: "",
    help: "The directory where the TLS certs are located. Ignored with --tls-cert-file and --tls-private-key-file.",
  },
  "tls-cert-file": { type: "string", default: "", help: "File with the x509 certificate for HTTPS." },
  "tls-private-key-file": { type: "string", default: "", help: "File with the private key of --tls-cert-file." },
  "client-ca-file": {
    type: "string",
    default: "",
    help: "Clients with a certificate of one of the authorities in this file are who its CommonName says.",
  },
  "authentication-kubeconfig": {
    type: "string",
    default: "",
    help: "kubeconfig file of the server that is asked about tokens. Empty: all tokens are anonymous.",
  },
  "authorization-kubeconfig": {
    type: "string",
    default: "",
    help: "kubeconfig file of the server that is asked what clients may do. Empty: only the always-allowed paths.",
  },
  profiling: { type: "bool", default: true, help: `Enable profiling via web interface. ${IN_FILE}` },
  "feature-gates": { type: "map", default: {}, help: "Feature gates as name=true or name=false." },
} as const satisfies Flags;
