/** Flags that several components have, spelled and defaulted as upstream's. Upstream: staging/src/k8s.io/component-base, k8s.io/apiserver/pkg/server/options */
import { type Flags, withIgnored, withRefused } from "../flags.ts";
import { logFlags } from "./common.ts";

export const componentFlags = withIgnored(
  {
    ...logFlags,
    "feature-gates": {
      type: "map",
      default: {},
      help: "Feature gates as name=true or name=false, comma separated.",
    },
  },
  `vmodule log-flush-frequency:duration=5s log-json-info-buffer-size=0 log-json-split-stream:bool log-text-info-buffer-size=0 log-text-split-stream:bool
  emulated-version:list emulation-forward-compatible:bool runtime-config-emulation-forward-compatible:bool min-compatibility-version:list
  show-hidden-metrics-for-version disabled-metrics:list allow-metric-labels:map allow-metric-labels-manifest
  profiling:bool=true contention-profiling:bool http2-max-streams-per-connection:int permit-port-sharing:bool permit-address-sharing:bool
  min-request-timeout:int`,
);

/** The HTTPS port of a component. */
export const servingFlags = (port: number, certDir: string) =>
  withRefused(
    {
      "bind-address": {
        type: "string",
        default: "0.0.0.0",
        help: "The IP address on which to listen for --secure-port.",
      },
      "secure-port": { type: "int", default: port, help: "The port on which to serve HTTPS. 0 serves nothing." },
      "cert-dir": {
        type: "string",
        default: certDir,
        help: "Where the certificate is looked for, and put when there is none. Unused with --tls-cert-file and --tls-private-key-file.",
      },
      "tls-cert-file": {
        type: "string",
        default: "",
        help: "File with the certificate for HTTPS, followed by those of its authorities. Without it one is made that nobody signed.",
      },
      "tls-private-key-file": { type: "string", default: "", help: "File with the private key of --tls-cert-file." },
      "tls-min-version": {
        type: "string",
        default: "",
        help: "The least TLS version: VersionTLS12, which is the least anyway, or VersionTLS13.",
      },
      "tls-cipher-suites": {
        type: "list",
        default: [],
        help: "The cipher suites that TLS 1.2 may use, by Go's names. Empty: those that Node considers safe.",
      },
    },
    {},
  );

/** Whom the HTTPS port of a component lets in: the API server is asked. */
export const delegatedFlags = withIgnored(
  {
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
      help: "kubeconfig file of the server that is asked what clients may do. Empty: only --authorization-always-allow-paths are open.",
    },
    "authorization-always-allow-paths": {
      type: "list",
      default: ["/healthz", "/readyz", "/livez"],
      help: "Paths that are open to everybody.",
    },
  },
  `authentication-skip-lookup:bool authentication-tolerate-lookup-failure:bool authentication-token-webhook-cache-ttl:duration
  authorization-webhook-cache-authorized-ttl:duration authorization-webhook-cache-unauthorized-ttl:duration
  requestheader-client-ca-file requestheader-allowed-names:list requestheader-username-headers:list requestheader-group-headers:list
  requestheader-extra-headers-prefix:list requestheader-uid-headers:list`,
);

export const connectionFlags = withIgnored(
  {
    master: {
      type: "string",
      default: "",
      help: "The address of the Kubernetes API server (overrides any value in kubeconfig).",
    },
    kubeconfig: {
      type: "string",
      default: "",
      help: "Path to the kubeconfig file with the API server's address and the credentials.",
    },
  },
  "kube-api-content-type kube-api-qps:float kube-api-burst:int",
);

export const leaderElectionFlags = (name: string) =>
  ({
    "leader-elect": {
      type: "bool",
      default: true,
      help: "Do nothing before this process is the leader among its like.",
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
      help: "The type of the object that is held. Only leases.",
    },
    "leader-elect-resource-name": { type: "string", default: name, help: "The name of the object that is held." },
    "leader-elect-resource-namespace": {
      type: "string",
      default: "kube-system",
      help: "The namespace of the object that is held.",
    },
  }) as const satisfies Flags;
