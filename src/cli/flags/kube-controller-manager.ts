/** The flags of `kube-controller-manager`, spelled and defaulted as upstream's. Upstream: cmd/kube-controller-manager/app/options */
import { type Flag, type Flags, withIgnored } from "../flags.ts";
import { componentFlags, connectionFlags, delegatedFlags, leaderElectionFlags, servingFlags } from "./component.ts";

const workers = (count: number, what: string) =>
  ({ type: "int", default: count, help: `How many ${what} are synced at a time.` }) as const;

/** Read by the controllers under these names. */
export const controllerFlags = {
  "cluster-cidr": {
    type: "string",
    default: "",
    help: "Where pods get their addresses from; needs --allocate-node-cidrs.",
  },
  "service-cluster-ip-range": {
    type: "string",
    default: "",
    help: "Where services get their addresses from: no node gets any of it.",
  },
  "allocate-node-cidrs": {
    type: "bool",
    default: false,
    help: "Give each node a range of --cluster-cidr for its pods.",
  },
  "cluster-signing-duration": {
    type: "duration",
    default: 8760 * 3_600_000,
    help: "How long certificates that are signed are good for, unless less is asked for.",
  },
  "cluster-name": { type: "string", default: "kubernetes", help: "The cluster's name." },
  "node-cidr-mask-size": {
    type: "int",
    default: 0,
    help: "The prefix length of a node's range. 0: 24 for IPv4, 64 for IPv6.",
  },
  "node-cidr-mask-size-ipv4": { type: "int", default: 0, help: "As --node-cidr-mask-size, for IPv4." },
  "node-cidr-mask-size-ipv6": { type: "int", default: 0, help: "As --node-cidr-mask-size, for IPv6." },
  "node-monitor-period": { type: "duration", default: 5_000, help: "How often nodes are looked at." },
  "node-monitor-grace-period": {
    type: "duration",
    default: 50_000,
    help: "How long a node may be silent before it is taken for unhealthy.",
  },
  "node-startup-grace-period": { type: "duration", default: 60_000, help: "The same for a node that starts." },
  "node-eviction-rate": {
    type: "float",
    default: 0.1,
    help: "Nodes a second that lose their pods when they fail in a healthy zone.",
  },
  "secondary-node-eviction-rate": { type: "float", default: 0.01, help: "The same in a zone that is unhealthy." },
  "unhealthy-zone-threshold": {
    type: "float",
    default: 0.55,
    help: "The part of a zone's nodes that must fail for the zone to be unhealthy.",
  },
  "large-cluster-size-threshold": {
    type: "int",
    default: 50,
    help: "Nodes from which on a cluster is large for --secondary-node-eviction-rate.",
  },
  "terminated-pod-gc-threshold": { type: "int", default: 12_500, help: "Ended pods that may be kept. 0 or less: all." },
  "resource-quota-sync-period": { type: "duration", default: 300_000, help: "How often quotas are counted anew." },
  "max-endpoints-per-slice": { type: "int", default: 100, help: "The most endpoints in one EndpointSlice." },
  "concurrent-cron-job-syncs": workers(5, "cron jobs"),
  "concurrent-daemonset-syncs": workers(2, "daemon sets"),
  "concurrent-deployment-syncs": workers(5, "deployments"),
  "concurrent-endpoint-syncs": workers(5, "endpoints"),
  "concurrent-ephemeralvolume-syncs": workers(5, "ephemeral volumes"),
  "concurrent-gc-syncs": workers(20, "garbage objects"),
  "concurrent-horizontal-pod-autoscaler-syncs": workers(5, "autoscalers"),
  "concurrent-job-syncs": workers(5, "jobs"),
  "concurrent-namespace-syncs": workers(10, "namespaces"),
  concurrent_rc_syncs: workers(5, "replication controllers"),
  "concurrent-replicaset-syncs": workers(5, "replica sets"),
  "concurrent-resource-quota-syncs": workers(5, "quotas"),
  "concurrent-service-endpoint-syncs": workers(5, "services' EndpointSlices"),
  "concurrent-serviceaccount-token-syncs": workers(5, "token secrets"),
  "concurrent-statefulset-syncs": workers(5, "stateful sets"),
  "concurrent-ttl-after-finished-syncs": workers(5, "finished jobs"),
  "concurrent-validating-admission-policy-status-syncs": workers(5, "policies"),
} as const satisfies Flags;

/** An authority of one signer's own. */
function signerFlags<const N extends string>(name: N, signer: string) {
  return {
    [`cluster-signing-${name}-cert-file`]: {
      type: "string",
      default: "",
      help: `The authority that the signer ${signer} signs with, in place of --cluster-signing-cert-file.`,
    },
    [`cluster-signing-${name}-key-file`]: {
      type: "string",
      default: "",
      help: `The private key of --cluster-signing-${name}-cert-file.`,
    },
  } as Readonly<Record<`cluster-signing-${N}-${"cert" | "key"}-file`, Flag & { readonly type: "string" }>>;
}

export const kubeControllerManagerFlags = withIgnored(
  {
    ...servingFlags(10257, ""),
    ...delegatedFlags,
    ...connectionFlags,
    ...leaderElectionFlags("kube-controller-manager"),
    controllers: {
      type: "list",
      default: ["*"],
      help: "Controllers to run: * for all that are on by default, NAME for one more, -NAME for one less.",
    },
    "use-service-account-credentials": {
      type: "bool",
      default: false,
      help: "Let each controller act as a service account of its own.",
    },
    "root-ca-file": {
      type: "string",
      default: "",
      help: "The authority that goes into service account secrets and the ConfigMap kube-root-ca.crt.",
    },
    "service-account-private-key-file": {
      type: "string",
      default: "",
      help: "The private key that secrets with service account tokens are signed with.",
    },
    "cluster-signing-cert-file": {
      type: "string",
      default: "",
      help: "The authority that certificate signing requests are signed with.",
    },
    "cluster-signing-key-file": {
      type: "string",
      default: "",
      help: "The private key of --cluster-signing-cert-file.",
    },
    ...signerFlags("kubelet-serving", "kubernetes.io/kubelet-serving"),
    ...signerFlags("kubelet-client", "kubernetes.io/kube-apiserver-client-kubelet"),
    ...signerFlags("kube-apiserver-client", "kubernetes.io/kube-apiserver-client"),
    ...signerFlags("legacy-unknown", "kubernetes.io/legacy-unknown"),
    ...controllerFlags,
    ...componentFlags,
  },
  `attach-detach-reconcile-sync-period:duration cidr-allocator-type cloud-config cloud-provider
  concurrent-device-taint-eviction-syncs:int concurrent-resourceclaim-syncs:int concurrent-service-syncs:int
  configure-cloud-routes:bool controller-shutdown-timeout:duration
  controller-start-interval:duration disable-attach-detach-reconcile-sync:bool disable-force-detach-on-timeout:bool
  enable-dynamic-provisioning:bool enable-garbage-collector:bool enable-hostpath-provisioner:bool enable-leader-migration:bool
  endpoint-updates-batch-period:duration endpointslice-updates-batch-period:duration flex-volume-plugin-dir
  horizontal-pod-autoscaler-cpu-initialization-period:duration horizontal-pod-autoscaler-downscale-stabilization:duration
  horizontal-pod-autoscaler-initial-readiness-delay:duration horizontal-pod-autoscaler-sync-period:duration
  horizontal-pod-autoscaler-tolerance:float legacy-service-account-token-clean-up-period:duration
  leader-migration-config min-resync-period:duration mirroring-concurrent-service-endpoint-syncs:int
  mirroring-endpointslice-updates-batch-period:duration mirroring-max-endpoints-per-subset:int namespace-sync-period:duration
  external-cloud-volume-plugin pod-eviction-timeout:duration pv-recycler-increment-timeout-nfs:int
  pv-recycler-minimum-timeout-hostpath:int pv-recycler-minimum-timeout-nfs:int pv-recycler-pod-template-filepath-hostpath
  pv-recycler-pod-template-filepath-nfs pv-recycler-timeout-increment-hostpath:int pvclaimbinder-sync-period:duration
  route-reconciliation-period:duration`,
);
