/** Turns the flags of `kubelet` and its configuration file into a kubelet. Upstream: cmd/kubelet/app/server.go, pkg/kubelet/apis/config/v1beta1 */
import type { Component } from "../../base/component-group.ts";
import { createClient } from "../../client/create-client.ts";
import { createEventBroadcaster } from "../../client/event-recorder.ts";
import { httpsTransport } from "../../client/https.ts";
import { createInformers } from "../../client/informer/informers.ts";
import { createKubelet } from "../../kubelet/kubelet.ts";
import { parseThresholds } from "../../kubelet/eviction/thresholds.ts";
import type { KubeletOptions } from "../../kubelet/options.ts";
import { valueOf } from "../../kubelet/quantity.ts";
import type { Runtime } from "../../kubelet/runtimes/runtime.ts";
import { connectCri } from "../../protocols/cri/connect.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import { formatDuration, type Values } from "../flags.ts";
import { kubeletFlags } from "../flags/kubelet.ts";
import { together } from "../together.ts";
import { at, type Document, durationMs, overlay, readDocument, toDocument, withFile } from "./config-file.ts";
import { connection } from "./connection.ts";
import { featureGates } from "./feature-gates.ts";
import { closing, type Make, type Process } from "./process.ts";
import { servingTls } from "./serving.ts";
import { primaryAddress } from "../host-facts.ts";

type Options = Values<typeof kubeletFlags>;

/** Flags by their fields in a KubeletConfiguration. */
const FIELDS = {
  "container-runtime-endpoint": "containerRuntimeEndpoint",
  "provider-id": "providerID",
  "register-node": "registerNode",
  "tls-cert-file": "tlsCertFile",
  "tls-private-key-file": "tlsPrivateKeyFile",
  "tls-min-version": "tlsMinVersion",
  "client-ca-file": "authentication.x509.clientCAFile",
  "anonymous-auth": "authentication.anonymous.enabled",
  "authentication-token-webhook": "authentication.webhook.enabled",
  "authorization-mode": "authorization.mode",
  address: "address",
  port: "port",
  "healthz-port": "healthzPort",
  "cluster-dns": "clusterDNS",
  "cluster-domain": "clusterDomain",
  "resolv-conf": "resolvConf",
  "pod-manifest-path": "staticPodPath",
  "manifest-url": "staticPodURL",
  "file-check-frequency": "fileCheckFrequency",
  "http-check-frequency": "httpCheckFrequency",
  "sync-frequency": "syncFrequency",
  "node-status-update-frequency": "nodeStatusUpdateFrequency",
  "max-pods": "maxPods",
  "pod-max-pids": "podPidsLimit",
  "pod-cidr": "podCIDR",
  "kube-reserved": "kubeReserved",
  "system-reserved": "systemReserved",
  "cgroup-root": "cgroupRoot",
  "cgroups-per-qos": "cgroupsPerQOS",
  "cpu-cfs-quota": "cpuCFSQuota",
  "seccomp-default": "seccompDefault",
  "serialize-image-pulls": "serializeImagePulls",
  "eviction-hard": "evictionHard",
  "eviction-soft": "evictionSoft",
  "eviction-soft-grace-period": "evictionSoftGracePeriod",
  "eviction-minimum-reclaim": "evictionMinimumReclaim",
  "eviction-pressure-transition-period": "evictionPressureTransitionPeriod",
  "eviction-max-pod-grace-period": "evictionMaxPodGracePeriod",
  "image-gc-high-threshold": "imageGCHighThresholdPercent",
  "image-gc-low-threshold": "imageGCLowThresholdPercent",
  "minimum-image-ttl-duration": "imageMinimumGCAge",
  "container-log-max-size": "containerLogMaxSize",
  "container-log-max-files": "containerLogMaxFiles",
  "fail-swap-on": "failSwapOn",
  "feature-gates": "featureGates",
} as const;

/** Whoever has a file gets today's defaults for who may come in; flags alone keep those of old. */
const WITH_FILE: Document = {
  authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
  authorization: { mode: "Webhook" },
};

export const kubelet: Make<typeof kubeletFlags> = async (process) => {
  const { world, random, log, metrics } = process;
  const document = await configuration(world, process.values);
  const values = withFile(kubeletFlags, process, document, FIELDS);
  featureGates(values["feature-gates"]);
  await check(world, values);
  const nodeName = (values["hostname-override"] || world.host.hostname).trim().toLowerCase();
  const client = createClient(httpsTransport(world, await connection(world, values, process.userAgent)));
  const base = { clock: world.clock, random, log, client };
  const broadcaster = createEventBroadcaster(base);
  const informers = createInformers(base);
  const [before, runtime] = await runtimeOf(process, values);
  const options = await kubeletOptions(world, process, values, document, nodeName);
  const agent = createKubelet(options, {
    world: { ...world, random },
    client,
    log,
    informers,
    runtime,
    metrics,
    events: broadcaster.recorder("kubelet", nodeName),
  });
  return [...before, closing(together("kubelet", agent, broadcaster, informers), [client.transport])];
};

async function configuration({ fs }: World, values: Options): Promise<Document> {
  const [kind, apiVersion] = ["KubeletConfiguration", "kubelet.config.k8s.io/v1beta1"] as const;
  let document = await readDocument(fs, values.config, kind, apiVersion);
  const dir = values["config-dir"];
  if (dir !== "") {
    for (const name of await fs.list(dir))
      if (name.endsWith(".conf"))
        document = overlay(document, await readDocument(fs, `${dir}/${name}`, kind, apiVersion));
  }
  return values.config === "" && dir === "" ? document : overlay(WITH_FILE, document);
}

async function check({ fs }: World, values: Options): Promise<void> {
  if (values.kubeconfig === "")
    throw new CommandError("--kubeconfig is required: a kubelet without an API server can't be had yet");
  if (!["remote", "process", "simulated"].includes(values["container-runtime"]))
    throw new CommandError(
      `--container-runtime takes remote, process or simulated, not ${JSON.stringify(values["container-runtime"])}`,
    );
  if (!["AlwaysAllow", "Webhook"].includes(values["authorization-mode"]))
    throw new CommandError(`unknown authorization mode ${JSON.stringify(values["authorization-mode"])}`);
  if (values["fail-swap-on"] && values["container-runtime"] === "remote" && (await swaps(fs)))
    throw new CommandError(
      "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false",
    );
}

/** Swap that isn't memory itself: the first line is the table's head. */
async function swaps(fs: World["fs"]): Promise<boolean> {
  if ((await fs.stat("/proc/swaps")) === undefined) return false;
  const [, ...areas] = Buffer.from(await fs.readFile("/proc/swaps"))
    .toString()
    .trim()
    .split("\n");
  return areas.some((area) => !area.startsWith("/dev/zram"));
}

async function kubeletOptions(
  world: World,
  { log, set }: Process<typeof kubeletFlags>,
  values: Options,
  document: Document,
  nodeName: string,
): Promise<KubeletOptions> {
  const { cert, key, clientCa } = await servingTls(world, "kubelet", { ...values, "bind-address": values.address });
  // Without a container runtime of the machine's, nobody looks for logs at the machine's places.
  const logDir = values["container-runtime"] === "remote" ? "/var/log" : `${values["root-dir"]}/log`;
  const open = values["authorization-mode"] === "AlwaysAllow" && values["anonymous-auth"];
  if (values["authorization-mode"] === "AlwaysAllow" && !open)
    log.info("Without anonymous requests the API server is asked about all others, as with authorization mode Webhook");
  const statusMs = "node-status-update-frequency";
  const reportMs = durationMs(at(document, "nodeStatusReportFrequency"));
  const restartMs = durationMs(at(document, "crashLoopBackOff.maxContainerRestartPeriod"));
  const leaseSeconds = at(document, "nodeLeaseDurationSeconds");
  const taints = at(document, "registerWithTaints");
  const logs = at(document, "podLogsDir");
  return {
    nodeName,
    nodeIPs: values["node-ip"].length > 0 ? values["node-ip"] : [primaryAddress(world)],
    nodeLabels: values["node-labels"],
    registerWithTaints:
      set.has("register-with-taints") || !Array.isArray(taints) ? values["register-with-taints"].map(taintOf) : taints,
    ...(values["provider-id"] !== "" && { providerId: values["provider-id"] }),
    registerNode: values["register-node"],
    rootDir: values["root-dir"],
    podLogsDir: typeof logs === "string" ? logs : `${logDir}/pods`,
    containerLogsDir: `${logDir}/containers`,
    configz: toDocument(kubeletFlags, values, FIELDS, {
      enableServer: true,
      cgroupDriver: "cgroupfs",
      ...document,
      nodeStatusReportFrequency: formatDuration(reportMs ?? 300_000),
      nodeLeaseDurationSeconds: leaseSeconds ?? 40,
      podLogsDir: typeof logs === "string" ? logs : `${logDir}/pods`,
    }),
    address: values.address,
    port: values.port,
    healthzPort: values["healthz-port"],
    tls: { cert, key },
    ...(clientCa !== undefined && { clientCa }),
    authorization: open ? "AlwaysAllow" : "Webhook",
    clusterDns: values["cluster-dns"],
    clusterDomain: values["cluster-domain"],
    resolvConf: values["resolv-conf"],
    ...(values["pod-manifest-path"] !== "" && { staticPodPath: values["pod-manifest-path"] }),
    ...(values["manifest-url"] !== "" && { staticPodUrl: values["manifest-url"] }),
    fileCheckFrequencyMs: values["file-check-frequency"],
    httpCheckFrequencyMs: values["http-check-frequency"],
    syncFrequencyMs: values["sync-frequency"],
    maxPods: values["max-pods"],
    podPidsLimit: values["pod-max-pids"],
    ...(values["pod-cidr"] !== "" && { podCidr: values["pod-cidr"] }),
    kubeReserved: values["kube-reserved"],
    systemReserved: values["system-reserved"],
    cgroupRoot: values["cgroup-root"] || "/",
    cgroupsPerQos: values["cgroups-per-qos"],
    cpuCfsQuota: values["cpu-cfs-quota"],
    seccompDefault: values["seccomp-default"],
    serializeImagePulls: values["serialize-image-pulls"],
    ...((set.has(statusMs) || at(document, FIELDS[statusMs]) !== undefined) && {
      nodeStatusUpdateFrequencyMs: values[statusMs],
    }),
    ...(reportMs !== undefined && { nodeStatusReportFrequencyMs: reportMs }),
    ...(restartMs !== undefined && { crashLoopBackOffMaxMs: restartMs }),
    ...(typeof leaseSeconds === "number" && { nodeLeaseDurationSeconds: leaseSeconds }),
    ...evictionOptions(values),
    imageGcHighPercent: values["image-gc-high-threshold"],
    imageGcLowPercent: values["image-gc-low-threshold"],
    imageMinimumGcAgeMs: values["minimum-image-ttl-duration"],
    containerLogMaxSizeBytes: valueOf(values["container-log-max-size"]),
    containerLogMaxFiles: values["container-log-max-files"],
  };
}

function evictionOptions(values: Options) {
  const options = {
    evictionHard: values["eviction-hard"],
    evictionSoft: values["eviction-soft"],
    evictionSoftGracePeriod: values["eviction-soft-grace-period"],
    evictionMinimumReclaim: values["eviction-minimum-reclaim"],
  };
  try {
    parseThresholds({
      hard: options.evictionHard,
      soft: options.evictionSoft,
      softGracePeriod: options.evictionSoftGracePeriod,
      minimumReclaim: options.evictionMinimumReclaim,
    });
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
  return {
    ...options,
    evictionPressureTransitionMs: values["eviction-pressure-transition-period"],
    evictionMaxPodGraceSeconds: values["eviction-max-pod-grace-period"],
  };
}

/** `KEY=VALUE:EFFECT`, `KEY:EFFECT`. */
function taintOf(text: string): { readonly key: string; readonly value?: string; readonly effect: string } {
  const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text) ?? [];
  if (!key || !["NoSchedule", "PreferNoSchedule", "NoExecute"].includes(effect ?? ""))
    throw new CommandError(
      `invalid argument ${JSON.stringify(text)} for "--register-with-taints" flag: invalid taint spec: ${text}`,
    );
  return { key, ...(value && { value }), effect: effect! };
}

async function runtimeOf(
  { world, log }: Process<typeof kubeletFlags>,
  values: Options,
): Promise<readonly [readonly Component[], Runtime]> {
  switch (values["container-runtime"]) {
    case "process": {
      const { createProcessRuntime } = await import("../../kubelet/runtimes/process/process.ts");
      const dir = values["root-dir"];
      const process = createProcessRuntime(
        {
          dir: `${dir}/process`,
          imageDir: `${dir}/images`,
          address: values["node-ip"][0] ?? primaryAddress(world),
          clusterCidr: "10.244.0.0/16",
        },
        { ...world, log },
      );
      return [[process], process.runtime];
    }
    case "simulated": {
      const { createSimulatedRuntime } = await import("../../kubelet/runtimes/simulated/index.ts");
      return [[], createSimulatedRuntime({ clock: world.clock, random: world.random.fork("runtime") })];
    }
    default: {
      const cri = connectCri(world, values["container-runtime-endpoint"]);
      return [
        [closing({ name: "container runtime", run: untilAborted }, [cri])],
        { name: "remote", runtime: cri.runtime, images: cri.images, usesFiles: true, usesCgroups: true },
      ];
    }
  }
}

async function untilAborted(signal: AbortSignal, ready: () => void): Promise<void> {
  ready();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
