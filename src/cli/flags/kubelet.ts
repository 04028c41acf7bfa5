/** The flags of `kubelet`, spelled and defaulted as upstream's. Upstream: cmd/kubelet/app/options/options.go */
import { type Flags, withIgnored, withRefused } from "../flags.ts";
import { DEFAULT_HARD } from "../../kubelet/eviction/thresholds.ts";
import { logFlags } from "./common.ts";

const own = {
  config: { type: "string", default: "", help: "File with a KubeletConfiguration. Flags win over it." },
  "config-dir": {
    type: "string",
    default: "",
    help: "Folder with more of them (*.conf), merged over --config in the order of their names.",
  },
  kubeconfig: {
    type: "string",
    default: "",
    help: "Path to the kubeconfig file with the API server's address and the node's credentials.",
  },
  "container-runtime-endpoint": {
    type: "string",
    default: "unix:///run/containerd/containerd.sock",
    help: "The socket of the container runtime.",
  },
  "container-runtime": {
    type: "string",
    default: "remote",
    help: "What runs containers: remote for --container-runtime-endpoint, process for processes of this machine, simulated for nothing at all.",
  },
  "hostname-override": { type: "string", default: "", help: "The node's name. Empty: the machine's." },
  "node-ip": { type: "list", default: [], help: "The node's addresses. Empty: the machine's." },
  "node-labels": { type: "map", default: {}, help: "Labels to register the node with." },
  "register-node": { type: "bool", default: true, help: "Make the Node object where there is none." },
  "register-with-taints": { type: "list", default: [], help: "Taints to register the node with, as KEY=VALUE:EFFECT." },
  "provider-id": { type: "string", default: "", help: "What a cloud calls this machine." },
  "root-dir": {
    type: "string",
    default: "/var/lib/kubelet",
    help: "Where the kubelet keeps pods' volumes and its own files.",
  },
  "cert-dir": {
    type: "string",
    default: "/var/lib/kubelet/pki",
    help: "Where the serving certificate is looked for, and put when there is none. Unused with --tls-cert-file and --tls-private-key-file.",
  },
  "tls-cert-file": {
    type: "string",
    default: "",
    help: "File with the certificate for HTTPS. Without it one is made that nobody signed.",
  },
  "tls-private-key-file": { type: "string", default: "", help: "File with the private key of --tls-cert-file." },
  "client-ca-file": {
    type: "string",
    default: "",
    help: "Clients with a certificate of one of the authorities in this file are who its CommonName says.",
  },
  "anonymous-auth": { type: "bool", default: true, help: "Let requests in that nobody vouches for." },
  "authentication-token-webhook": { type: "bool", default: false, help: "Ask the API server about tokens." },
  "authorization-mode": {
    type: "string",
    default: "AlwaysAllow",
    help: "Who may use this server: AlwaysAllow for everybody, or Webhook for whom the API server says.",
  },
  address: { type: "string", default: "0.0.0.0", help: "The IP address to serve on." },
  port: { type: "int", default: 10250, help: "The port to serve on." },
  "healthz-port": { type: "int", default: 10248, help: "The port of /healthz on the loopback address. 0: none." },
  "cluster-dns": { type: "list", default: [], help: "Name servers for pods with the DNS policy ClusterFirst." },
  "cluster-domain": { type: "string", default: "", help: "The domain of the cluster, that pods search." },
  "resolv-conf": {
    type: "string",
    default: "/etc/resolv.conf",
    help: "The resolver configuration that pods' are made from.",
  },
  "pod-manifest-path": { type: "string", default: "", help: "A folder or file with static pods." },
  "manifest-url": { type: "string", default: "", help: "A URL with static pods." },
  "file-check-frequency": { type: "duration", default: 20_000, help: "How often --pod-manifest-path is read." },
  "http-check-frequency": { type: "duration", default: 20_000, help: "How often --manifest-url is read." },
  "sync-frequency": {
    type: "duration",
    default: 60_000,
    help: "How often a pod is compared with its containers though nothing happened.",
  },
  "node-status-update-frequency": {
    type: "duration",
    default: 10_000,
    help: "How often the node's status is found out.",
  },
  "max-pods": { type: "int", default: 110, help: "The most pods on this node." },
  "pod-max-pids": {
    type: "int",
    default: -1,
    help: "The most processes in a pod. -1: as many as the node has room for.",
  },
  "pod-cidr": {
    type: "string",
    default: "",
    help: "Where pods get their addresses from. In a cluster the node object says.",
  },
  "kube-reserved": {
    type: "map",
    default: {},
    help: "What of the node is kept for Kubernetes, as cpu=200m,memory=500Mi.",
  },
  "system-reserved": { type: "map", default: {}, help: "What of the node is kept for the system." },
  "cgroup-root": { type: "string", default: "", help: "The cgroup that pods' cgroups are made in." },
  "cgroups-per-qos": { type: "bool", default: true, help: "Make cgroups for the classes of service, and for pods." },
  "cpu-cfs-quota": { type: "bool", default: true, help: "Enforce CPU limits." },
  "seccomp-default": {
    type: "bool",
    default: false,
    help: "Give containers the runtime's seccomp profile where they name none.",
  },
  "serialize-image-pulls": { type: "bool", default: true, help: "Pull one image at a time." },
  "eviction-hard": {
    type: "map",
    separator: "<",
    default: DEFAULT_HARD,
    help: "What the node must keep free, as memory.available<1Gi: below it, pods are evicted at once.",
  },
  "eviction-soft": {
    type: "map",
    separator: "<",
    default: {},
    help: "The same, for pods that are given time. --eviction-soft-grace-period says how long each has to be met.",
  },
  "eviction-soft-grace-period": {
    type: "map",
    default: {},
    help: "How long a soft threshold has to be met before pods are evicted, as memory.available=90s.",
  },
  "eviction-minimum-reclaim": {
    type: "map",
    default: {},
    help: "How much more has to be free before a threshold is no longer met, as nodefs.available=500Mi.",
  },
  "eviction-pressure-transition-period": {
    type: "duration",
    default: 300_000,
    help: "How long a node's pressure is told after it has gone.",
  },
  "eviction-max-pod-grace-period": {
    type: "int",
    default: 0,
    help: "The most seconds that a pod is given when a soft threshold is met.",
  },
  "image-gc-high-threshold": {
    type: "int",
    default: 85,
    help: "The percentage of their disk above which images that nobody uses are removed. 100: never.",
  },
  "image-gc-low-threshold": { type: "int", default: 80, help: "The percentage at which no more images are removed." },
  "minimum-image-ttl-duration": {
    type: "duration",
    default: 120_000,
    help: "How long an image is kept before it may be removed.",
  },
  "container-log-max-size": {
    type: "string",
    default: "10Mi",
    help: "The size at which a container's log is rotated.",
  },
  "container-log-max-files": { type: "int", default: 5, help: "The most log files of a container." },
  "fail-swap-on": { type: "bool", default: true, help: "Don't start on a machine that swaps." },
  "tls-min-version": {
    type: "string",
    default: "",
    help: "The least TLS version. Only VersionTLS12, which is the least anyway, can be had.",
  },
  "feature-gates": { type: "map", default: {}, help: "Feature gates as name=true or name=false, comma separated." },
  ...logFlags,
} as const satisfies Flags;

export const kubeletFlags = withRefused(
  withIgnored(
    own,
    `vmodule log-flush-frequency:duration log-json-info-buffer-size log-json-split-stream:bool log-text-info-buffer-size log-text-split-stream:bool
    allowed-unsafe-sysctls:list application-metrics-count-limit:int authentication-token-webhook-cache-ttl:duration
    authorization-webhook-cache-authorized-ttl:duration authorization-webhook-cache-unauthorized-ttl:duration boot-id-file cgroup-driver
    cloud-config cloud-provider containerd containerd-namespace container-hints container-log-max-workers:int container-log-monitor-interval:duration
    contention-profiling:bool cpu-cfs-quota-period:duration cpu-manager-policy cpu-manager-policy-options:map cpu-manager-reconcile-period:duration
    enable-controller-attach-detach:bool enable-debugging-handlers:bool enable-load-reader:bool enable-server:bool enforce-node-allocatable:list
    event-burst:int event-qps:int event-storage-age-limit event-storage-event-limit
    exit-on-lock-contention:bool
    experimental-allocatable-ignore-eviction:bool global-housekeeping-interval:duration hairpin-mode healthz-bind-address housekeeping-interval:duration
    image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint
    keep-terminated-pod-volumes:bool kernel-memcg-notification:bool kube-api-burst:int kube-api-content-type kube-api-qps:int kube-reserved-cgroup
    kubelet-cgroups local-storage-capacity-isolation:bool lock-file log-cadvisor-usage:bool machine-id-file make-iptables-util-chains:bool
    manifest-url-header:list maximum-dead-containers:int maximum-dead-containers-per-container:int max-open-files:int memory-manager-policy
    minimum-container-ttl-duration:duration node-status-max-images:int oom-score-adj:int pod-infra-container-image
    pods-per-core:int protect-kernel-defaults:bool qos-reserved:map read-only-port:int registry-burst:int registry-qps:int reserved-cpus
    reserved-memory:list rotate-certificates:bool rotate-server-certificates:bool runtime-cgroups runtime-request-timeout:duration
    storage-driver-buffer-duration:duration storage-driver-db storage-driver-host storage-driver-password storage-driver-secure:bool
    storage-driver-table storage-driver-user streaming-connection-idle-timeout:duration system-cgroups system-reserved-cgroup
    topology-manager-policy topology-manager-policy-options:map topology-manager-scope volume-plugin-dir volume-stats-agg-period:duration`,
  ),
  {
    "bootstrap-kubeconfig": "a node can't ask for its certificate yet, it must have a --kubeconfig",
    "tls-cipher-suites:list": "the cipher suites are those of TLS 1.2 and 1.3 that Node considers safe",
  },
);
