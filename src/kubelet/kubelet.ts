/**
 * The node agent: takes pods from the API server, a folder and a URL, brings the container runtime to what they say, and reports. It speaks
 * CRI to the runtime and REST to the API server, and nothing else. Upstream: pkg/kubelet/kubelet.go
 */
import type { Node, Pod, PodStatus } from "../api/generated/core.v1.ts";
import type { Component } from "../base/component-group.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer/informer.ts";
import { createInformers } from "../client/informer/informers.ts";
import { nodes, pods as podResource, runtimeClasses, services as serviceResource } from "../client/resources.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { hasReason } from "../machinery/status.ts";
import { every, pause } from "../world/time.ts";
import type { World } from "../world/world.ts";
import { admit } from "./admission/admit.ts";
import { Allocator } from "./allocation/allocator.ts";
import { ResourceCheckpoint } from "./allocation/checkpoint.ts";
import { ResizeConditions } from "./allocation/conditions.ts";
import { resizeCompleted, resizeFailed } from "./allocation/messages.ts";
import { allocationOf } from "./allocation/resources.ts";
import { CgroupManager, cgroupVersionAt, hasSwapController } from "./cgroups/manager.ts";
import { fullName, podText, secondsSince } from "./format.ts";
import { PullQueue } from "./images/ensure.ts";
import { METRICS } from "./metrics.ts";
import { keepLease } from "./node/lease.ts";
import { NodeManager } from "./node/manager.ts";
import { withDefaults } from "./options.ts";
import type { KubeletOptions, Settings } from "./options.ts";
import { pathsUnder } from "./paths.ts";
import type { Paths } from "./paths.ts";
import { Pleg } from "./pleg/pleg.ts";
import { isMirror, isStatic, isTerminalPhase } from "./pod.ts";
import { PodWorkers, RetryLater } from "./pod-workers/worker.ts";
import type { PodActs } from "./pod-workers/worker.ts";
import { ProbeManager } from "./probes/manager.ts";
import { valueOf } from "./quantity.ts";
import { ReferencedObjects } from "./references.ts";
import { BackOff } from "./runtime/back-off.ts";
import { errorText, podReference, StartErrors } from "./runtime/context.ts";
import type { RuntimeContext } from "./runtime/context.ts";
import { parseResolvConf } from "./runtime/dns.ts";
import type { DownwardContext } from "./runtime/downward.ts";
import { killPod } from "./runtime/kill.ts";
import { isResizeInProgress } from "./runtime/resize-plan.ts";
import { rotateLogs } from "./runtime/log-rotation.ts";
import { podLogDir } from "./runtime/sandbox-config.ts";
import type { PodCgroupValues } from "./runtime/resize.ts";
import type { RuntimeContainer, RuntimePod } from "./runtime/state.ts";
import { syncPod } from "./runtime/sync.ts";
import { withTimeouts } from "./runtime/timeouts.ts";
import type { Runtime } from "./runtimes/runtime.ts";
import { serveHealthz, serveKubelet } from "./server/server.ts";
import { fileSource } from "./sources/file.ts";
import { httpSource } from "./sources/http.ts";
import { createMirror, deleteMirror, isMirrorOf } from "./sources/mirror.ts";
import type { Source } from "./sources/source.ts";
import { generateStatus } from "./status/generate.ts";
import { StatusManager } from "./status/manager.ts";
import { isOwnedCondition } from "./status/conditions.ts";
import { terminationMessage } from "./status/termination-message.ts";
import { VolumeManager } from "./volumes/manager.ts";
import { TokenManager } from "./volumes/tokens.ts";
import { newNode, nodeStatus } from "./node/status.ts";

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

export interface KubeletComponent extends Component {
  /** Where the server listens, once it does. */
  readonly port: number | undefined;
}

const HOUSEKEEPING_MS = 30_000;
const REFERENCE_TTL_MS = 20_000;
const ORPHAN_GRACE_SECONDS = 1;
const NETWORK_RETRY_MS = 1000;

export function createKubelet(options: KubeletOptions, deps: KubeletDeps): KubeletComponent {
  const settings = withDefaults(options);
  let kubelet: Kubelet | undefined;
  return {
    name: "kubelet",
    get port() {
      return kubelet?.port;
    },
    async run(signal, ready) {
      const { world, runtime } = deps;
      const cgroupVersion = runtime.usesCgroups ? await cgroupVersionAt(world.fs, settings.cgroupMount) : 2;
      const swap = runtime.usesCgroups && (await hasSwapController(world.fs, settings.cgroupMount, cgroupVersion));
      kubelet = new Kubelet(settings, deps, { version: cgroupVersion, swap });
      await kubelet.run(signal, ready);
    },
  };
}

/** What the server and the metrics may see of the kubelet. */
export interface KubeletView {
  readonly settings: Settings;
  readonly world: World;
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly cri: Runtime;
  readonly runtimeName: string;
  readonly node: Node | undefined;
  /** Pods of the node with the status that the kubelet gives them. */
  pods(): readonly Pod[];
  podByName(namespace: string, name: string): Pod | undefined;
  runtimeOf(uid: string): RuntimePod;
  isHealthy(): boolean;
}

class Kubelet implements PodActs, KubeletView {
  readonly settings: Settings;
  readonly world: World;
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly cri: Runtime;
  runtimeName = "";
  port: number | undefined;

  readonly #events: EventRecorder;
  readonly #informers: Informers;
  readonly #ownInformers: boolean;
  readonly #podInformer: Informer<Pod>;
  readonly #serviceInformer: Informer<any>;
  readonly #paths: Paths;
  readonly #node: NodeManager;
  readonly #workers: PodWorkers;
  readonly #pleg: Pleg;
  readonly #probes: ProbeManager;
  readonly #status: StatusManager;
  readonly #volumes: VolumeManager;
  readonly #cgroups: CgroupManager | undefined;
  readonly #context: RuntimeContext;
  readonly #pulls: PullQueue;
  readonly #allocated: ResourceCheckpoint;
  readonly #actuated: ResourceCheckpoint;
  readonly #resizes: ResizeConditions;
  readonly #allocator: Allocator;

  /** All pods of this node by uid, but for mirrors. */
  readonly #pods = new Map<string, Pod>();
  /** Uids by `name_namespace`, of `#pods`. */
  readonly #uids = new Map<string, string>();
  readonly #mirrors = new Map<string, Pod>();
  readonly #admitted = new Set<string>();
  readonly #arrivals = new Map<string, Pod>();
  readonly #verdicts = new Map<string, { readonly reason: string; readonly message: string }>();
  readonly #deadlines = new Map<string, Disposable>();
  readonly #messages = new Map<string, string>();
  /** What the cgroup of each pod said last. */
  readonly #podCgroups = new Map<string, PodCgroupValues>();
  readonly #sourcesReady = new Set<string>();
  #sources: readonly Source[] = [];
  #started = false;
  #arrivalsWaiting = false;
  #stopping = false;

  constructor(settings: Settings, deps: KubeletDeps, cgroups: { readonly version: 1 | 2; readonly swap: boolean }) {
    const { world, client, log } = deps;
    const cri = deps.runtime.usesFiles ? withTimeouts(deps.runtime) : deps.runtime;
    this.settings = settings;
    this.world = world;
    this.client = client;
    this.log = log;
    this.metrics = deps.metrics;
    this.cri = cri;
    this.#events = deps.events;
    this.#ownInformers = deps.informers === undefined;
    this.#informers =
      deps.informers ?? createInformers({ client, clock: world.clock, random: world.random.fork("informers"), log });
    this.#podInformer = this.#informers.of(podResource, { fieldSelector: `spec.nodeName=${settings.nodeName}` });
    this.#serviceInformer = this.#informers.of(serviceResource);
    this.#paths = pathsUnder(settings.rootDir);
    this.#node = new NodeManager({
      client,
      world,
      log,
      events: deps.events,
      cri,
      informer: this.#informers.of(nodes, { fieldSelector: `metadata.name=${settings.nodeName}` }),
      settings,
      health: () => ({ problems: [], pressures: new Set() }),
      port: () => this.port ?? 0,
    });
    this.#workers = new PodWorkers(world, log, this, {
      resyncMs: cri.usesFiles ? settings.syncFrequencyMs : undefined,
    });
    this.#pleg = new Pleg(world, log, cri, (uid) => {
      this.#probes.observe(uid);
      this.#workers.wake(uid);
    });
    this.#probes = new ProbeManager(
      world,
      cri,
      deps.events,
      (uid) => this.#pleg.get(uid),
      (uid) => this.#workers.wake(uid),
    );
    this.#status = new StatusManager(client, world.clock, log, (pod) => this.#apiPod(pod));
    const references = new ReferencedObjects(client, world.clock, REFERENCE_TTL_MS);
    const tokens = new TokenManager(client, world, log);
    this.#volumes = new VolumeManager(
      {
        world,
        log,
        references,
        tokens,
        downward: (podIPs) => this.#downward(podIPs),
        writesFiles: cri.usesFiles,
        mayMount: cri.usesFiles && world.host.uid === 0 && world.host.platform === "linux",
      },
      deps.events,
      this.#paths,
    );
    const memoryCapacityBytes =
      settings.capacity["memory"] === undefined ? world.host.memory().totalBytes : valueOf(settings.capacity["memory"]);
    const resourceSettings = {
      cpuCfsQuota: settings.cpuCfsQuota,
      memoryCapacityBytes,
      cgroupVersion: cgroups.version,
      swapController: cgroups.swap,
    };
    this.#cgroups =
      cri.usesCgroups && settings.cgroupsPerQos
        ? new CgroupManager(world, log, {
            ...resourceSettings,
            mount: settings.cgroupMount,
            root: settings.cgroupRoot,
            podPidsLimit: settings.podPidsLimit,
          })
        : undefined;
    this.#pulls = new PullQueue(settings.serializeImagePulls);
    const checkpoint = (name: string) => (cri.usesFiles ? `${settings.rootDir}/${name}` : undefined);
    this.#allocated = new ResourceCheckpoint(world.fs, checkpoint("allocated_pods_state"));
    this.#actuated = new ResourceCheckpoint(world.fs, checkpoint("actuated_pods_state"));
    this.#resizes = new ResizeConditions(world.clock, deps.metrics);
    this.#allocator = new Allocator({
      clock: world.clock,
      log,
      events: deps.events,
      metrics: deps.metrics,
      conditions: this.#resizes,
      checkpoint: this.#allocated,
      podOf: (uid) => this.#pods.get(uid),
      activePods: () => this.#activePods(),
      admit: (pod, others) => admit(pod, this.#node.node ?? this.#initialNode(), others, osOf(world)),
      wake: (uid) => this.#workers.wake(uid),
    });
    this.#context = {
      world,
      cri,
      log,
      events: deps.events,
      metrics: deps.metrics,
      paths: this.#paths,
      containerLogsDir: settings.containerLogsDir,
      settings: {
        ...resourceSettings,
        podLogsDir: settings.podLogsDir,
        clusterDomain: settings.clusterDomain,
        seccompRoot: `${settings.rootDir}/seccomp`,
        seccompDefault: settings.seccompDefault,
        serializeImagePulls: settings.serializeImagePulls,
      },
      probes: this.#probes,
      crashBackOff: new BackOff(10_000, settings.crashLoopBackOffMaxMs),
      imageBackOff: new BackOff(10_000, 300_000),
      pullFailures: new Map(),
      startErrors: new StartErrors(),
      actuated: this.#actuated,
      podCgroups: this.#cgroups,
      dns: () => this.#dns(),
      cgroupParent: (pod) => this.#cgroups?.pathOf(pod) ?? "",
      runtimeHandler: (pod) => this.#runtimeHandler(pod),
      services: (pod) => this.#services(pod),
      references: (namespace, names) => references.several(namespace, names),
      pullSecrets: async (pod) => {
        const names = (pod.spec.imagePullSecrets ?? []).map(({ name }) => name);
        if (isStatic(pod) || names.length === 0) return [];
        const found = await references.several(pod.metadata.namespace ?? "", { configMaps: [], secrets: names });
        const missing = names.filter((name) => found.secrets.get(name) === undefined);
        if (missing.length > 0) {
          this.#events.event(
            podReference(pod),
            "Warning",
            "FailedToRetrieveImagePullSecret",
            `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`,
          );
        }
        return [...found.secrets.values()].filter((secret) => secret !== undefined);
      },
      downward: (podIPs) => this.#downward(podIPs),
      volumePath: (pod, volume) => this.#volumes.pathOf(pod.metadata.uid, volume),
    };
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { settings, world, log } = this;
    const background: Promise<unknown>[] = [];
    if (this.cri.usesFiles) {
      for (const dir of [settings.rootDir, this.#paths.pods, settings.podLogsDir])
        await world.fs.mkdir(dir, { recursive: true, mode: 0o750 });
    }
    await this.#cgroups?.start();
    await this.#allocated.load();
    await this.#actuated.load();
    this.runtimeName = (await this.#untilAnswered(signal)).runtime_name;
    await using server = settings.port === undefined ? undefined : await serveKubelet(this);
    await using _healthz = settings.healthzPort === 0 ? undefined : await serveHealthz(this);
    this.port = server?.address.port;
    await this.#node.look();
    await this.#pleg.relist();
    this.#started = true;

    if (this.#ownInformers) background.push(this.#informers.run(signal, () => {}));
    background.push(this.#pleg.run(signal));
    this.#sources = [
      ...(settings.staticPodPath === undefined
        ? []
        : [
            fileSource(world, log, {
              path: settings.staticPodPath,
              nodeName: settings.nodeName,
              everyMs: settings.fileCheckFrequencyMs,
            }),
          ]),
      ...(settings.staticPodUrl === undefined
        ? []
        : [
            httpSource(world, log, {
              url: settings.staticPodUrl,
              nodeName: settings.nodeName,
              everyMs: settings.httpCheckFrequencyMs,
            }),
          ]),
    ];
    for (const source of this.#sources)
      background.push(source.run(signal, (pods) => this.#onStaticPods(source.name, pods)));

    try {
      if (settings.registerNode) await this.#node.register(signal);
      background.push(this.#node.run(signal));
      const node = { name: settings.nodeName, uid: () => this.#node.node?.metadata.uid };
      background.push(keepLease({ client: this.client, world, log }, node, settings.nodeLeaseDurationSeconds, signal));
      using _subscription = this.#podInformer.subscribe({
        add: (pod) => this.#onApiPod(pod),
        update: (_old, pod) => this.#onApiPod(pod),
        delete: (pod) => this.#onApiDelete(pod),
      });
      await this.#podInformer.waitForSync(signal);
      this.#sourcesReady.add("api");
      ready();
      await this.#housekeeping();
      if (this.cri.usesFiles) {
        background.push(
          rotateLogs(
            { world, log, cri: this.cri },
            { maxBytes: settings.containerLogMaxSizeBytes, maxFiles: settings.containerLogMaxFiles },
            () => this.#runningLogs(),
            signal,
          ),
        );
      }
      // A simulated node makes no orphans by itself: it looks once.
      if (this.cri.usesFiles) await every(world.clock, HOUSEKEEPING_MS, signal, () => this.#housekeeping());
      else await untilAborted(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#stopping = true;
      await this.#workers.stop();
      this.#probes.stop();
      this.#status.stop();
      this.#allocator.stop();
      for (const timer of this.#deadlines.values()) timer[Symbol.dispose]();
      await Promise.allSettled(background);
    }
  }

  async #untilAnswered(signal: AbortSignal) {
    for (;;) {
      try {
        return await this.cri.runtime.Version({ version: "0.1.0" });
      } catch (error) {
        this.log.error("Container runtime is not answering", error);
        if (!(await pause(this.world.clock, 1000, signal))) signal.throwIfAborted();
      }
    }
  }

  // Pods come and go.

  #onApiPod(pod: Pod): void {
    if (isMirror(pod)) {
      this.#mirrors.set(fullName(pod), pod);
      const uid = this.#uids.get(fullName(pod));
      if (uid !== undefined) {
        this.#status.reconcile(uid);
        this.#workers.wake(uid);
      }
      return;
    }
    this.#take(pod);
  }

  #onApiDelete(pod: Pod): void {
    if (!isMirror(pod)) return this.#release(pod.metadata.uid);
    const name = fullName(pod);
    if (this.#mirrors.get(name)?.metadata.uid !== pod.metadata.uid) return;
    this.#mirrors.delete(name);
    const uid = this.#uids.get(name);
    if (uid !== undefined) this.#workers.wake(uid); // It is made again.
  }

  #onStaticPods(source: string, pods: readonly Pod[]): void {
    const listed = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const pod of this.#pods.values()) {
      if (pod.metadata.annotations?.["kubernetes.io/config.source"] === source && !listed.has(pod.metadata.uid))
        this.#release(pod.metadata.uid);
    }
    for (const pod of pods) if (this.#pods.get(pod.metadata.uid) !== pod) this.#take(pod);
    const first = !this.#sourcesReady.has(source);
    this.#sourcesReady.add(source);
    if (first && this.#sourcesReady.has("api")) void this.#housekeeping();
  }

  #take(pod: Pod): void {
    const { uid } = pod.metadata;
    const known = this.#pods.get(uid);
    this.#pods.set(uid, pod);
    this.#uids.set(fullName(pod), uid);
    if (this.#workers.stateOf(uid)?.phase === "finished") return this.#status.finish(pod);
    if (this.#workers.has(uid)) {
      const changed = known === undefined || known.spec !== pod.spec || known.metadata !== pod.metadata;
      if (changed && !onlyStatusChanged(known, pod)) {
        if (known !== undefined && this.#admitted.has(uid)) this.#allocator.updated(known, pod);
        this.#workers.update(pod);
      } else if (known !== undefined && foreignConditionsChanged(known, pod)) this.#workers.wake(uid);
      if (known !== undefined) {
        this.#allocator.reconciled(known, pod);
        this.#status.reconcile(uid);
      }
      return;
    }
    // Admitted together, the oldest first: a node that restarts must not prefer a younger pod by chance.
    this.#arrivals.set(uid, pod);
    if (this.#arrivalsWaiting) return;
    this.#arrivalsWaiting = true;
    this.world.clock.soon(() => {
      this.#arrivalsWaiting = false;
      if (this.#stopping) return;
      const arrivals = [...this.#arrivals.values()];
      this.#arrivals.clear();
      arrivals.sort((a, b) => ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1));
      for (const arrival of arrivals) this.#admit(arrival);
      this.#allocator.added(arrivals.filter(({ metadata }) => this.#admitted.has(metadata.uid)));
    });
  }

  #admit(pod: Pod): void {
    const { uid } = pod.metadata;
    const terminal = isTerminalPhase(pod.status?.phase);
    if (!terminal && pod.metadata.deletionTimestamp === undefined) {
      this.#adopt(pod);
      const rejection = this.#allocator.add(pod);
      if (rejection !== undefined) {
        this.#events.event(podReference(pod), "Warning", rejection.reason, rejection.message);
        this.metrics.add(METRICS.admissionRejections, { reason: rejection.reason });
        this.#verdicts.set(uid, { reason: rejection.reason, message: `Pod was rejected: ${rejection.message}` });
        this.#setStatus(pod, this.#pleg.get(uid), { finished: false });
        return;
      }
      this.#admitted.add(uid);
    }
    const runtime = this.#pleg.get(uid);
    if (runtime.containers.length > 0) this.#probes.adopt(pod, runtime);
    this.#workers.update(pod);
  }

  /** A container that runs without a record of what it has was given what its status says, else what its pod asks for. */
  #adopt(pod: Pod): void {
    const { uid } = pod.metadata;
    if (this.#pleg.get(uid).containers.every(({ state }) => state !== "running")) return;
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    const info = allocationOf(pod);
    const had = Object.fromEntries(
      Object.entries(info.ContainerResources).map(([name, resources]) => [
        name,
        statuses.find((status) => status.name === name)?.resources ?? resources,
      ]),
    );
    const found = { ...info, ContainerResources: had };
    if (this.#allocated.get(uid) === undefined) this.#allocated.set(uid, found);
    if (this.#actuated.get(uid) === undefined) this.#actuated.set(uid, found);
  }

  #activePods(): readonly Pod[] {
    const pods: Pod[] = [];
    for (const uid of this.#admitted) {
      const found = this.#pods.get(uid);
      if (found !== undefined && this.#holdsResources(found)) pods.push(found);
    }
    return pods;
  }

  #holdsResources(pod: Pod): boolean {
    if (isTerminalPhase(this.#status.get(pod.metadata.uid)?.phase ?? pod.status?.phase)) return false;
    return this.#workers.stateOf(pod.metadata.uid)?.phase !== "finished";
  }

  /** The pod left its source: it is stopped, and then forgotten. */
  #release(uid: string): void {
    const pod = this.#pods.get(uid);
    this.#arrivals.delete(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    if (this.#uids.get(fullName(pod)) === uid) this.#uids.delete(fullName(pod));
    this.#allocator.removed(uid);
    const state = this.#workers.stateOf(uid);
    if (state === undefined || state.phase === "finished") void this.#forget(pod);
    else this.#workers.kill(uid, isStatic(pod) ? undefined : ORPHAN_GRACE_SECONDS);
  }

  /** Takes away the last traces of a pod. */
  async #forget(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    this.#workers.forget(uid);
    this.#status.forget(uid);
    this.#admitted.delete(uid);
    this.#verdicts.delete(uid);
    this.#deadlines.get(uid)?.[Symbol.dispose]();
    this.#deadlines.delete(uid);
    this.#actuated.remove(uid);
    this.#podCgroups.delete(uid);
    this.#context.startErrors.forget(uid);
    this.#context.crashBackOff.forgetPrefix(`${uid}/`);
    this.#context.imageBackOff.forgetPrefix(`${uid}_`);
    for (const key of this.#context.pullFailures.keys())
      if (key.startsWith(`${uid}_`)) this.#context.pullFailures.delete(key);
    try {
      if (isStatic(pod)) {
        const mirror = this.#mirrors.get(fullName(pod));
        if (mirror !== undefined && !this.#uids.has(fullName(pod))) await deleteMirror(this.client, mirror);
      }
      await this.#removeFromRuntime(await this.#pleg.refresh(uid));
      if (this.cri.usesFiles) {
        await this.#volumes.tearDown(uid);
        await this.world.fs.remove(this.#paths.pod(uid));
        await this.world.fs.remove(podLogDir(this.settings.podLogsDir, pod));
      }
    } catch (error) {
      if (!this.#stopping) this.log.error("Failed to clean up after pod", error, { pod: podText(pod) });
    }
  }

  async #removeFromRuntime(runtime: RuntimePod): Promise<void> {
    for (const container of runtime.containers) {
      await this.cri.runtime.RemoveContainer({ container_id: container.id });
      this.#messages.delete(container.id);
    }
    for (const { id } of runtime.sandboxes) {
      await this.cri.runtime.StopPodSandbox({ pod_sandbox_id: id });
      await this.cri.runtime.RemovePodSandbox({ pod_sandbox_id: id });
    }
    this.#pleg.forget(runtime.uid);
  }

  // What the workers do.

  async sync(asked: Pod, signal: AbortSignal): Promise<"running" | "completed"> {
    const { uid } = asked.metadata;
    await this.#allocated.flush();
    const pod = this.#allocator.allocated(asked);
    const runtime = await this.#prune(this.#pleg.get(uid));
    await this.#readMessages(runtime, pod);
    this.#checkDeadline(pod);
    this.#followResize(pod, runtime);
    await this.#readCgroup(pod);
    const status = this.#setStatus(pod, runtime, { finished: false });
    if (isTerminalPhase(status.phase) || this.#verdicts.has(uid)) return "completed";

    const network = this.#node.networkProblem;
    if (network !== undefined && pod.spec.hostNetwork !== true) {
      const message = `network is not ready: ${network}`;
      this.#events.event(podReference(pod), "Warning", "NetworkNotReady", message);
      throw new RetryLater(message, NETWORK_RETRY_MS);
    }
    if (isStatic(pod)) await this.#ensureMirror(pod);
    try {
      const made = await this.#cgroups?.ensure(pod);
      const whole = pod.spec.resources;
      if (whole !== undefined && made !== false && (made || this.#actuated.get(uid)?.PodLevelResources == null)) {
        this.#actuated.setPod(uid, whole);
        await this.#actuated.flush();
      }
    } catch (error) {
      const message = `unable to ensure pod container exists: ${errorText(error)}`;
      this.#events.event(podReference(pod), "Warning", "FailedCreatePodContainer", message);
      throw error;
    }
    if (this.cri.usesFiles) {
      for (const dir of [this.#paths.pod(uid), `${this.#paths.pod(uid)}/volumes`, `${this.#paths.pod(uid)}/plugins`])
        await this.world.fs.mkdir(dir, { recursive: true, mode: 0o750 });
    }
    await this.#volumes.ensure(pod);
    signal.throwIfAborted();
    this.#probes.add(pod);
    this.#probes.observe(uid);

    const { acted, failure, resizeError } = await syncPod(this.#context, this.#pulls, pod, runtime, (ips) =>
      this.#onSandbox(pod, runtime, ips),
    );
    if (resizeError !== undefined) this.#resizeFailed(pod, resizeError);
    const after = acted ? await this.#pleg.refresh(uid) : runtime;
    if (acted) {
      this.#probes.observe(uid);
      await this.#readCgroup(pod);
      await this.#readMessages(after, pod);
    }
    if (acted || failure !== undefined) {
      if (this.#workers.stateOf(uid)?.phase === "syncing") this.#setStatus(pod, after, { finished: false });
    }
    if (failure !== undefined) throw failure;
    if (acted) this.#workers.wake(uid); // Until a look finds nothing to do.
    return "running";
  }

  async stop(pod: Pod, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const { uid } = pod.metadata;
    this.#deadlines.get(uid)?.[Symbol.dispose]();
    const runtime = await this.#pleg.refresh(uid);
    await this.#readMessages(runtime, pod);
    this.#setStatus(pod, runtime, { finished: false });
    this.#probes.stopLivenessAndStartup(uid);
    try {
      await killPod(this.#context, pod, runtime, { graceSeconds, signal });
    } catch (error) {
      if (!signal.aborted)
        this.#events.event(podReference(pod), "Warning", "FailedKillPod", `error killing pod: ${errorText(error)}`);
      throw error;
    }
    this.#probes.remove(uid);
    const after = await this.#pleg.refresh(uid);
    if (after.containers.some(({ state }) => state === "running"))
      throw new Error("detected running containers after a successful KillPod, CRI violation");
    await this.#readMessages(after, pod);
    this.#setStatus(pod, after, { finished: false });
  }

  async cleanUp(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    await this.#volumes.tearDown(uid);
    await this.#cgroups?.remove(pod);
    this.#resizes.forget(uid);
    this.#setStatus(pod, this.#pleg.get(uid), { finished: true });
    await this.#balance();
  }

  finished(pod: Pod): void {
    const { uid } = pod.metadata;
    const current = this.#pods.get(uid);
    if (current === undefined) void this.#forget(pod);
    else this.#status.finish(current);
  }

  /** A resize is under way as long as a container has something else than its pod was granted. */
  #followResize(pod: Pod, runtime: RuntimePod): void {
    const { uid, generation = 0 } = pod.metadata;
    if (isResizeInProgress(pod, runtime, this.#actuated.get(uid))) {
      this.#resizes.setInProgress(uid, generation);
      return;
    }
    const done = this.#resizes.clearInProgress(uid);
    if (done === undefined) return;
    this.#events.event(podReference(pod), "Normal", "ResizeCompleted", resizeCompleted(pod, done));
    void this.#balance();
  }

  #resizeFailed(pod: Pod, error: string): void {
    const { uid, generation = 0 } = pod.metadata;
    const set = this.#resizes.setInProgress(uid, generation, error);
    if (set.changed)
      this.#events.event(podReference(pod), "Warning", "ResizeError", resizeFailed(pod, set.generation, error));
  }

  /** The pod can start containers: told at once, without waiting for the next look. */
  #onSandbox(pod: Pod, runtime: RuntimePod, ips: readonly string[]): void {
    const now = this.world.clock.now();
    const sandbox = {
      id: "",
      attempt: 0,
      ready: true,
      createdAtMs: now,
      ips,
      hostNetwork: pod.spec.hostNetwork === true,
    };
    this.#setStatus(pod, { ...runtime, sandboxes: [sandbox] }, { finished: false });
    void this.#balance();
  }

  async #balance(): Promise<void> {
    if (this.#cgroups === undefined) return;
    const running = [...this.#pods.values()].filter((pod) => this.#holdsResources(pod));
    await this.#cgroups.balance(running.map((pod) => this.#allocator.allocated(pod)));
  }

  async #ensureMirror(pod: Pod): Promise<void> {
    const node = this.#node.node;
    if (node === undefined || node.metadata.deletionTimestamp !== undefined) return;
    const mirror = this.#mirrors.get(fullName(pod));
    if (mirror !== undefined && isMirrorOf(mirror, pod) && mirror.metadata.deletionTimestamp === undefined) return;
    try {
      if (mirror !== undefined) await deleteMirror(this.client, mirror);
      else if (this.#podInformer.synced) await createMirror(this.client, pod, node);
    } catch (error) {
      this.log.error("Failed creating a mirror pod", error, { pod: podText(pod) });
    }
  }

  /** One dead container of each name is kept. */
  async #prune(runtime: RuntimePod): Promise<RuntimePod> {
    const seen = new Set<string>();
    const removed = new Set<string>();
    for (const container of runtime.containers) {
      if (container.state !== "exited") continue;
      if (!seen.has(container.name)) {
        seen.add(container.name);
        continue;
      }
      await this.cri.runtime.RemoveContainer({ container_id: container.id });
      this.#messages.delete(container.id);
      await this.#removeLogs(runtime, container);
      removed.add(container.id);
    }
    if (removed.size === 0) return runtime;
    return this.#pleg.refresh(runtime.uid);
  }

  async #removeLogs(runtime: RuntimePod, container: RuntimeContainer): Promise<void> {
    if (!this.cri.usesFiles || container.logPath === "") return;
    await this.world.fs.remove(container.logPath);
    const { containerLogsDir } = this.settings;
    if (containerLogsDir === "") return;
    const name = `${runtime.name}_${runtime.namespace}_${container.name}-${container.id}`.slice(0, 251);
    await this.world.fs.remove(`${containerLogsDir}/${name}.log`);
  }

  async #readMessages(runtime: RuntimePod, pod: Pod): Promise<void> {
    for (const container of runtime.containers) {
      if (container.state !== "exited" || this.#messages.has(container.id)) continue;
      const logFile = `${podLogDir(this.settings.podLogsDir, pod)}/${container.name}/${container.restartCount}.log`;
      const text = this.cri.usesFiles ? await terminationMessage(this.world.fs, container, logFile) : container.message;
      this.#messages.set(container.id, text);
    }
  }

  #checkDeadline(pod: Pod): void {
    const { uid } = pod.metadata;
    const limit = pod.spec.activeDeadlineSeconds;
    const start = this.#status.get(uid)?.startTime ?? pod.status?.startTime;
    if (limit === undefined || start === undefined || this.#verdicts.has(uid)) return;
    const leftMs = (limit - secondsSince(start, this.world.clock.now())) * 1000;
    if (leftMs <= 0) {
      const message = "Pod was active on the node longer than the specified deadline";
      this.#verdicts.set(uid, { reason: "DeadlineExceeded", message });
      this.#events.event(podReference(pod), "Normal", "DeadlineExceeded", message);
      return;
    }
    this.#deadlines.get(uid)?.[Symbol.dispose]();
    this.#deadlines.set(
      uid,
      this.world.clock.after(leftMs, () => this.#workers.wake(uid)),
    );
  }

  #setStatus(asked: Pod, runtime: RuntimePod, { finished }: { readonly finished: boolean }): PodStatus {
    const pod = this.#allocator.allocated(asked);
    const { uid } = pod.metadata;
    const phase = this.#workers.stateOf(uid)?.phase;
    const status = generateStatus({
      pod,
      runtime,
      previous: this.#previousStatus(pod),
      runtimeName: this.runtimeName,
      hostIPs: this.#node.hostIPs,
      nowMs: this.world.clock.now(),
      finished,
      stopping: phase !== undefined && phase !== "syncing",
      isReady: (container, spec) => this.#probes.isReady(container, spec),
      isStarted: (container, spec) => this.#probes.isStarted(container, spec),
      startError: (name) => this.#context.startErrors.get(uid, name),
      terminationMessage: (container) => this.#messages.get(container.id) ?? container.message,
      verdict: this.#verdicts.get(uid),
      resizeConditions: this.#resizes.of(uid),
      actuated: this.#actuated.get(uid),
      cgroup: this.#podCgroups.get(uid),
    });
    this.#status.set(pod, status);
    return status;
  }

  async #readCgroup(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    const values = await this.#cgroups?.read(pod).catch(() => undefined); // Not there yet, or no more.
    if (values === undefined) this.#podCgroups.delete(uid);
    else this.#podCgroups.set(uid, values);
  }

  /** The status we gave last, with the conditions that others have set since. */
  #previousStatus(pod: Pod): PodStatus {
    const api = this.#apiPod(pod)?.status;
    const own = this.#status.get(pod.metadata.uid);
    if (own === undefined) return api ?? {};
    const foreign = (api?.conditions ?? []).filter(({ type }) => !isOwnedCondition(type));
    return { ...own, conditions: [...foreign, ...(own.conditions ?? []).filter(({ type }) => isOwnedCondition(type))] };
  }

  #apiPod(pod: Pod): Pod | undefined {
    if (!isStatic(pod)) return this.#pods.get(pod.metadata.uid);
    const mirror = this.#mirrors.get(fullName(pod));
    return mirror !== undefined && isMirrorOf(mirror, pod) ? mirror : undefined;
  }

  // What the node has and nobody asked for.

  async #housekeeping(): Promise<void> {
    if (!this.#sourcesReady.has("api") || this.#sources.some(({ name }) => !this.#sourcesReady.has(name))) return;
    try {
      const orphans = [...this.#pleg.all()].filter(
        ({ uid }) => !this.#pods.has(uid) && !this.#workers.has(uid) && !this.#arrivals.has(uid),
      );
      await Promise.all(orphans.map((orphan) => this.#removeOrphan(orphan)));
      for (const checkpoint of [this.#allocated, this.#actuated]) checkpoint.retain((uid) => this.#isKnown(uid));
      for (const [name, mirror] of this.#mirrors) if (!this.#uids.has(name)) await deleteMirror(this.client, mirror);
      if (!this.cri.usesFiles) return;
      for (const uid of await this.world.fs.list(this.#paths.pods)) {
        if (this.#isKnown(uid)) continue;
        await this.#volumes.tearDown(uid);
        await this.world.fs.remove(this.#paths.pod(uid));
      }
      for (const [uid, path] of (await this.#cgroups?.podUids()) ?? [])
        if (!this.#isKnown(uid)) await this.#cgroups!.removePath(path);
    } catch (error) {
      if (!this.#stopping) this.log.error("Failed cleaning pods", error);
    }
  }

  async #removeOrphan(runtime: RuntimePod): Promise<void> {
    await killPod(this.#context, undefined, runtime, { graceSeconds: ORPHAN_GRACE_SECONDS });
    await this.#removeFromRuntime(await this.#pleg.refresh(runtime.uid));
    const metadata = { name: runtime.name, namespace: runtime.namespace, uid: runtime.uid } as Pod["metadata"];
    if (this.cri.usesFiles) await this.world.fs.remove(podLogDir(this.settings.podLogsDir, { metadata }));
  }

  #runningLogs(): readonly { readonly containerId: string; readonly path: string }[] {
    return [...this.#pods.values()].flatMap((pod) =>
      this.#pleg
        .get(pod.metadata.uid)
        .containers.filter(({ state }) => state === "running")
        .map(({ id, name, restartCount }) => ({
          containerId: id,
          path: `${podLogDir(this.settings.podLogsDir, pod)}/${name}/${restartCount}.log`,
        })),
    );
  }

  #isKnown(uid: string): boolean {
    return this.#pods.has(uid) || this.#workers.has(uid) || this.#arrivals.has(uid) || this.#pleg.get(uid).uid !== "";
  }

  // What pods are told.

  #downward(podIPs: readonly string[]): DownwardContext {
    const node = this.#node.node;
    return { podIPs, hostIPs: this.#node.hostIPs, allocatable: node?.status?.allocatable ?? {} };
  }

  async #dns() {
    const { clusterDns, clusterDomain, resolvConf } = this.settings;
    if (!this.cri.usesFiles || resolvConf === "") return { clusterDns, clusterDomain, node: undefined };
    const text = Buffer.from(await this.world.fs.readFile(resolvConf)).toString("utf8");
    return { clusterDns, clusterDomain, node: parseResolvConf(text) };
  }

  async #runtimeHandler(pod: Pod): Promise<string> {
    const name = pod.spec.runtimeClassName ?? "";
    if (name === "") return "";
    try {
      return (await this.client.get(runtimeClasses, { name })).handler;
    } catch (error) {
      if (hasReason(error, "NotFound")) throw new Error(`RuntimeClass "${name}" not found`, { cause: error });
      throw error;
    }
  }

  #services(pod: Pod) {
    if (isStatic(pod)) return this.#serviceInformer.synced ? this.#serviceInformer.list() : [];
    if (!this.#serviceInformer.synced)
      throw new Error("services have not yet been read at least once, cannot construct envvars");
    return [
      ...this.#serviceInformer.list(pod.metadata.namespace),
      ...(pod.metadata.namespace === "default" ? [] : [this.#serviceInformer.get("default/kubernetes")]),
    ].filter((service) => service !== undefined);
  }

  /** Before the API server has been heard: what the node would say of itself. */
  #initialNode(): Node {
    const { host, clock } = this.world;
    const cpus = host.cpus();
    const memoryBytes = host.memory().totalBytes;
    const machine = { machineId: "", systemUuid: "", bootId: "", osImage: "", cpus, memoryBytes, ephemeralBytes: 0 };
    const status = nodeStatus(undefined, {
      host,
      settings: this.settings,
      machine,
      runtimeVersion: "",
      runtimeStatus: undefined,
      images: [],
      health: { problems: [], pressures: new Set() },
      kubeletPort: this.port ?? 0,
      nowMs: clock.now(),
    });
    return newNode(this.settings, host, {
      ...status,
      allocatable: withoutKey(status.allocatable, "ephemeral-storage"),
    });
  }

  // What the server sees.

  get node(): Node | undefined {
    return this.#node.node;
  }
  pods(): readonly Pod[] {
    return [...this.#pods.values()].map((pod) => ({
      ...pod,
      status: this.#status.get(pod.metadata.uid) ?? pod.status,
    }));
  }
  podByName(namespace: string, name: string): Pod | undefined {
    const uid = this.#uids.get(`${name}_${namespace}`);
    const pod = uid === undefined ? undefined : this.#pods.get(uid);
    return pod && { ...pod, status: this.#status.get(pod.metadata.uid) ?? pod.status };
  }
  runtimeOf(uid: string): RuntimePod {
    return this.#pleg.get(uid);
  }
  isHealthy(): boolean {
    return this.#started && !this.#stopping;
  }
}

const osOf = (world: World): string => (world.host.platform === "win32" ? "windows" : world.host.platform);

function withoutKey<T>(map: Readonly<Record<string, T>> | undefined, key: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map ?? {}).filter(([name]) => name !== key));
}

/** Our own patches come back as updates: they are no news. */
function onlyStatusChanged(old: Pod | undefined, pod: Pod): boolean {
  if (old === undefined) return false;
  return (
    old.metadata.generation === pod.metadata.generation &&
    old.metadata.deletionTimestamp === pod.metadata.deletionTimestamp &&
    old.metadata.deletionGracePeriodSeconds === pod.metadata.deletionGracePeriodSeconds &&
    JSON.stringify(old.metadata.labels) === JSON.stringify(pod.metadata.labels) &&
    JSON.stringify(old.metadata.annotations) === JSON.stringify(pod.metadata.annotations) &&
    (old.spec === pod.spec || JSON.stringify(old.spec) === JSON.stringify(pod.spec)) &&
    isTerminalPhase(old.status?.phase) === isTerminalPhase(pod.status?.phase)
  );
}

function foreignConditionsChanged(old: Pod, pod: Pod): boolean {
  const foreign = ({ status }: Pod) => (status?.conditions ?? []).filter(({ type }) => !isOwnedCondition(type));
  return JSON.stringify(foreign(old)) !== JSON.stringify(foreign(pod));
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
