/**
 * The options of a kubelet: the fields of KubeletConfiguration that have an effect here, and upstream's defaults.
 * Upstream: pkg/kubelet/apis/config/v1beta1/defaults.go
 */
import { DEFAULT_HARD } from "./eviction/thresholds.ts";
import { DEFAULT_POLICY } from "./images/gc.ts";

export interface KubeletOptions {
  readonly nodeName: string;
  /** Addresses of the node; found from the host when empty. */
  readonly nodeIPs?: readonly string[];
  readonly nodeLabels?: Readonly<Record<string, string>>;
  readonly registerWithTaints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly providerId?: string;
  readonly registerNode?: boolean;
  /** `/var/lib/kubelet`. */
  readonly rootDir?: string;
  /** `/var/log/pods`. */
  readonly podLogsDir?: string;
  /** `/var/log/containers`; empty makes no links. */
  readonly containerLogsDir?: string;
  readonly address?: string;
  /** 10250; 0 takes any free port. Undefined serves nothing. */
  readonly port?: number;
  /** 10248; 0 is off. */
  readonly healthzPort?: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** PEM of the CA whose client certificates are accepted. */
  readonly clientCa?: string;
  /** Who may use the server: by default the API server says. */
  readonly authorization?: "Webhook" | "AlwaysAllow";
  readonly clusterDns?: readonly string[];
  readonly clusterDomain?: string;
  readonly resolvConf?: string;
  readonly staticPodPath?: string;
  readonly staticPodUrl?: string;
  readonly fileCheckFrequencyMs?: number;
  readonly httpCheckFrequencyMs?: number;
  readonly syncFrequencyMs?: number;
  readonly maxPods?: number;
  readonly podCidr?: string;
  /** Where the machine's own are not the node's: capacity by resource, in quantities. */
  readonly capacity?: Readonly<Record<string, string>>;
  readonly kubeReserved?: Readonly<Record<string, string>>;
  readonly systemReserved?: Readonly<Record<string, string>>;
  /** `/` makes /kubepods; several nodes on one machine need one each: `/kubepods-NODE`. */
  readonly cgroupRoot?: string;
  readonly cgroupsPerQos?: boolean;
  readonly cgroupMount?: string;
  readonly podPidsLimit?: number;
  readonly cpuCfsQuota?: boolean;
  readonly seccompDefault?: boolean;
  readonly serializeImagePulls?: boolean;
  readonly crashLoopBackOffMaxMs?: number;
  readonly nodeStatusUpdateFrequencyMs?: number;
  readonly nodeStatusReportFrequencyMs?: number;
  readonly nodeLeaseDurationSeconds?: number;
  /** What the node must keep free: below it, pods are evicted. By signal, as quantities or parts (`10%`). */
  readonly evictionHard?: Readonly<Record<string, string>>;
  /** The same, with time: `evictionSoftGracePeriod` says how long each has to be met. */
  readonly evictionSoft?: Readonly<Record<string, string>>;
  readonly evictionSoftGracePeriod?: Readonly<Record<string, string>>;
  readonly evictionMinimumReclaim?: Readonly<Record<string, string>>;
  readonly evictionPressureTransitionMs?: number;
  /** The most that a pod is given to stop when a soft threshold is met. */
  readonly evictionMaxPodGraceSeconds?: number;
  /** Images are removed above this part of their disk; 100 never. */
  readonly imageGcHighPercent?: number;
  readonly imageGcLowPercent?: number;
  readonly imageMinimumGcAgeMs?: number;
  readonly containerLogMaxSizeBytes?: number;
  readonly containerLogMaxFiles?: number;
  /** What the node says of itself. */
  readonly kubeletVersion?: string;
  /** What /configz shows: a KubeletConfiguration. */
  readonly configz?: object;
}

type WithoutDefault =
  | "tls"
  | "clientCa"
  | "staticPodPath"
  | "staticPodUrl"
  | "providerId"
  | "port"
  | "podCidr"
  | "configz";

export type Settings = Required<Omit<KubeletOptions, WithoutDefault>> & Pick<KubeletOptions, WithoutDefault>;

export function withDefaults(options: KubeletOptions): Settings {
  const updateMs = options.nodeStatusUpdateFrequencyMs ?? 10_000;
  const { rootDir = "/var/lib/kubelet" } = options;
  return {
    nodeIPs: [],
    nodeLabels: {},
    registerWithTaints: [],
    registerNode: true,
    podLogsDir: "/var/log/pods",
    containerLogsDir: "/var/log/containers",
    address: "0.0.0.0",
    healthzPort: 0,
    authorization: "Webhook",
    clusterDns: [],
    clusterDomain: "cluster.local",
    resolvConf: "/etc/resolv.conf",
    fileCheckFrequencyMs: 20_000,
    httpCheckFrequencyMs: 20_000,
    syncFrequencyMs: 60_000,
    maxPods: 110,
    capacity: {},
    kubeReserved: {},
    systemReserved: {},
    cgroupRoot: "/",
    cgroupsPerQos: true,
    cgroupMount: "/sys/fs/cgroup",
    podPidsLimit: -1,
    cpuCfsQuota: true,
    seccompDefault: false,
    serializeImagePulls: true,
    crashLoopBackOffMaxMs: 300_000,
    // Upstream: the report frequency follows the update frequency when only that was set.
    nodeStatusReportFrequencyMs: options.nodeStatusUpdateFrequencyMs === undefined ? 300_000 : updateMs,
    nodeLeaseDurationSeconds: 40,
    evictionHard: DEFAULT_HARD,
    evictionSoft: {},
    evictionSoftGracePeriod: {},
    evictionMinimumReclaim: {},
    evictionPressureTransitionMs: 300_000,
    evictionMaxPodGraceSeconds: 0,
    imageGcHighPercent: DEFAULT_POLICY.highPercent,
    imageGcLowPercent: DEFAULT_POLICY.lowPercent,
    imageMinimumGcAgeMs: DEFAULT_POLICY.minAgeMs,
    containerLogMaxSizeBytes: 10 * 2 ** 20,
    containerLogMaxFiles: 5,
    kubeletVersion: "v1.36.2",
    ...options,
    nodeStatusUpdateFrequencyMs: updateMs,
    rootDir,
  };
}
