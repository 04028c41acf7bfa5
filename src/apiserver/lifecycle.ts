/**
 * Graceful shutdown: the server reports that it is not ready, waits until clients stop sending, rejects new requests, and lets those in flight
 * finish, watches last.
 * Upstream: pkg/server/{lifecycle_signals.go,genericapiserver.go}, pkg/util/waitgroup
 */
import { deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import { pause } from "../world/time.ts";
import type { Clock } from "../world/world.ts";

export interface ShutdownOptions {
  /** `--shutdown-delay-duration` */
  readonly delayMs: number;
  /** `--shutdown-send-retry-after` */
  readonly sendRetryAfter: boolean;
  /** `--shutdown-watch-termination-grace-period` */
  readonly watchGraceMs: number;
  /** What a request has at most: so long those under way are waited for. */
  readonly requestTimeoutMs: number;
}

/** Watches that are ended in a second, at least. */
const WATCHES_PER_SECOND = 200;

export class Lifecycle {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly options: ShutdownOptions;
  #requests = 0;
  readonly #watches = new Set<() => void>();
  #idle = deferred();
  /** From when on nothing new is taken. */
  closed = false;
  stopping = false;

  constructor(options: ShutdownOptions, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.options = options;
    this.#clock = clock;
    this.#log = log;
  }

  begin(): void {
    this.#requests++;
  }
  end(): void {
    this.#requests--;
    if (this.#requests === 0 && this.closed) this.#idle.resolve();
  }

  /** `close` ends the watch cleanly. Gives what forgets it. */
  addWatch(close: () => void): () => void {
    this.#watches.add(close);
    return () => this.#watches.delete(close);
  }

  /** `stopListening` is called when no new requests are taken; with `sendRetryAfter` only when those under way are over. */
  async shutdown(stopListening: () => void): Promise<void> {
    const { delayMs, sendRetryAfter, watchGraceMs, requestTimeoutMs } = this.options;
    const never = new AbortController().signal;
    this.stopping = true;
    this.#tell("ShutdownInitiated");
    if (delayMs > 0) await pause(this.#clock, delayMs, never);
    this.#tell("AfterShutdownDelayDuration");
    this.closed = true;
    this.#tell("NotAcceptingNewRequest");
    if (!sendRetryAfter) {
      stopListening();
      this.#tell("HTTPServerStoppedListening");
    }
    await Promise.all([this.#drain(requestTimeoutMs), this.#endWatches(watchGraceMs)]);
    this.#tell("InFlightRequestsDrained");
    if (sendRetryAfter) {
      stopListening();
      this.#tell("HTTPServerStoppedListening");
    }
  }

  async #drain(limitMs: number): Promise<void> {
    if (this.#requests > 0) {
      const timer = this.#clock.after(limitMs, () => this.#idle.resolve());
      await this.#idle.promise;
      timer[Symbol.dispose]();
    }
    this.#log.v(1).info("[graceful-termination] in-flight non long-running request(s) have drained");
  }

  /** One after the other over the grace period, so that their clients don't all come to the next server at once. */
  async #endWatches(graceMs: number): Promise<void> {
    const closes = [...this.#watches];
    if (graceMs <= 0) {
      this.#log.v(1).info("[graceful-termination] not going to wait for active watch request(s) to drain");
      for (const close of closes) close();
      return;
    }
    const perSecond = Math.max(WATCHES_PER_SECOND, closes.length / (graceMs / 1000));
    const started = this.#clock.monotonic();
    for (const [i, close] of closes.entries()) {
      const due = started + (i / perSecond) * 1000;
      const wait = due - this.#clock.monotonic();
      if (wait > 1) await pause(this.#clock, wait, new AbortController().signal);
      close();
    }
    this.#log.v(1).info("[graceful-termination] active watch request(s) have drained", {
      duration: graceMs,
      activeWatchesBefore: closes.length,
    });
  }

  #tell(name: string): void {
    this.#log.v(1).info("[graceful-termination] shutdown event", { name });
  }
}
