/**
 * The pod lifecycle event generator: tracks what the runtime has of each pod, and reports which pods changed. Runtimes that send events are not
 * polled; the others are listed every second while anything of theirs can change.
 * Upstream: pkg/kubelet/pleg/generic.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Container, PodSandbox } from "../../protocols/cri/generated.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { POD_UID } from "../keys.ts";
import {
  newestContainerFirst,
  newestSandboxFirst,
  NO_RUNTIME_POD,
  ownerOf,
  readContainer,
  readSandbox,
} from "../runtime/state.ts";
import type { RuntimePod } from "../runtime/state.ts";
import type { Runtime } from "../runtimes/runtime.ts";

const RELIST_MS = 1000;
/** With nothing running nothing can end by itself; only somebody else's doing would be missed for so long. */
const IDLE_RELIST_MS = 10_000;

export class Pleg {
  readonly #world: Pick<World, "clock">;
  readonly #log: Logger;
  readonly #runtime: Runtime;
  readonly #onChange: (uid: string) => void;
  readonly #pods = new Map<string, RuntimePod>();
  /** Inspections under way, so that two askers share one. */
  readonly #dirty = new Set<string>();
  #lastRelistMs = 0;
  /** Ends the long wait of an idle node. */
  #wake: (() => void) | undefined;

  constructor(world: Pick<World, "clock">, log: Logger, runtime: Runtime, onChange: (uid: string) => void) {
    this.#world = world;
    this.#log = log;
    this.#runtime = runtime;
    this.#onChange = onChange;
  }

  get(uid: string): RuntimePod {
    return this.#pods.get(uid) ?? NO_RUNTIME_POD;
  }
  all(): Iterable<RuntimePod> {
    return this.#pods.values();
  }
  forget(uid: string): void {
    this.#pods.delete(uid);
  }
  /** Monotonic ms of the last whole list. */
  get lastRelistMs(): number {
    return this.#lastRelistMs;
  }

  /** Looks at one pod now. */
  async refresh(uid: string): Promise<RuntimePod> {
    const label_selector = { [POD_UID]: uid };
    const [sandboxes, containers] = await Promise.all([
      this.#runtime.runtime.ListPodSandbox({ filter: { label_selector } }),
      this.#runtime.runtime.ListContainers({ filter: { label_selector } }),
    ]);
    return this.#inspect(uid, sandboxes.items, containers.containers);
  }

  /** Lists everything and looks closer at what changed. Says which pods did. */
  async relist(): Promise<readonly string[]> {
    const [{ items }, { containers }] = await Promise.all([
      this.#runtime.runtime.ListPodSandbox({}),
      this.#runtime.runtime.ListContainers({}),
    ]);
    const sandboxesBy = new Map<string, PodSandbox[]>();
    const containersBy = new Map<string, Container[]>();
    for (const sandbox of items) push(sandboxesBy, ownerOf(sandbox)?.uid, sandbox);
    for (const container of containers) push(containersBy, container.labels[POD_UID], container);
    const changed: string[] = [];
    for (const uid of new Set([...this.#pods.keys(), ...sandboxesBy.keys(), ...containersBy.keys()])) {
      const ownSandboxes = sandboxesBy.get(uid) ?? [];
      const ownContainers = containersBy.get(uid) ?? [];
      if (digestOfListed(ownSandboxes, ownContainers) === digest(this.get(uid))) continue;
      await this.#inspect(uid, ownSandboxes, ownContainers);
      changed.push(uid);
    }
    this.#lastRelistMs = this.#world.clock.monotonic();
    return changed;
  }

  /** Watches until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#runtime.subscribe !== undefined) return this.#listen(signal);
    while (!signal.aborted) {
      await this.#rest(signal);
      if (signal.aborted) return;
      try {
        for (const uid of await this.relist()) this.#onChange(uid);
      } catch (error) {
        if (!signal.aborted) this.#log.error("GenericPLEG: Unable to retrieve pods", error);
      }
    }
  }

  async #rest(signal: AbortSignal): Promise<void> {
    let active = false;
    for (const pod of this.#pods.values()) active ||= isActive(pod);
    if (active) return void (await pause(this.#world.clock, RELIST_MS, signal));
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(this.#world.clock, IDLE_RELIST_MS, AbortSignal.any([signal, woken.signal]));
    this.#wake = undefined;
    if (woken.signal.aborted) await pause(this.#world.clock, RELIST_MS, signal);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    using _subscription = this.#runtime.subscribe!((uid) => {
      if (this.#dirty.has(uid)) return;
      this.#dirty.add(uid);
      this.#world.clock.soon(() => {
        this.#dirty.delete(uid);
        if (signal.aborted) return;
        const before = digest(this.get(uid));
        this.refresh(uid).then(
          (pod) => {
            if (digest(pod) !== before) this.#onChange(uid);
          },
          (error: unknown) => this.#log.error("Unable to inspect pod", error, { podUID: uid }),
        );
      });
    });
    if (signal.aborted) return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  async #inspect(uid: string, sandboxes: readonly PodSandbox[], containers: readonly Container[]): Promise<RuntimePod> {
    if (sandboxes.length === 0 && containers.length === 0) {
      this.#pods.delete(uid);
      return NO_RUNTIME_POD;
    }
    const { runtime } = this.#runtime;
    const [sandboxStatuses, containerStatuses] = await Promise.all([
      Promise.all(sandboxes.map(({ id }) => orGone(runtime.PodSandboxStatus({ pod_sandbox_id: id, verbose: false })))),
      Promise.all(containers.map(({ id }) => orGone(runtime.ContainerStatus({ container_id: id, verbose: false })))),
    ]);
    const labels = (sandboxes[0] ?? containers[0])!.labels;
    const owner = ownerOf({ labels });
    const pod: RuntimePod = {
      uid,
      name: owner?.name ?? "",
      namespace: owner?.namespace ?? "",
      sandboxes: sandboxStatuses
        .flatMap((answer) => (answer?.status === undefined ? [] : [readSandbox(answer.status)]))
        .sort(newestSandboxFirst),
      containers: containerStatuses
        .flatMap((answer, i) => (answer?.status === undefined ? [] : [readContainer(containers[i]!, answer.status)]))
        .sort(newestContainerFirst),
    };
    this.#pods.set(uid, pod);
    if (isActive(pod)) this.#wake?.();
    return pod;
  }
}

async function orGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcError && error.code === "NotFound") return undefined;
    throw error;
  }
}

function push<T>(map: Map<string, T[]>, key: string | undefined, value: T): void {
  if (key === undefined || key === "") return;
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const isActive = (pod: RuntimePod): boolean =>
  pod.sandboxes.some(({ ready }) => ready) || pod.containers.some(({ state }) => state === "running");

const STATES: Readonly<Record<string, string>> = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
};

/** What must not differ between a list and what is known: ids and states. */
function digest(pod: RuntimePod): string {
  return [
    ...pod.sandboxes.map(({ id, ready }) => `${id}:${ready}`),
    ...pod.containers.map(({ id, state }) => `${id}:${state}`),
  ]
    .sort()
    .join();
}
function digestOfListed(sandboxes: readonly PodSandbox[], containers: readonly Container[]): string {
  return [
    ...sandboxes.map(({ id, state }) => `${id}:${state === "SANDBOX_READY"}`),
    ...containers.map(({ id, state }) => `${id}:${STATES[state] ?? "unknown"}`),
  ]
    .sort()
    .join();
}
