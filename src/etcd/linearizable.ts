/**
 * Linearizable reads, which see every write that was acknowledged before they began. The leader is asked how far the log is committed and confirms
 * meanwhile that it still leads; the read waits until this member has applied the log that far. One question at a time serves all reads that arrived
 * before it was sent.
 *
 * Upstream: server/etcdserver/read/read.go
 */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import type { ReadState } from "../raft/ready.ts";
import type { World } from "../world/world.ts";
import type { AppliedWait } from "./applied-wait.ts";
import type { Leadership } from "./leadership.ts";
import * as counted from "./metrics.ts";

const RETRY_MS = 500;

export interface LinearizableDeps {
  readonly clock: World["clock"];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly leadership: Leadership;
  readonly applied: AppliedWait;
  readonly timeoutMs: number;
  readonly nextRequestId: () => bigint;
  /** Asks raft. The answer comes to `answered`, or never. */
  readonly readIndex: (context: Uint8Array) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class LinearizableReads {
  readonly #deps: LinearizableDeps;
  /** Those that wait for the next question. */
  #waiting: Waiter[] = [];
  #isDue = false;
  /** The question under way: the ids it was asked under, in hexadecimal, and what its answer does. */
  #round: { readonly ids: Set<string>; readonly end: (index: number | Error) => void } | undefined;
  #stopped: Error | undefined;

  constructor(deps: LinearizableDeps) {
    this.#deps = deps;
  }

  /** Resolves when what is applied here includes all that was acknowledged before the call. */
  wait(): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#schedule();
    });
  }

  answered({ index, context }: ReadState): void {
    const id = Buffer.from(context).toString("hex");
    if (this.#round?.ids.has(id)) return this.#round.end(index);
    this.#deps.log.warn(
      "ignored out-of-date read index response; local node read indexes queueing up and waiting to be in sync with leader",
      { "received-request-id": id },
    );
    this.#deps.metrics.add(counted.slowReadIndexes, {});
  }

  stop(error: Error): void {
    this.#stopped = error;
    this.#round?.end(error);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #schedule(): void {
    if (this.#isDue || this.#round !== undefined || this.#waiting.length === 0) return;
    this.#isDue = true;
    // Those who ask in the same turn share the question.
    this.#deps.clock.soon(() => {
      this.#isDue = false;
      if (this.#stopped === undefined && this.#round === undefined) void this.#serve(this.#waiting.splice(0));
    });
  }

  async #serve(waiters: readonly Waiter[]): Promise<void> {
    try {
      const asked = this.#ask().finally(() => {
        this.#round = undefined;
        this.#schedule();
      });
      await this.#deps.applied.reached(await asked);
      for (const { resolve } of waiters) resolve();
    } catch (error) {
      for (const { reject } of waiters) reject(error as Error);
    }
  }

  /** The index up to which the log was committed at a moment after now. */
  async #ask(): Promise<number> {
    const { clock, leadership, log, metrics, timeoutMs } = this.#deps;
    let retry: Disposable | undefined;
    const ids = new Set<string>();
    const send = (): void => {
      const context = Buffer.alloc(8);
      context.writeBigUInt64BE(this.#deps.nextRequestId());
      ids.add(context.toString("hex"));
      retry?.[Symbol.dispose]();
      retry = clock.after(RETRY_MS, () => {
        log.warn("waiting for ReadIndex response took too long, retrying", { "retry-timeout": RETRY_MS });
        send();
      });
      this.#deps.readIndex(context);
    };
    const ended = new Promise<number>((resolve, reject) => {
      this.#round = { ids, end: (index) => (typeof index === "number" ? resolve(index) : reject(index)) };
    });
    const { end } = this.#round!;
    using _changed = leadership.onLeaderChange(() => {
      metrics.add(counted.readIndexesFailed, {});
      end(etcdError("leaderChanged"));
    });
    // A leader that has committed nothing in its term yet lets questions lie.
    using _begun = leadership.onTermBegun(() => send());
    using _timeout = clock.after(timeoutMs, () => {
      log.warn("timed out waiting for read index response (local node might have slow network)", {
        timeout: timeoutMs,
      });
      metrics.add(counted.slowReadIndexes, {});
      end(etcdError("timeout"));
    });
    send();
    try {
      return await ended;
    } finally {
      (retry as Disposable | undefined)?.[Symbol.dispose]();
    }
  }
}
