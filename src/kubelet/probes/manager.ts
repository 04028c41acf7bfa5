/** One worker for each probe of each running container. Upstream: pkg/kubelet/prober/prober_manager.go */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod, Probe } from "../../api/generated/core.v1.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { World } from "../../world/world.ts";
import { initContainers } from "../pod.ts";
import type { AnyContainer, ContainerType } from "../pod.ts";
import { containerReference } from "../runtime/context.ts";
import type { ProbeResults } from "../runtime/actions.ts";
import { newestOf } from "../runtime/state.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/state.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { initialProbeState, probed } from "./machine.ts";
import type { ProbeKind, ProbeState } from "./machine.ts";
import { probeOnce } from "./prober.ts";

const ATTEMPTS_MAX = 3;
const KINDS: readonly ProbeKind[] = ["startup", "liveness", "readiness"];
const FIELDS = { startup: "startupProbe", liveness: "livenessProbe", readiness: "readinessProbe" } as const;
const NAMES = { startup: "Startup", liveness: "Liveness", readiness: "Readiness" } as const;

interface Worker {
  readonly kind: ProbeKind;
  readonly probe: Probe;
  readonly container: AnyContainer;
  readonly type: ContainerType;
  containerId: string | undefined;
  state: ProbeState;
  timer: Disposable | undefined;
  probing: AbortController | undefined;
}

interface PodProbes {
  pod: Pod;
  readonly workers: readonly Worker[];
}

export class ProbeManager implements ProbeResults {
  readonly #world: Pick<World, "clock" | "random" | "net">;
  readonly #cri: Runtime;
  readonly #events: EventRecorder;
  readonly #runtimeOf: (uid: string) => RuntimePod;
  readonly #onResult: (uid: string) => void;
  readonly #startedMs: number;
  readonly #pods = new Map<string, PodProbes>();
  /** Published results by container id. */
  readonly #results: Record<ProbeKind, Map<string, "success" | "failure">> = {
    startup: new Map(),
    liveness: new Map(),
    readiness: new Map(),
  };

  constructor(
    world: Pick<World, "clock" | "random" | "net">,
    cri: Runtime,
    events: EventRecorder,
    runtimeOf: (uid: string) => RuntimePod,
    onResult: (uid: string) => void,
  ) {
    this.#world = world;
    this.#cri = cri;
    this.#events = events;
    this.#runtimeOf = runtimeOf;
    this.#onResult = onResult;
    this.#startedMs = world.clock.now();
  }

  liveness(containerId: string): "success" | "failure" | undefined {
    return this.#results.liveness.get(containerId);
  }
  startup(containerId: string): "success" | "failure" | undefined {
    return this.#results.startup.get(containerId);
  }

  isStarted(container: RuntimeContainer, spec: AnyContainer): boolean {
    if (spec.startupProbe === undefined) return true;
    return this.#results.startup.get(container.id) === "success";
  }
  isReady(container: RuntimeContainer, spec: AnyContainer): boolean {
    if (spec.readinessProbe === undefined) return true;
    return this.#results.readiness.get(container.id) === "success";
  }

  /** Starts what the pod's containers ask for; does nothing the second time. */
  add(pod: Pod): void {
    const known = this.#pods.get(pod.metadata.uid);
    if (known !== undefined) {
      known.pod = pod;
      return;
    }
    const workers: Worker[] = [];
    const probedContainers = [
      ...initContainers(pod)
        .filter(isSidecar)
        .map((container) => ({ container, type: "init" as const })),
      ...pod.spec.containers.map((container) => ({ container, type: "regular" as const })),
    ];
    for (const { container, type } of probedContainers) {
      for (const kind of KINDS) {
        const probe = container[FIELDS[kind]];
        if (probe === undefined) continue;
        workers.push({
          kind,
          probe,
          container,
          type,
          containerId: undefined,
          state: initialProbeState(kind),
          timer: undefined,
          probing: undefined,
        });
      }
    }
    this.#pods.set(pod.metadata.uid, { pod, workers });
  }

  /** Takes over containers that ran before this kubelet: what the API says of them still holds. */
  adopt(pod: Pod, runtime: RuntimePod): void {
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    for (const container of runtime.containers) {
      if (container.state !== "running" || container.startedAtMs > this.#startedMs - 10_000) continue;
      const status = statuses.find(({ containerID }) => containerID?.endsWith(`://${container.id}`) === true);
      if (status?.started === true) this.#results.startup.set(container.id, "success");
      if (status?.ready === true) this.#results.readiness.set(container.id, "success");
    }
  }

  /** The pod's containers may have changed: probes follow the newest ones. */
  observe(uid: string): void {
    const known = this.#pods.get(uid);
    if (known === undefined) return;
    const runtime = this.#runtimeOf(uid);
    for (const worker of known.workers) {
      const current = newestOf(runtime, worker.container.name);
      const running = current?.state === "running" ? current : undefined;
      if (running?.id === worker.containerId) {
        // A startup that succeeded lets the other probes begin.
        if (running !== undefined && worker.timer === undefined && worker.probing === undefined)
          this.#begin(uid, worker, running);
        continue;
      }
      this.#pause(worker);
      if (worker.containerId !== undefined) this.#results[worker.kind].delete(worker.containerId);
      worker.containerId = running?.id;
      worker.state = initialProbeState(worker.kind);
      if (running === undefined) continue;
      const kept = this.#results[worker.kind].get(running.id);
      if (kept === undefined && worker.state.published !== undefined)
        this.#results[worker.kind].set(running.id, worker.state.published);
      if (worker.kind === "startup" && kept === "success") worker.state = { ...worker.state, onHold: true };
      this.#begin(uid, worker, running);
    }
  }

  /** The pod is stopping: nothing kills it any more, and readiness still counts. */
  stopLivenessAndStartup(uid: string): void {
    for (const worker of this.#pods.get(uid)?.workers ?? []) {
      if (worker.kind === "readiness") continue;
      this.#pause(worker);
      worker.state = { ...worker.state, onHold: true };
      if (worker.containerId !== undefined) this.#results[worker.kind].set(worker.containerId, "success");
    }
  }

  remove(uid: string): void {
    const known = this.#pods.get(uid);
    if (known === undefined) return;
    for (const worker of known.workers) {
      this.#pause(worker);
      if (worker.containerId !== undefined) this.#results[worker.kind].delete(worker.containerId);
    }
    this.#pods.delete(uid);
  }

  stop(): void {
    for (const uid of this.#pods.keys()) this.remove(uid);
  }

  #pause(worker: Worker): void {
    worker.timer?.[Symbol.dispose]();
    worker.timer = undefined;
    worker.probing?.abort();
    worker.probing = undefined;
  }

  #begin(uid: string, worker: Worker, running: RuntimeContainer): void {
    const started = this.isStarted(running, worker.container);
    if (worker.state.onHold || (worker.kind === "startup") === started) return;
    const now = this.#world.clock.now();
    const delayMs = (worker.probe.initialDelaySeconds ?? 0) * 1000;
    const periodMs = (worker.probe.periodSeconds ?? 10) * 1000;
    // After a restart of the kubelet all pods would be probed at the same moment.
    const spreadMs =
      now - this.#startedMs < periodMs && running.startedAtMs < this.#startedMs
        ? this.#world.random.next() * periodMs
        : 0;
    this.#schedule(uid, worker, Math.max(0, running.startedAtMs + delayMs - now) + spreadMs);
  }

  #schedule(uid: string, worker: Worker, afterMs: number): void {
    worker.timer = this.#world.clock.after(afterMs, () => {
      worker.timer = undefined;
      const probing = new AbortController();
      worker.probing = probing;
      void this.#probe(uid, worker, probing.signal).finally(() => {
        if (worker.probing !== probing) return;
        worker.probing = undefined;
        if (!worker.state.onHold && this.#pods.has(uid))
          this.#schedule(uid, worker, (worker.probe.periodSeconds ?? 10) * 1000);
      });
    });
  }

  async #probe(uid: string, worker: Worker, signal: AbortSignal): Promise<void> {
    const known = this.#pods.get(uid);
    const { containerId, container, kind } = worker;
    if (known === undefined || containerId === undefined) return;
    const runtime = this.#runtimeOf(uid);
    const podIP =
      (known.pod.spec.hostNetwork === true ? known.pod.status?.podIP : runtime.sandboxes[0]?.ips[0]) ??
      known.pod.status?.podIP ??
      "127.0.0.1";
    let outcome = await probeOnce(
      this.#world,
      this.#cri,
      worker.probe,
      { pod: known.pod, container, containerId, podIP },
      signal,
    );
    for (let i = 1; i < ATTEMPTS_MAX && outcome.answer === "unknown" && !signal.aborted; i++)
      outcome = await probeOnce(
        this.#world,
        this.#cri,
        worker.probe,
        { pod: known.pod, container, containerId, podIP },
        signal,
      );
    if (signal.aborted || worker.containerId !== containerId) return;

    const about = containerReference(known.pod, worker.type, container.name);
    if (outcome.answer === "failure")
      this.#events.event(about, "Warning", "Unhealthy", `${NAMES[kind]} probe failed: ${outcome.output}`);
    else if (outcome.answer === "unknown")
      this.#events.event(
        about,
        "Warning",
        "Unhealthy",
        `${NAMES[kind]} probe errored and resulted in unknown state: ${outcome.output}`,
      );
    else if (outcome.answer === "warning")
      this.#events.event(about, "Warning", "ProbeWarning", `${NAMES[kind]} probe warning: ${outcome.output}`);

    const before = this.#results[kind].get(containerId);
    worker.state = probed(worker.state, kind, outcome.answer === "warning" ? "success" : outcome.answer, {
      successThreshold: worker.probe.successThreshold ?? 1,
      failureThreshold: worker.probe.failureThreshold ?? 3,
    });
    const { published } = worker.state;
    if (published === undefined || published === before) return;
    this.#results[kind].set(containerId, published);
    this.observe(uid);
    this.#onResult(uid);
  }
}
