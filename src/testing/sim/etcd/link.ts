/** The way from a client to the members: late, cut or lost, as between machines. */
import { deferred } from "../../../base/deferred.ts";
import type { EtcdClient } from "../../../protocols/etcd/client.ts";
import { RpcError, type ClientStream } from "../../../wire/rpc/service.ts";
import type { Clock, Random } from "../../../world/world.ts";
import type { EtcdHost } from "./host.ts";
import { never } from "../mortal.ts";

export interface LinkFaults {
  /** Of requests and of answers. */
  loss: number;
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
    if (this.#lost(this.name, host.name)) return never;
    while (host.clock.frozen) await this.pause(20);
    const { world, server } = host;
    if (world === undefined || server === undefined || !host.isReady) throw new NotSent("connection refused");
    const died = deferred<never>();
    const onEnd = () => died.reject(new RpcError("Unavailable", "connection reset by peer"));
    died.promise.catch(() => {});
    world.end.addEventListener("abort", onEnd, { once: true });
    try {
      const answer = await Promise.race([run(server.client()), died.promise]);
      await this.#travel();
      if (this.#lost(host.name, this.name)) return never;
      return answer;
    } finally {
      world.end.removeEventListener("abort", onEnd);
    }
  }

  /** A stream, whose messages come one by one. It breaks when the member dies, and goes silent where the way is cut. */
  async open<In, Out>(
    host: EtcdHost,
    run: (client: EtcdClient) => ClientStream<In, Out>,
  ): Promise<{ readonly stream: ClientStream<In, Out>; next(): Promise<IteratorResult<Out>> }> {
    await this.#travel();
    if (this.#isCut(this.name, host.name)) throw new NotSent("no route to host");
    const { world, server } = host;
    if (world === undefined || server === undefined || !host.isReady || host.clock.frozen)
      throw new NotSent("connection refused");
    const stream = run(server.client());
    const messages = stream[Symbol.asyncIterator]();
    const died = deferred<never>();
    died.promise.catch(() => {});
    world.end.addEventListener("abort", () => died.reject(new RpcError("Unavailable", "reset")), { once: true });
    let last = 0;
    return {
      stream,
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
