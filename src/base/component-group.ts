/** Long-running parts of a process, and how they start, fail and stop together. */
import { deferred } from "./deferred.ts";

/** A long-running part of a process. */
export interface Component {
  readonly name: string;
  /** Runs until `signal` aborts. It calls `ready` when it can serve, and settles only after all it started has stopped. */
  run(signal: AbortSignal, ready: () => void): Promise<void>;
}

interface Running {
  readonly name: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Components that live and die together: started in order, stopped in reverse, all stopped when one fails. */
export class ComponentGroup implements AsyncDisposable {
  readonly #running: Running[] = [];
  readonly #failure = deferred<never>();

  constructor() {
    this.#failure.promise.catch(() => {}); // A failure nobody waits for must not crash the process twice.
  }

  /** Settles when the component is ready; rejects when it fails or ends before that, or with the signal's reason when that aborts first. */
  async start(component: Component, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const abort = new AbortController();
    const ready = deferred();
    const done = component.run(abort.signal, () => ready.resolve());
    this.#running.push({ name: component.name, abort, done });
    done.catch((cause: unknown) => this.#failure.reject(new Error(`${component.name} failed`, { cause })));
    const ended = done.then(() => {
      if (!abort.signal.aborted) throw new Error(`${component.name} ended before it was ready`);
    });
    ended.catch(() => {}); // A component that is ready races no more.
    const onAbort = () => ready.reject(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([ready.promise, ended]);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Settles when `signal` aborts; rejects with the first failure of any component. */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const aborted = deferred();
    const onAbort = () => aborted.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([aborted.promise, this.#failure.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { abort, done } of this.#running.splice(0).reverse()) {
      abort.abort();
      await done.catch(() => {}); // Already reported through wait().
    }
  }
}
