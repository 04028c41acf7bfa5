/** The parts of a simulated cluster: each lives in a world of its own, may be killed and made again, and calls the API server over a network with faults. */
import { type Component } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import type { RestRequest, Transport, WatchEvent } from "../../client/transport.ts";
import type { Seams } from "../../cli/cluster.ts";
import type { SimulatedRuntime } from "../../kubelet/runtimes/simulated/simulated.ts";
import { StatusError } from "../../machinery/status.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import { type CallOptions, type ClientStream, RpcError } from "../../wire/rpc/service.ts";
import type { Random, World } from "../../world/world.ts";
import { mortal, type MortalWorld, never } from "./mortal.ts";

interface Part {
  readonly name: string;
  make(world: World): Component | Promise<Component>;
  lives: number;
  world: MortalWorld | undefined;
  /** It has said so since it was started: until then nothing listens. */
  ready: boolean;
  /** Resolves with the next world to live in. */
  next: ReturnType<typeof deferred<MortalWorld>>;
}

export interface NetworkFaults {
  /** One-way delay of a call, least and most. */
  latencyMs: readonly [number, number];
  /** Part of the calls that never arrive, and of the answers that never come back. */
  loss: number;
  /** Users that can't reach the API server. */
  readonly cutOff: Set<string>;
}

export class SimulatedSeams implements Seams {
  readonly #world: World;
  readonly #random: Random;
  readonly #parts = new Map<string, Part>();
  readonly faults: NetworkFaults = { latencyMs: [0.1, 2], loss: 0, cutOff: new Set() };

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork("calls");
  }

  get names(): readonly string[] {
    return [...this.#parts.keys()];
  }

  isAlive(name: string): boolean {
    return this.#part(name).world !== undefined;
  }

  /** It has been made and has said that it serves. */
  isReady(name: string): boolean {
    return this.#part(name).ready;
  }

  /** As `kill -9`: at once, in the middle of whatever it does. */
  kill(name: string): void {
    const part = this.#part(name);
    part.world?.kill();
    part.world = undefined;
    part.ready = false;
  }

  /** Starts what was killed. */
  start(name: string): void {
    const part = this.#part(name);
    if (part.world !== undefined) return;
    part.world = this.#newWorld(part);
    part.next.resolve(part.world);
  }

  #part(name: string): Part {
    const part = this.#parts.get(name);
    if (part === undefined) throw new Error(`no part is called ${name}`);
    return part;
  }

  #newWorld(part: Part): MortalWorld {
    part.lives++;
    return mortal(this.#world, `${part.name}/${part.lives}`);
  }

  async part(name: string, make: Part["make"]): Promise<Component> {
    const part: Part = { name, make, lives: 0, world: undefined, ready: false, next: deferred() };
    this.#parts.set(name, part);
    part.world = this.#newWorld(part);
    // Made now, so that those who call it later find it.
    let first: Component | undefined = await make(part.world);
    return {
      name,
      run: async (signal, ready) => {
        const stopped = new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true }),
        );
        for (let world: MortalWorld | undefined = part.world; world !== undefined && !signal.aborted;) {
          const component: Component = first ?? (await make(world));
          first = undefined;
          part.next = deferred();
          const died = deferred();
          world.end.addEventListener("abort", () => died.resolve(), { once: true });
          const abort = new AbortController();
          const run = component.run(abort.signal, () => {
            part.ready = true;
            ready();
          });
          run.catch(() => {});
          await Promise.race([run, died.promise, stopped]);
          if (!world.end.aborted) {
            abort.abort();
            await run;
            if (!signal.aborted) throw new Error(`${name} ended by itself`);
            return;
          }
          world = await Promise.race([part.next.promise, stopped.then(() => undefined)]);
        }
      },
    };
  }

  readonly runtimes = new Map<string, SimulatedRuntime>();

  runtime(nodeName: string, runtime: SimulatedRuntime): void {
    this.runtimes.set(nodeName, runtime);
  }

  /** The runtimes of nodes that live. */
  liveRuntimes(): readonly (readonly [node: string, runtime: SimulatedRuntime])[] {
    return [...this.runtimes].filter(([node]) => this.isAlive(`kubelet ${node}`));
  }

  etcd(connect: () => EtcdClient, world: World): EtcdClient {
    const end = (world as Partial<MortalWorld>).end;
    const member = (): MortalWorld => {
      const part = this.#part("etcd");
      if (part.world === undefined || !part.ready) throw new RpcError("Unavailable", "connection refused");
      return part.world;
    };
    const service = (name: "kv" | "watch" | "lease" | "maintenance") =>
      new Proxy(
        {},
        {
          get: (_, method) => {
            const call = (args: readonly unknown[]) => (connect()[name] as any)[method](...args);
            if (name === "watch") return (options?: CallOptions) => this.#stream(member, call, options, end);
            return async (...args: readonly unknown[]) => {
              if (end?.aborted) return never();
              const at = member();
              try {
                return await unlessEnded(at.end, reset, call(args));
              } finally {
                if (end?.aborted) await never();
              }
            };
          },
        },
      );
    return {
      kv: service("kv") as EtcdClient["kv"],
      watch: service("watch") as EtcdClient["watch"],
      lease: service("lease") as EtcdClient["lease"],
      maintenance: service("maintenance") as EtcdClient["maintenance"],
      close: async () => {},
    };
  }

  /** A stream that breaks when the member dies and falls silent when its reader does. */
  #stream(
    member: () => MortalWorld,
    call: (args: readonly unknown[]) => ClientStream<unknown, unknown>,
    options: CallOptions | undefined,
    end: AbortSignal | undefined,
  ): ClientStream<unknown, unknown> {
    const at = member();
    const stream = call([options]);
    end?.addEventListener("abort", () => stream.cancel(), { once: true });
    const messages = stream[Symbol.asyncIterator]();
    return {
      send: (message) => stream.send(message),
      end: () => stream.end(),
      cancel: () => stream.cancel(),
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const next = await unlessEnded(at.end, reset, messages.next());
          return end?.aborted ? never() : next;
        },
        return: async () => {
          await messages.return?.();
          return { value: undefined, done: true as const };
        },
      }),
    };
  }

  transport(user: { readonly name: string }, connect: () => Transport, world: World): Transport {
    const end = (world as Partial<MortalWorld>).end;
    const server = () => {
      const part = this.#part("kube-apiserver");
      return part.ready ? part.world : undefined;
    };
    const unreachable = (request: RestRequest, why: string) =>
      new StatusError("ServiceUnavailable", `${request.method} ${request.path}: ${why}`);
    const delay = () => {
      const [least, most] = this.faults.latencyMs;
      return new Promise<void>(
        (resolve) => void world.clock.after(least + this.#random.next() * (most - least), resolve),
      );
    };
    /** The server at the moment, or a refusal. */
    const reach = async (request: RestRequest): Promise<MortalWorld> => {
      await delay();
      request.signal?.throwIfAborted();
      const at = server();
      if (this.faults.cutOff.has(user.name) || this.#random.next() < this.faults.loss)
        throw unreachable(request, "timeout");
      if (at === undefined) throw unreachable(request, "connect: connection refused");
      return at;
    };
    /** What the call gives; a reset where the server dies; nothing where the caller does. */
    const carried = async <T>(request: RestRequest, at: MortalWorld, call: Promise<T>): Promise<T> => {
      try {
        return await unlessEnded(at.end, () => unreachable(request, "connection reset by peer"), call);
      } finally {
        if (end?.aborted) await never();
      }
    };
    /** The request, which also ends with the caller's world. By hand: when a combined signal goes is the garbage collector's to say. */
    const ending = <R extends RestRequest>(request: R): R & { [Symbol.dispose](): void } => {
      const abort = new AbortController();
      const onAbort = () => abort.abort(request.signal?.aborted ? request.signal.reason : end?.reason);
      for (const signal of [request.signal, end]) {
        if (signal?.aborted) onAbort();
        else signal?.addEventListener("abort", onAbort, { once: true });
      }
      return {
        ...request,
        signal: abort.signal,
        [Symbol.dispose]() {
          for (const signal of [request.signal, end]) signal?.removeEventListener("abort", onAbort);
        },
      };
    };
    const call = async <T>(
      request: RestRequest,
      run: (transport: Transport, request: RestRequest) => Promise<T>,
    ): Promise<T> => {
      const at = await reach(request);
      using whole = ending(request);
      try {
        return await carried(request, at, run(connect(), whole));
      } finally {
        await delay();
        if (at.end.aborted || this.faults.cutOff.has(user.name) || this.#random.next() < this.faults.loss)
          // oxlint-disable-next-line no-unsafe-finally -- the answer is lost, whatever it was.
          throw unreachable(request, "connection reset by peer");
      }
    };
    const { faults } = this;
    return {
      send: (request) => call(request, (transport, whole) => transport.send(whole)),
      async *watch(request): AsyncGenerator<WatchEvent> {
        const at = await reach(request);
        using whole = ending(request);
        const events = connect().watch(whole)[Symbol.asyncIterator]();
        let arrived = -1;
        try {
          for (;;) {
            const { done, value } = await carried(request, at, events.next());
            // What was sent at one moment arrives at one moment.
            if (arrived !== world.clock.monotonic()) await delay();
            arrived = world.clock.monotonic();
            if (faults.cutOff.has(user.name) || at.end.aborted) throw unreachable(request, "connection reset by peer");
            if (done === true) return;
            yield value;
          }
        } finally {
          void events.return?.();
        }
      },
      raw: (request) => call(request, (transport, whole) => transport.raw(whole)),
      close: async () => {},
    };
  }
}

const reset = () => new RpcError("Unavailable", "connection reset by peer");

/** What `call` gives, or `error` when the other side ends before that. */
async function unlessEnded<T>(end: AbortSignal, error: () => Error, call: Promise<T>): Promise<T> {
  const broken = deferred<never>();
  const onEnd = () => broken.reject(error());
  if (end.aborted) onEnd();
  else end.addEventListener("abort", onEnd, { once: true });
  try {
    return await Promise.race([call, broken.promise]);
  } finally {
    end.removeEventListener("abort", onEnd);
  }
}
