/** The way from a client to the members: late, cut or lost, as between machines. */
import { deferred } from "../../../base/deferred.ts";
import type { EtcdClient } from "../../../protocols/etcd/client.ts";
import { watchService } from "../../../etcd/api/watch.ts";
import type { WatchRequest, WatchResponse } from "../../../protocols/etcd/generated.ts";
import { MessageQueue } from "../../../wire/rpc/message-queue.ts";
import { RpcError, type Init, type ServerStream } from "../../../wire/rpc/service.ts";
import type { Clock, Random } from "../../../world/world.ts";
import type { EtcdHost } from "./host.ts";
import { never } from "../mortal.ts";

export interface LinkFaults {
  /** Of requests and of answers. */
  loss: number;
}

export interface WatchConnection {
  send(request: Init<WatchRequest>): void;
  cancel(): void;
  next(): Promise<IteratorResult<WatchResponse>>;
}

/** Nobody has heard the request. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

export class ClientLink {
  readonly name: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: LinkFaults;
  readonly #isCut: (from: string, to: string) => boolean;

  constructor(
    name: string,
    deps: { clock: Clock; random: Random; faults: LinkFaults; isCut: (from: string, to: string) => boolean },
  ) {
    this.name = name;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#faults = deps.faults;
    this.#isCut = deps.isCut;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }

  #travel(): Promise<void> {
    return this.pause(0.1 + this.#random.next() * 1.5);
  }

  #lost(from: string, to: string): boolean {
    return this.#isCut(from, to) || this.#random.next() < this.#faults.loss;
  }

  /** What a member answers. Throws `NotSent` where it can't have heard, and anything else where nobody knows what became of it. */
  async call<T>(host: EtcdHost, timeoutMs: number, run: (client: EtcdClient) => Promise<T>): Promise<T> {
    const patience = deferred<never>();
    patience.promise.catch(() => {});
    using _timer = this.#clock.after(timeoutMs, () =>
      patience.reject(new RpcError("DeadlineExceeded", "context deadline exceeded")),
    );
    return await Promise.race([this.#call(host, run), patience.promise]);
  }

  async #call<T>(host: EtcdHost, run: (client: EtcdClient) => Promise<T>): Promise<T> {
    await this.#travel();
    if (this.#lost(this.name, host.name)) return never();
    // What waited at its door is heard at once when it goes on.
    while (host.clock.frozen) await this.pause(host.clock.frozenForMs);
    const { world, server } = host;
    if (world === undefined || server === undefined || !host.isReady) throw new NotSent("connection refused");
    const died = deferred<never>();
    const onEnd = () => died.reject(new RpcError("Unavailable", "connection reset by peer"));
    died.promise.catch(() => {});
    world.end.addEventListener("abort", onEnd, { once: true });
    try {
      const answer = await Promise.race([run(server.client()), died.promise]);
      await this.#travel();
      if (this.#lost(host.name, this.name)) return never();
      return answer;
    } finally {
      world.end.removeEventListener("abort", onEnd);
    }
  }

  /** A watch stream, whose messages come one by one. It breaks when the member dies, and goes silent where the way is cut. */
  async watch(host: EtcdHost, queue: number): Promise<WatchConnection> {
    await this.#travel();
    if (this.#isCut(this.name, host.name)) throw new NotSent("no route to host");
    const { world, member } = host;
    if (world === undefined || member === undefined || !host.isReady || host.clock.frozen)
      throw new NotSent("connection refused");
    const requests = new MessageQueue<Init<WatchRequest>>();
    // A reader is slow soon.
    const messages = new MessageQueue<WatchResponse>(queue);
    const left = new AbortController();
    const stream: ServerStream<Init<WatchRequest>, WatchResponse> = {
      send: (response) => messages.push(response as WatchResponse),
      get drained() {
        return messages.drained;
      },
      [Symbol.asyncIterator]: () => requests,
    };
    void watchService(member)
      .Watch(stream, { metadata: {}, signal: left.signal, peer: this.name })
      .then(
        () => messages.end(),
        (error: unknown) => messages.end(error),
      );
    const died = deferred<never>();
    died.promise.catch(() => {});
    world.end.addEventListener("abort", () => died.reject(new RpcError("Unavailable", "reset")), { once: true });
    let last = 0;
    return {
      send: (request) => void requests.push(request),
      cancel: () => {
        left.abort();
        requests.end();
        messages.end(new RpcError("Canceled", "context canceled"));
      },
      next: async () => {
        const message = await Promise.race([messages.next(), died.promise]);
        // What came at one moment arrives at one moment.
        if (last !== this.#clock.monotonic()) await this.#travel();
        last = this.#clock.monotonic();
        if (world.end.aborted) throw new RpcError("Unavailable", "connection reset by peer");
        if (this.#isCut(host.name, this.name)) throw new RpcError("Unavailable", "the client gave up");
        return message;
      },
    };
  }
}
