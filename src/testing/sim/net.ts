/**
 * A network in memory. A client reaches a server's handler with seeded delay; what can't be reached is a fault that a test sets. HTTP has no bytes in
 * between: exchanges are handed over, bodies are chunk queues.
 */
import { deferred, type Deferred } from "../../base/deferred.ts";
import type {
  Address,
  ByteStream,
  ClientRequest,
  ConnectOptions,
  DatagramSocket,
  Exchange,
  Headers,
  HttpClient,
  HttpClientOptions,
  HttpHandler,
  HttpResponse,
  Listener,
  ListenOptions,
  Net,
  Peer,
} from "../../world/net.ts";
import type { Random } from "../../world/world.ts";
import type { Simulation } from "./simulation.ts";

interface Endpoint {
  readonly onStream?: (stream: ByteStream) => void;
  readonly handle?: HttpHandler;
}
interface Answer {
  readonly response: HttpResponse;
  readonly stream: ByteStream | undefined;
}

export class SimulatedNet implements Net {
  readonly #clock: Simulation;
  readonly #random: Random;
  readonly #listeners = new Map<string, Endpoint>();
  readonly #datagrams = new Map<string, (data: Uint8Array, from: Address) => void>();
  #ports = 40_000;
  /** One-way delay in ms, least and most. */
  latencyMs: readonly [number, number] = [0.1, 0.5];
  /** True for an address that can't be reached now. */
  unreachable: (to: string) => boolean = () => false;

  constructor(clock: Simulation, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  async listen(options: ListenOptions, onStream: (stream: ByteStream) => void): Promise<Listener> {
    return this.#bind(options, { onStream });
  }

  async serveHttp(options: ListenOptions, handle: HttpHandler): Promise<Listener> {
    return this.#bind(options, { handle });
  }

  async connect(options: ConnectOptions): Promise<ByteStream> {
    const to = options.path ?? `${options.host ?? "127.0.0.1"}:${options.port}`;
    await this.#delay();
    const endpoint = this.#endpoint(to);
    if (endpoint?.onStream === undefined) throw refused(to);
    const [ours, theirs] = streamPair({ host: "127.0.0.1", port: this.#ports++ });
    endpoint.onStream(theirs);
    return ours;
  }

  httpClient(options: HttpClientOptions): HttpClient {
    const url = options.base.startsWith("unix:") ? undefined : new URL(options.base);
    const to =
      url === undefined
        ? options.base.slice(5)
        : `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
    const closed = new AbortController();
    const send = async (request: ClientRequest): Promise<Answer> => {
      request.signal?.throwIfAborted();
      await this.#delay();
      const endpoint = this.#endpoint(to);
      if (endpoint?.handle === undefined || closed.signal.aborted) throw refused(to);
      return exchange(endpoint.handle, request, url?.protocol === "https:", () => this.#delay());
    };
    return {
      request: async (request) => (await send(request)).response,
      upgrade: send,
      close: async () => closed.abort(),
      [Symbol.asyncDispose]: async () => closed.abort(),
    };
  }

  async datagrams(options: Address, onMessage: (data: Uint8Array, from: Address) => void): Promise<DatagramSocket> {
    const address = { host: options.host, port: options.port || this.#ports++ };
    const key = `${address.host}:${address.port}`;
    this.#datagrams.set(key, onMessage);
    return {
      address,
      send: (data, to) =>
        void this.#clock.after(this.#latency(), () => this.#datagrams.get(`${to.host}:${to.port}`)?.(data, address)),
      [Symbol.asyncDispose]: async () => void this.#datagrams.delete(key),
    };
  }

  #bind(options: ListenOptions, endpoint: Endpoint): Listener {
    const address = { host: options.host ?? "127.0.0.1", port: options.port || this.#ports++ };
    const key = options.path ?? `${address.host}:${address.port}`;
    if (this.#listeners.has(key))
      throw Object.assign(new Error(`listen EADDRINUSE: address already in use ${key}`), { code: "EADDRINUSE" });
    this.#listeners.set(key, endpoint);
    const close = async () => void this.#listeners.delete(key);
    return { address, reload() {}, close, [Symbol.asyncDispose]: close };
  }

  #endpoint(to: string): Endpoint | undefined {
    if (this.unreachable(to)) return undefined;
    const port = to.slice(to.lastIndexOf(":"));
    return this.#listeners.get(to) ?? this.#listeners.get(`0.0.0.0${port}`) ?? this.#listeners.get(`::${port}`);
  }

  #latency(): number {
    const [least, most] = this.latencyMs;
    return least + this.#random.next() * (most - least);
  }

  #delay(): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(this.#latency(), resolve));
  }
}

const refused = (to: string) => Object.assign(new Error(`connect ECONNREFUSED ${to}`), { code: "ECONNREFUSED" });

/** A queue of chunks that one side fills and the other iterates. */
class Chunks implements AsyncIterable<Uint8Array> {
  readonly #queue: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: Deferred<void> | undefined;

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.#wake?.resolve();
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake?.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return;
      this.#wake = deferred();
      await this.#wake.promise;
    }
  }
}

const bytes = (data: Uint8Array | string): Uint8Array =>
  typeof data === "string" ? new TextEncoder().encode(data) : data;

function streamPair(from: Address): readonly [ByteStream, ByteStream] {
  const up = new Chunks();
  const down = new Chunks();
  const closed = deferred();
  const side = (read: Chunks, write: Chunks): ByteStream => ({
    peer: { address: from },
    write: async (data) => write.push(data),
    end: () => write.end(),
    destroy(error) {
      write.end(error ?? new Error("the stream was cut"));
      read.end(error);
      closed.resolve();
    },
    closed: closed.promise,
    [Symbol.asyncIterator]: () => read[Symbol.asyncIterator](),
  });
  return [side(down, up), side(up, down)];
}

function exchange(
  handle: HttpHandler,
  request: ClientRequest,
  encrypted: boolean,
  delay: () => Promise<void>,
): Promise<Answer> {
  const answer = deferred<Answer>();
  const left = new AbortController();
  request.signal?.addEventListener(
    "abort",
    () => {
      left.abort(request.signal!.reason);
      answer.reject(request.signal!.reason);
    },
    { once: true },
  );
  const peer: Peer = { address: { host: "127.0.0.1", port: 1 } };
  async function* body(): AsyncIterable<Uint8Array> {
    if (request.body === undefined) return;
    if (typeof request.body === "string" || request.body instanceof Uint8Array) yield bytes(request.body);
    else yield* request.body;
  }
  let answered = false;
  const reply = (status: number, headers: Headers, chunks: Chunks, trailers: Promise<Headers>, stream?: ByteStream) => {
    answered = true;
    void delay().then(() => answer.resolve({ response: { status, headers, body: chunks, trailers }, stream }));
  };
  const { method, path: url, headers = {} } = request;
  const ours: Exchange = {
    request: { method, url, headers, httpVersion: "2.0", body: body(), peer, encrypted, signal: left.signal },
    respond(status, answerHeaders, data) {
      const chunks = new Chunks();
      if (data !== undefined) chunks.push(bytes(data));
      chunks.end();
      reply(status, answerHeaders, chunks, Promise.resolve({}));
    },
    stream(status, answerHeaders) {
      const chunks = new Chunks();
      const trailers = deferred<Headers>();
      reply(status, answerHeaders, chunks, trailers.promise);
      left.signal.addEventListener("abort", () => chunks.end(new Error("aborted")), { once: true });
      return {
        write(data) {
          chunks.push(bytes(data));
          return true;
        },
        drained: Promise.resolve(),
        queuedBytes: 0,
        end(last = {}) {
          chunks.end();
          trailers.resolve(last);
        },
        destroy: () => chunks.end(new Error("the answer was cut short")),
      };
    },
    upgrade(answerHeaders) {
      const [client, server] = streamPair(peer.address);
      const none = new Chunks();
      none.end();
      reply(101, answerHeaders, none, Promise.resolve({}), client);
      return server;
    },
  };
  void (async () => {
    try {
      await handle(ours);
    } catch (error) {
      if (!answered) ours.respond(500, {}, String(error));
    }
  })();
  return answer.promise;
}
