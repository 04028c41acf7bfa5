/**
 * Drives the state machine of every pod: one piece of work at a time for each pod, started by an event, a retry or the slow resync. An idle pod has
 * no timer unless volumes need refreshing.
 * Upstream: pkg/kubelet/pod_workers.go
 */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { podText } from "../format.ts";
import { graceOf, isStatic, isTerminalPhase } from "../pod.ts";
import { initial, step, workOf } from "./machine.ts";
import type { PodEvent, PodState } from "./machine.ts";

/** Work that fails and says when it may be tried again, in place of the usual 10 s. */
export class RetryLater extends Error {
  override readonly name = "RetryLater";
  readonly afterMs: number;
  constructor(message: string, afterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.afterMs = afterMs;
  }
}

export interface PodActs {
  /** Brings containers to what the spec says. "completed": they ended, and none may start again. */
  sync(pod: Pod, signal: AbortSignal): Promise<"running" | "completed">;
  stop(pod: Pod, graceSeconds: number, signal: AbortSignal): Promise<void>;
  cleanUp(pod: Pod): Promise<void>;
  /** The pod has nothing left here. */
  finished(pod: Pod): void;
}

export interface WorkerSettings {
  /** How often a pod is looked at when nothing happens; undefined never. */
  readonly resyncMs: number | undefined;
}

interface Worker {
  pod: Pod;
  state: PodState;
  /** The work under way, and whether to look again after it. */
  running: AbortController | undefined;
  again: boolean;
  timer: Disposable | undefined;
  /** A static pod that came back, with the same uid, while the old one was stopping. */
  successor: Pod | undefined;
}

const RETRY_MS = 10_000;
/** A pull may take minutes: nobody waits for it to stop. */
const STOP_MS = 5000;

export class PodWorkers {
  readonly #world: Pick<World, "clock" | "random">;
  readonly #log: Logger;
  readonly #acts: PodActs;
  readonly #settings: WorkerSettings;
  readonly #workers = new Map<string, Worker>();
  readonly #underWay = new Set<Promise<void>>();
  #stopped = false;

  constructor(world: Pick<World, "clock" | "random">, log: Logger, acts: PodActs, settings: WorkerSettings) {
    this.#world = world;
    this.#log = log;
    this.#acts = acts;
    this.#settings = settings;
  }

  /** A new or changed pod. */
  update(pod: Pod): void {
    const { uid } = pod.metadata;
    let worker = this.#workers.get(uid);
    if (worker === undefined) {
      worker = { pod, state: initial, running: undefined, again: false, timer: undefined, successor: undefined };
      this.#workers.set(uid, worker);
    } else if (worker.state.phase !== "syncing" && worker.pod !== pod && isStatic(pod)) {
      worker.successor = pod;
      return;
    }
    worker.pod = pod;
    this.#step(worker, {
      type: "updated",
      deleting: pod.metadata.deletionTimestamp === undefined ? undefined : graceOf(pod),
      terminal: isTerminalPhase(pod.status?.phase),
      grace: graceOf(pod),
    });
  }

  /** Stops a pod whatever its spec says. */
  kill(uid: string, graceSeconds?: number): void {
    const worker = this.#workers.get(uid);
    if (worker !== undefined) this.#step(worker, { type: "killed", graceSeconds, grace: graceOf(worker.pod) });
  }

  /** Something about the pod changed: look again. */
  wake(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker !== undefined) this.#look(worker);
  }

  /** The pod is gone from its source and from the node: nothing more to know of it. */
  forget(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker === undefined || worker.state.phase !== "finished") return;
    worker.timer?.[Symbol.dispose]();
    this.#workers.delete(uid);
  }

  has(uid: string): boolean {
    return this.#workers.has(uid);
  }
  stateOf(uid: string): PodState | undefined {
    return this.#workers.get(uid)?.state;
  }
  podOf(uid: string): Pod | undefined {
    return this.#workers.get(uid)?.pod;
  }
  uids(): Iterable<string> {
    return this.#workers.keys();
  }

  /** No more work. What is under way is told so; containers go on running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const worker of this.#workers.values()) {
      worker.timer?.[Symbol.dispose]();
      worker.running?.abort();
    }
    const patience = new AbortController();
    await Promise.race([Promise.allSettled(this.#underWay), pause(this.#world.clock, STOP_MS, patience.signal)]);
    patience.abort();
  }

  #step(worker: Worker, event: PodEvent): void {
    const before = worker.state;
    worker.state = step(before, event);
    // Work for the old state is out of date: a pod that shall stop need not wait for its volumes, and a shorter grace period counts at once.
    if (worker.state !== before) worker.running?.abort();
    this.#look(worker);
  }

  #look(worker: Worker): void {
    if (this.#stopped) return;
    if (worker.running !== undefined) {
      worker.again = true;
      return;
    }
    worker.timer?.[Symbol.dispose]();
    worker.timer = undefined;
    const work = workOf(worker.state);
    if (work === "nothing") return;
    const running = new AbortController();
    worker.running = running;
    worker.again = false;
    const acted = worker.state;
    const ended = this.#work(worker, running.signal).then(
      (event) => {
        worker.running = undefined;
        if (event === undefined) this.#settle(worker, this.#settings.resyncMs);
        else this.#done(worker, acted, event);
      },
      (error: unknown) => {
        worker.running = undefined;
        if (worker.state !== acted) return this.#look(worker);
        if (!(error instanceof RetryLater) && !this.#stopped)
          this.#log.error("Error syncing pod, skipping", error, { pod: podText(worker.pod) });
        this.#settle(worker, error instanceof RetryLater ? error.afterMs : RETRY_MS);
      },
    );
    this.#underWay.add(ended);
    void ended.finally(() => this.#underWay.delete(ended));
  }

  #done(worker: Worker, acted: PodState, event: PodEvent): void {
    // A shorter grace period may have come in between; what was stopped is stopped all the same.
    if (worker.state.phase === acted.phase) worker.state = step(worker.state, event);
    if (worker.state.phase === "finished") {
      const { pod, successor } = worker;
      this.#workers.delete(pod.metadata.uid);
      if (successor !== undefined) return this.update(successor);
      this.#workers.set(pod.metadata.uid, worker);
      this.#acts.finished(pod);
      return;
    }
    this.#look(worker);
  }

  /** Looks again after a while, or at once when asked in between. */
  #settle(worker: Worker, afterMs: number | undefined): void {
    if (worker.again) return this.#look(worker);
    if (afterMs === undefined || this.#stopped) return;
    const jittered = afterMs * (1 + this.#world.random.next() / 2);
    worker.timer = this.#world.clock.after(jittered, () => {
      worker.timer = undefined;
      this.#look(worker);
    });
  }

  async #work(worker: Worker, signal: AbortSignal): Promise<PodEvent | undefined> {
    const { pod, state } = worker;
    switch (state.phase) {
      case "syncing": {
        const outcome = await this.#acts.sync(pod, signal);
        return outcome === "completed" ? { type: "completed", grace: graceOf(pod) } : undefined;
      }
      case "terminating":
        await this.#acts.stop(pod, state.graceSeconds, signal);
        return { type: "containers stopped" };
      case "terminated":
        await this.#acts.cleanUp(pod);
        return { type: "cleaned up" };
      case "finished":
        return undefined;
    }
  }
}
