/** Every change in a cluster's etcd, in order, from the first revision on, across restarts; with what must hold for all of them. */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";

export interface Change {
  readonly key: string;
  readonly revision: number;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
}

const encoder = new TextEncoder();
const START = encoder.encode("/registry/");
const END = encoder.encode("/registry0");

export class StoreLog {
  readonly #clock: Clock;
  readonly #etcd: () => EtcdClient;
  readonly #onChange: (change: Change) => void;
  /** What the store holds now, by key. */
  readonly state = new Map<string, Change>();
  revision = 0;
  #connection = new AbortController();

  constructor(clock: Clock, etcd: () => EtcdClient, onChange: (change: Change) => void) {
    this.#clock = clock;
    this.#etcd = etcd;
    this.#onChange = onChange;
  }

  /** Follows until `signal` aborts; throws where history changed. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#connection = new AbortController();
        await this.#follow(AbortSignal.any([signal, this.#connection.signal]));
      } catch (error) {
        if (error instanceof HistoryChanged) throw error;
      }
      await pause(this.#clock, 1, signal);
    }
  }

  /** The member was killed: nothing more comes from it, not even an end. */
  cut(): void {
    this.#connection.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { header } = await this.#etcd().kv.Range({ key: START, range_end: END, count_only: true }, { signal });
    if ((header?.revision ?? 0) < this.revision)
      throw new HistoryChanged(`the store is at revision ${header?.revision} and was at ${this.revision}`);
    const stream = this.#etcd().watch.Watch({ signal });
    stream.send({ create_request: { key: START, range_end: END, start_revision: this.revision + 1 } });
    for await (const response of stream) {
      if (response.canceled) throw new Error(response.cancel_reason);
      for (const { type, kv } of response.events) {
        const revision = Number(kv!.mod_revision);
        // Several keys may change in one revision, none goes back.
        if (revision < this.revision) throw new HistoryChanged(`revision ${revision} after ${this.revision}`);
        this.revision = revision;
        const key = Buffer.from(kv!.key).toString();
        const change = { key, revision, value: type === "DELETE" ? undefined : Buffer.from(kv!.value).toString() };
        if (change.value === undefined) this.state.delete(key);
        else this.state.set(key, change);
        this.#onChange(change);
      }
    }
  }
}

export class HistoryChanged extends Error {
  override readonly name = "HistoryChanged";
}
