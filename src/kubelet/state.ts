/** The parts of a kubelet, put together, and what it keeps of its pods: what all that acts on pods works with. */
import type { Pod } from "../api/generated/core.v1.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer/informer.ts";
import { createInformers } from "../client/informer/informers.ts";
import { nodes, pods as podResource, services as serviceResource } from "../client/resources.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { World } from "../world/world.ts";
import { admit } from "./admission/admit.ts";
import { Allocator } from "./allocation/allocator.ts";
import { ResourceCheckpoint } from "./allocation/checkpoint.ts";
import { ResizeConditions } from "./allocation/conditions.ts";
import { CgroupManager } from "./cgroups/manager.ts";
import type { EvictionManager } from "./eviction/manager.ts";
import { evictionsOf, imageCollectorOf } from "./evictions.ts";
import type { ImageCollector } from "./images/collector.ts";
import { PullQueue } from "./images/ensure.ts";
import { activePods } from "./intake.ts";
import { NodeManager } from "./node/manager.ts";
import type { Settings } from "./options.ts";
import { pathsUnder } from "./paths.ts";
import type { Paths } from "./paths.ts";
import { Pleg } from "./pleg/pleg.ts";
import { PodWorkers } from "./pod-workers/worker.ts";
import type { PodActs } from "./pod-workers/worker.ts";
import { ProbeManager } from "./probes/manager.ts";
import { valueOf } from "./quantity.ts";
import { ReferencedObjects } from "./references.ts";
import { BackOff } from "./runtime/back-off.ts";
import { StartErrors } from "./runtime/context.ts";
import type { RuntimeContext } from "./runtime/context.ts";
import type { PodCgroupValues } from "./runtime/resize.ts";
import { withTimeouts } from "./runtime/timeouts.ts";
import type { Runtime } from "./runtimes/runtime.ts";
import type { Source } from "./sources/source.ts";
import type { Verdict } from "./status/generate.ts";
import { StatusManager } from "./status/manager.ts";
import { apiPodOf } from "./status/pod-status.ts";
import { downwardOf, dnsSettings, initialNode, pullSecretsOf, runtimeHandlerOf, servicesOf } from "./surroundings.ts";
import { cleanUpPod, podFinished, stopPod, syncOnce } from "./sync-pod.ts";
import { VolumeManager } from "./volumes/manager.ts";
import { TokenManager } from "./volumes/tokens.ts";

export interface KubeletDeps {
  readonly world: World;
  readonly client: Client;
  /** Those of the process, or the kubelet's own where undefined. */
  readonly informers?: Informers;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly runtime: Runtime;
}

const REFERENCE_TTL_MS = 20_000;

export class KubeletState {
  readonly settings: Settings;
  readonly world: World;
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly cri: Runtime;
  runtimeName = "";
  port: number | undefined;

  readonly events: EventRecorder;
  readonly informers: Informers;
  readonly ownInformers: boolean;
  readonly podInformer: Informer<Pod>;
  readonly serviceInformer: Informer<any>;
  readonly paths: Paths;
  readonly nodeManager: NodeManager;
  readonly workers: PodWorkers;
  readonly pleg: Pleg;
  readonly probes: ProbeManager;
  readonly status: StatusManager;
  readonly volumes: VolumeManager;
  readonly cgroups: CgroupManager | undefined;
  readonly context: RuntimeContext;
  readonly pulls: PullQueue;
  readonly references: ReferencedObjects;
  readonly allocated: ResourceCheckpoint;
  readonly actuated: ResourceCheckpoint;
  readonly resizes: ResizeConditions;
  readonly allocator: Allocator;
  /** Where containers use what the machine has. */
  readonly evictions: EvictionManager | undefined;
  readonly images: ImageCollector | undefined;

  /** All pods of this node by uid, but for mirrors. */
  readonly pods = new Map<string, Pod>();
  /** Uids by `name_namespace`, of `pods`. */
  readonly uids = new Map<string, string>();
  readonly mirrors = new Map<string, Pod>();
  readonly admitted = new Set<string>();
  readonly arrivals = new Map<string, Pod>();
  /** Why the node ended or refused a pod. */
  readonly verdicts = new Map<string, Verdict>();
  readonly deadlines = new Map<string, Disposable>();
  readonly messages = new Map<string, string>();
  /** What the cgroup of each pod said last. */
  readonly podCgroups = new Map<string, PodCgroupValues>();
  readonly sourcesReady = new Set<string>();
  sources: readonly Source[] = [];
  started = false;
  arrivalsWaiting = false;
  stopping = false;

  constructor(settings: Settings, deps: KubeletDeps, cgroups: { readonly version: 1 | 2; readonly swap: boolean }) {
    const { world, client, log } = deps;
    const cri = deps.runtime.usesFiles ? withTimeouts(deps.runtime) : deps.runtime;
    this.settings = settings;
    this.world = world;
    this.client = client;
    this.log = log;
    this.metrics = deps.metrics;
    this.cri = cri;
    this.events = deps.events;
    this.ownInformers = deps.informers === undefined;
    this.informers =
      deps.informers ?? createInformers({ client, clock: world.clock, random: world.random.fork("informers"), log });
    this.podInformer = this.informers.of(podResource, { fieldSelector: `spec.nodeName=${settings.nodeName}` });
    this.serviceInformer = this.informers.of(serviceResource);
    this.paths = pathsUnder(settings.rootDir);
    this.nodeManager = new NodeManager({
      client,
      world,
      log,
      events: deps.events,
      cri,
      informer: this.informers.of(nodes, { fieldSelector: `metadata.name=${settings.nodeName}` }),
      settings,
      health: () => ({ problems: [], pressures: this.evictions?.pressures ?? new Set() }),
      port: () => this.port ?? 0,
    });
    this.workers = new PodWorkers(world, log, actsOf(this), {
      resyncMs: cri.usesFiles ? settings.syncFrequencyMs : undefined,
    });
    this.pleg = new Pleg(world, log, cri, (uid) => {
      this.probes.observe(uid);
      this.workers.wake(uid);
    });
    this.probes = new ProbeManager(
      world,
      cri,
      deps.events,
      (uid) => this.pleg.get(uid),
      (uid) => this.workers.wake(uid),
    );
    this.status = new StatusManager(client, world.clock, log, (pod) => apiPodOf(this, pod));
    this.references = new ReferencedObjects(client, world.clock, REFERENCE_TTL_MS);
    const tokens = new TokenManager(client, world, log);
    this.volumes = new VolumeManager(
      {
        world,
        log,
        references: this.references,
        tokens,
        downward: (podIPs) => downwardOf(this, podIPs),
        writesFiles: cri.usesFiles,
        mayMount: cri.usesFiles && world.host.uid === 0 && world.host.platform === "linux",
      },
      deps.events,
      this.paths,
    );
    const memoryCapacityBytes =
      settings.capacity["memory"] === undefined ? world.host.memory().totalBytes : valueOf(settings.capacity["memory"]);
    const resourceSettings = {
      cpuCfsQuota: settings.cpuCfsQuota,
      memoryCapacityBytes,
      cgroupVersion: cgroups.version,
      swapController: cgroups.swap,
    };
    this.cgroups =
      cri.usesCgroups && settings.cgroupsPerQos
        ? new CgroupManager(world, log, {
            ...resourceSettings,
            mount: settings.cgroupMount,
            root: settings.cgroupRoot,
            podPidsLimit: settings.podPidsLimit,
          })
        : undefined;
    this.pulls = new PullQueue(settings.serializeImagePulls);
    const checkpoint = (name: string) => (cri.usesFiles ? `${settings.rootDir}/${name}` : undefined);
    this.allocated = new ResourceCheckpoint(world.fs, checkpoint("allocated_pods_state"));
    this.actuated = new ResourceCheckpoint(world.fs, checkpoint("actuated_pods_state"));
    this.resizes = new ResizeConditions(world.clock, deps.metrics);
    this.allocator = new Allocator({
      clock: world.clock,
      log,
      events: deps.events,
      metrics: deps.metrics,
      conditions: this.resizes,
      checkpoint: this.allocated,
      podOf: (uid) => this.pods.get(uid),
      activePods: () => activePods(this),
      admit: (pod, others) =>
        this.evictions?.admit(pod) ?? admit(pod, this.nodeManager.node ?? initialNode(this), others, osOf(world)),
      wake: (uid) => this.workers.wake(uid),
    });
    this.images = cri.usesFiles ? imageCollectorOf(this) : undefined;
    this.evictions = this.images && evictionsOf(this, this.images);
    this.context = {
      world,
      cri,
      log,
      events: deps.events,
      metrics: deps.metrics,
      paths: this.paths,
      containerLogsDir: settings.containerLogsDir,
      settings: {
        ...resourceSettings,
        podLogsDir: settings.podLogsDir,
        clusterDomain: settings.clusterDomain,
        seccompRoot: `${settings.rootDir}/seccomp`,
        seccompDefault: settings.seccompDefault,
        serializeImagePulls: settings.serializeImagePulls,
      },
      probes: this.probes,
      crashBackOff: new BackOff(10_000, settings.crashLoopBackOffMaxMs),
      imageBackOff: new BackOff(10_000, 300_000),
      pullFailures: new Map(),
      startErrors: new StartErrors(),
      actuated: this.actuated,
      podCgroups: this.cgroups,
      dns: () => dnsSettings(this),
      cgroupParent: (pod) => this.cgroups?.pathOf(pod) ?? "",
      runtimeHandler: (pod) => runtimeHandlerOf(this, pod),
      services: (pod) => servicesOf(this, pod),
      references: (namespace, names) => this.references.several(namespace, names),
      pullSecrets: (pod) => pullSecretsOf(this, pod),
      downward: (podIPs) => downwardOf(this, podIPs),
      volumePath: (pod, volume) => this.volumes.pathOf(pod.metadata.uid, volume),
    };
  }
}

function actsOf(kubelet: KubeletState): PodActs {
  return {
    sync: (pod, signal) => syncOnce(kubelet, pod, signal),
    stop: (pod, graceSeconds, signal) => stopPod(kubelet, pod, graceSeconds, signal),
    cleanUp: (pod) => cleanUpPod(kubelet, pod),
    finished: (pod) => podFinished(kubelet, pod),
  };
}

const osOf = (world: World): string => (world.host.platform === "win32" ? "windows" : world.host.platform);
