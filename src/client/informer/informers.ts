/** Informers that are shared by everyone who asks for the same resource. Upstream: staging/src/k8s.io/client-go/informers/factory.go */
import { assert } from "../../base/assert.ts";
import { deferred } from "../../base/deferred.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { ResourceOf } from "../../machinery/resource.ts";
import type { Informer, Informers } from "./informer.ts";
import { reflect, type ReflectorDeps, type Selection } from "./reflector.ts";
import { SharedInformer } from "./shared-informer.ts";

export function createInformers(deps: ReflectorDeps): Informers {
  return new InformerFactory(deps);
}

interface Entry {
  readonly resource: ResourceOf<any>;
  readonly selection: Selection;
  readonly informer: SharedInformer<any>;
  readonly stop: AbortController;
}

class InformerFactory implements Informers {
  readonly #deps: ReflectorDeps;
  readonly #entries = new Map<string, Entry>();
  #signal: AbortSignal | undefined;
  readonly #running = new Set<Promise<void>>();

  constructor(deps: ReflectorDeps) {
    this.#deps = deps;
  }

  of<T extends KubeObject>(resource: ResourceOf<T>, options: Selection = {}): Informer<T> {
    const { namespace = "", labelSelector = "", fieldSelector = "" } = options;
    const key = [resource.group, resource.version, resource.plural, namespace, labelSelector, fieldSelector].join("\0");
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        resource,
        selection: options,
        informer: new SharedInformer<T>(this.#deps.log),
        stop: new AbortController(),
      };
      this.#entries.set(key, entry);
      if (this.#signal !== undefined) this.#start(entry, this.#signal);
    }
    return entry.informer;
  }

  drop(resource: ResourceOf<any>): void {
    const prefix = [resource.group, resource.version, resource.plural, ""].join("\0");
    for (const [key, { stop, informer }] of this.#entries) {
      if (!key.startsWith(prefix) || informer.isUsed) continue;
      stop.abort();
      this.#entries.delete(key);
    }
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    assert(this.#signal === undefined, "informers run once");
    this.#signal = signal;
    const entries = [...this.#entries.values()];
    for (const entry of entries) this.#start(entry, signal);
    const stopped = deferred();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    if (signal.aborted) stopped.resolve();
    const synced = Promise.all(entries.map(({ informer }) => informer.waitForSync(signal)));
    synced.then(ready, () => {}); // Stopped before it was ready.
    await stopped.promise;
    await Promise.all(this.#running);
  }

  #start({ resource, selection, informer, stop }: Entry, signal: AbortSignal): void {
    // Forwarded by hand: combined signals are kept alive by the garbage collector's will alone.
    const onAbort = () => stop.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const running = reflect(this.#deps, resource, selection, informer, stop.signal).finally(() => {
      signal.removeEventListener("abort", onAbort);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }
}
