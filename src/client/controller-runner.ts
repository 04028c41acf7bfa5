/**
 * Runs one controller: its triggers fill a queue, and its workers reconcile. A key whose last reconcile wrote something waits until the informers
 * have seen that write, so that no controller decides on a state older than its own actions.
 * Upstream: cmd/kube-controller-manager/app, pkg/controller
 */
import { InvariantError } from "../base/assert.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import { controllerOf } from "../machinery/meta/object.ts";
import { keyOf } from "../machinery/meta/object.ts";
import { StatusError, hasReason } from "../machinery/status.ts";
import type { ResourceName, ResourceOf } from "../machinery/resource.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { ControllerContext, ControllerDefinition, OwnerTrigger, Reconciler, Trigger } from "./controller.ts";
import { createClient } from "./create-client.ts";
import type { Informer } from "./informer/informer.ts";
import { olderThan } from "./informer/shared-informer.ts";
import { recordingTransport, type Write } from "./recording.ts";
import { defaultLimiter } from "./workqueue/rate-limiter.ts";
import { WorkQueue } from "./workqueue/workqueue.ts";

export interface ControllerRunnerOptions {
  readonly context: ControllerContext;
  readonly metrics?: Metrics;
  readonly workers?: number;
}

export interface ControllerRunner {
  readonly name: string;
  /** Settles after the last worker has stopped. */
  run(signal: AbortSignal): Promise<void>;
}

/** After this long an own write that never shows up is taken as seen. Upstream's expectations expire alike. */
const UNSEEN_MAX_MS = 5 * 60_000;

/** Subscribes at once: call it before the informers run. */
export function createControllerRunner(
  definition: ControllerDefinition,
  { context, metrics, workers }: ControllerRunnerOptions,
): ControllerRunner {
  return new Runner(definition, context, metrics, workers ?? workersOf(definition, context.options));
}

function workersOf({ workers }: ControllerDefinition, options: ControllerContext["options"]): number {
  const set = workers.flag === undefined ? undefined : options[workers.flag];
  return typeof set === "number" ? set : workers.default;
}

class Runner implements ControllerRunner {
  readonly name: string;
  readonly #definition: ControllerDefinition;
  readonly #context: ControllerContext;
  readonly #workers: number;
  readonly #reconciler: Reconciler;
  readonly #queue: WorkQueue<string>;
  readonly #informers = new Map<string, Informer<any>>();
  /** Writes of each key's last reconciles that no informer has shown yet. */
  readonly #unseen = new Map<string, Map<string, Write>>();
  readonly #parked = new Map<string, Disposable>();
  /** Which parked keys wait for an object to be gone. */
  readonly #gone = new Map<string, Set<string>>();

  constructor(
    definition: ControllerDefinition,
    context: ControllerContext,
    metrics: Metrics | undefined,
    workers: number,
  ) {
    this.name = definition.name;
    this.#definition = definition;
    this.#workers = workers;
    this.#context = { ...context, log: context.log.with({ controller: definition.name }) };
    this.#queue = new WorkQueue<string>({
      name: definition.name.replace(/-controller$/, ""),
      clock: context.clock,
      limiter: defaultLimiter(context.clock, definition.backoff),
      ...(metrics && { metrics }),
    });
    this.#reconciler = definition.create(this.#context);
    for (const { resource } of definition.triggers) this.#inform(resource);
    for (const resource of definition.reads ?? []) this.#inform(resource);
    for (const trigger of definition.triggers) {
      const wake = (object: KubeObject) => {
        for (const key of trigger.keys(object, context.informers)) this.#queue.add(key);
      };
      const { on = ["add", "update", "delete"] } = trigger;
      context.informers.of(trigger.resource).subscribe({
        ...(on.includes("add") && { add: wake }),
        ...(on.includes("update") && {
          update: (old, object) => {
            if (trigger.changed?.(old, object) === false) return;
            // An object that changed hands or labels wakes those that had it as well.
            wake(old);
            wake(object);
          },
        }),
        ...(on.includes("delete") && { delete: wake }),
      });
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#context;
    const stop = () => this.#queue.shutDown();
    try {
      for (const informer of this.#informers.values()) await informer.waitForSync(signal);
    } catch (error) {
      if (signal.aborted) return stop();
      throw error;
    }
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    log.v(2).info("Starting controller", { workers: this.#workers });
    const work = Array.from({ length: this.#workers }, () => this.#work(signal));
    if (this.#reconciler.background !== undefined) work.push(this.#reconciler.background(signal));
    await Promise.all(work);
  }

  #inform(resource: ResourceName): void {
    const id = `${resource.group}/${resource.plural}`;
    if (this.#informers.has(id)) return;
    const informer = this.#context.informers.of<KubeObject>(resource);
    this.#informers.set(id, informer);
    const goneCheck = (object: KubeObject) => {
      const place = `${id}\0${keyOf(object)}`;
      const keys = this.#gone.get(place);
      if (keys === undefined) return;
      this.#gone.delete(place);
      for (const key of keys) this.#queue.add(key);
    };
    informer.subscribe({
      delete: goneCheck,
      update: (old, object) => {
        if (old.metadata.uid !== object.metadata.uid) goneCheck(old);
      },
    });
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.#queue.take(); key !== undefined; key = await this.#queue.take()) {
      if (this.#park(key)) this.#queue.done(key);
      else
        try {
          await this.#reconcile(key, signal);
        } finally {
          this.#queue.done(key);
        }
    }
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<void> {
    const client = createClient(
      recordingTransport(this.#context.client.transport, (write) => this.#record(key, write)),
    );
    try {
      const { againMs } = await this.#reconciler.reconcile(key, signal, client);
      this.#queue.forget(key);
      if (againMs !== undefined) this.#queue.addAfter(key, againMs);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      if (!signal.aborted) this.#failed(key, error);
    }
  }

  #failed(key: string, error: unknown): void {
    const { log } = this.#context;
    const { retriesMax = Number.POSITIVE_INFINITY } = this.#definition;
    if (isNamespaceTerminating(error)) return this.#queue.forget(key);
    if (this.#queue.retries(key) >= retriesMax) {
      log.error("Dropping the key out of the queue", error, { key });
      return this.#queue.forget(key);
    }
    // Someone was faster: changed it, or took it away. The cache hears of it next.
    if (hasReason(error, "Conflict", "NotFound"))
      log.v(2).info("The cache is behind, trying again", { key, message: error.message });
    else log.error("Reconcile failed, trying again", error, { key });
    this.#queue.addRateLimited(key);
  }

  #record(key: string, write: Write): void {
    if (!this.#informers.has(write.resource)) return;
    let writes = this.#unseen.get(key);
    if (writes === undefined) this.#unseen.set(key, (writes = new Map()));
    // One entry a resource is enough for versions, one an object for deletions.
    const place = write.resourceVersion === undefined ? `${write.resource}\0${write.key}` : write.resource;
    const known = writes.get(place);
    if (known?.resourceVersion === undefined || olderThan(known.resourceVersion, write.resourceVersion ?? ""))
      writes.set(place, write);
  }

  /** Whether the key must wait for the informers; it comes back by itself. */
  #park(key: string): boolean {
    const writes = this.#unseen.get(key);
    this.#parked.get(key)?.[Symbol.dispose]();
    this.#parked.delete(key);
    if (writes === undefined) return false;
    for (const [place, write] of writes) {
      const informer = this.#informers.get(write.resource)!;
      const { resourceVersion } = write;
      const seen =
        resourceVersion === undefined
          ? informer.get(write.key)?.metadata.uid !== write.uid
          : informer.hasSeen(resourceVersion);
      if (seen) {
        writes.delete(place);
        continue;
      }
      const wake =
        resourceVersion === undefined
          ? this.#onceGone(`${write.resource}\0${write.key}`, key)
          : informer.onceSeen(resourceVersion, () => this.#queue.add(key));
      const timer = this.#context.clock.after(UNSEEN_MAX_MS, () => {
        this.#unseen.delete(key);
        this.#queue.add(key);
      });
      this.#parked.set(key, {
        [Symbol.dispose]() {
          wake[Symbol.dispose]();
          timer[Symbol.dispose]();
        },
      });
      return true;
    }
    this.#unseen.delete(key);
    return false;
  }

  #onceGone(place: string, key: string): Disposable {
    const keys = this.#gone.get(place) ?? new Set();
    this.#gone.set(place, keys.add(key));
    return {
      [Symbol.dispose]: () => {
        keys.delete(key);
        if (keys.size === 0 && this.#gone.get(place) === keys) this.#gone.delete(place);
      },
    };
  }
}

export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof StatusError &&
    (error.details.causes ?? []).some((cause) => cause.reason === "NamespaceTerminating")
  );
}

/** Wakes the controller of `ownerKind` that owns the object. */
export const ownedBy: OwnerTrigger = (resource, ownerKind) => ({
  resource,
  keys(object) {
    const owner = controllerOf(object);
    if (owner === undefined || owner.kind !== ownerKind.kind) return [];
    if (owner.apiVersion.split("/").slice(0, -1).join("/") !== ownerKind.group) return [];
    const { namespace } = object.metadata;
    return [keyOf({ metadata: { name: owner.name, ...(namespace !== undefined && { namespace }) } })];
  },
});

/** Wakes the controller of the resource itself. */
export function itself<T extends KubeObject>(resource: ResourceOf<T>): Trigger<T> {
  return { resource, keys: (object) => [keyOf(object)] };
}
