/**
 * The watch streams of a sequence. A step is over when every watcher has been told all that it should have: a first watcher, of all keys, is the
 * history, and says how much that is. So what comes doesn't depend on who is faster.
 */
import { RpcError, type Client, type ClientStream, type Init } from "../../wire/rpc/service.ts";
import type { MvccpbEvent, Watch, WatchRequest, WatchResponse } from "../../protocols/etcd/generated.ts";

const ALL = Buffer.from("\0");
const SETTLE_MS = 5000;
/** How long to wait for an answer that may be none. */
const GRACE_MS = 200;
const CATCH_UP_MS = 350;

interface Watcher {
  readonly asked: NonNullable<Init<WatchRequest>["create_request"]>;
  readonly from: number;
  /** When it was made. */
  readonly compacted: number;
  seen: number;
}

export interface Told {
  readonly stream: number;
  readonly response: WatchResponse | RpcError;
}

class OneStream {
  readonly #stream: ClientStream<WatchRequest, WatchResponse>;
  readonly asked: NonNullable<Init<WatchRequest>["create_request"]>[] = [];
  readonly watchers = new Map<bigint, Watcher>();
  /** Cancelled by us, and not yet by the server. */
  readonly #leaving = new Set<bigint>();
  mayAnswer = 0;
  answered = 0;
  ended = false;
  compacted = 0;

  constructor(stream: ClientStream<WatchRequest, WatchResponse>, hear: (what: WatchResponse | RpcError) => void) {
    this.#stream = stream;
    void (async () => {
      try {
        for await (const response of stream) {
          this.#take(response);
          hear(response);
        }
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        if (!this.ended) hear(error);
      }
      this.ended = true;
    })();
  }

  send(request: Init<WatchRequest>): void {
    if (request.create_request !== undefined) this.asked.push(request.create_request);
    else if (request.progress_request !== undefined) this.mayAnswer++;
    else if (request.cancel_request !== undefined)
      if (!this.watchers.has(request.cancel_request.watch_id ?? 0n)) this.mayAnswer++;
      else {
        const id = request.cancel_request.watch_id ?? 0n;
        this.watchers.delete(id);
        this.#leaving.add(id);
      }
    this.#stream.send(request);
  }

  get isQuiet(): boolean {
    return this.asked.length === 0 && this.#leaving.size === 0;
  }

  cancel(): void {
    this.ended = true;
    this.#stream.cancel();
  }

  #take(response: WatchResponse): void {
    const { watch_id: id, created, canceled, events, header } = response;
    if (created) {
      const asked = this.asked.shift();
      const from = asked?.start_revision || header!.revision + 1;
      if (!canceled && asked !== undefined) this.watchers.set(id, { asked, from, compacted: this.compacted, seen: 0 });
    } else if (canceled) {
      this.watchers.delete(id);
      this.#leaving.delete(id);
    }
    if (!created && id === -1n) this.answered++;
    const watcher = this.watchers.get(id);
    if (watcher !== undefined) watcher.seen += events.length;
  }
}

export class Watching {
  readonly #client: Client<typeof Watch>;
  readonly #streams = new Map<number, OneStream>();
  readonly #history: MvccpbEvent[] = [];
  #all: OneStream | undefined;
  #told: Told[] = [];
  #lastPast = 0;
  patience = 1;
  /** Below this one nothing can be watched any more. */
  compacted = 0;

  constructor(client: Client<typeof Watch>) {
    this.#client = client;
  }

  get isUsed(): boolean {
    return this.#streams.size > 0;
  }

  /** From here on what happens is history. */
  async begin(revision: number): Promise<void> {
    this.#history.length = 0;
    // What was done between two sequences ends with a compaction and one more put.
    const isNew = revision === 1;
    const from = isNew ? 1 : revision - 1;
    this.compacted = isNew ? 0 : from;
    this.#all = new OneStream(this.#client.Watch(), (response) => {
      if (!(response instanceof RpcError)) this.#history.push(...response.events);
    });
    this.#all.send({ create_request: { key: ALL, range_end: ALL, ...(!isNew && { start_revision: from }) } });
    await until(() => this.#all!.asked.length === 0 && (isNew || this.#reaches(revision)), SETTLE_MS * this.patience);
  }

  async send(number: number, requests: readonly Init<WatchRequest>[], token: string | undefined): Promise<void> {
    let stream = this.#streams.get(number);
    if (stream === undefined) {
      const opened = this.#client.Watch(token === undefined ? {} : { metadata: { token } });
      stream = new OneStream(opened, (response) => void this.#told.push({ stream: number, response }));
      this.#streams.set(number, stream);
    }
    stream.compacted = this.compacted;
    if (requests.some((request) => (request.create_request?.start_revision ?? 0) > 0))
      this.#lastPast = performance.now();
    // Only those are asked for progress that have caught up; it takes a server a tenth of a second to look.
    const wait = this.#lastPast + CATCH_UP_MS * this.patience - performance.now();
    if (wait > 0 && requests.some(({ progress_request }) => progress_request !== undefined))
      await new Promise((resolve) => setTimeout(resolve, wait));
    for (const request of requests) stream.send(request);
  }

  /** What the watchers were told since the last step. */
  async settle(revision: number): Promise<{ readonly told: readonly Told[]; readonly isWhole: boolean }> {
    const streams = [...this.#streams.values()];
    const isWhole = await until(
      () =>
        this.#reaches(revision) &&
        streams.every(
          (stream) =>
            stream.ended ||
            (stream.isQuiet && [...stream.watchers.values()].every((watcher) => watcher.seen >= this.#due(watcher))),
        ),
      SETTLE_MS * this.patience,
    );
    if (streams.some(({ mayAnswer, answered }) => mayAnswer > answered)) {
      await until(() => streams.every(({ mayAnswer, answered }) => mayAnswer <= answered), GRACE_MS * this.patience);
      for (const stream of streams) stream.mayAnswer = stream.answered;
    }
    const told = this.#told;
    this.#told = [];
    return { told, isWhole };
  }

  end(): void {
    this.#all?.cancel();
    for (const stream of this.#streams.values()) stream.cancel();
    this.#streams.clear();
    this.#told = [];
  }

  #reaches(revision: number): boolean {
    return revision === 1 || (this.#history.at(-1)?.kv?.mod_revision ?? 0) >= revision;
  }

  #due({ asked, from, compacted }: Watcher): number {
    // It will be cancelled, and waits for that.
    if (from > 0 && from < compacted) return Infinity;
    const [key, end] = [Buffer.from(asked.key ?? ""), Buffer.from(asked.range_end ?? "")];
    const first = key.length === 0 ? ALL : key;
    const isIn = (bytes: Uint8Array) => {
      if (end.length === 0) return first.equals(bytes);
      return first.compare(bytes) <= 0 && (end.equals(ALL) || end.compare(bytes) > 0);
    };
    return this.#history.filter(
      ({ type, kv }) =>
        kv!.mod_revision >= from &&
        // What was deleted just there is gone.
        (kv!.mod_revision > compacted || type === "PUT") &&
        isIn(kv!.key) &&
        !asked.filters?.includes(type === "PUT" ? "NOPUT" : "NODELETE"),
    ).length;
  }
}

async function until(reached: () => boolean, limitMs: number): Promise<boolean> {
  const begun = performance.now();
  for (let turn = 0; !reached(); turn++) {
    if (performance.now() - begun > limitMs) return false;
    await (turn < 3
      ? new Promise((resolve) => setImmediate(resolve))
      : new Promise((resolve) => setTimeout(resolve, 1)));
  }
  return true;
}
