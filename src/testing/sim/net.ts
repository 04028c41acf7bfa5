/**
 * A network in memory. A client reaches a server's handler with seeded delay; what can't be reached is a fault that a test sets. HTTP has no bytes in
 * between: exchanges are handed over, bodies are chunk queues.
 *
 * What is asked through `host(name)` comes from that host, and what listens there belongs to it: between two named hosts lies a link with faults of
 * its own (`links.ts`). Everyone else is in one place, where bytes of an answer take no time.
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
import { Links, type Connection } from "./links.ts";
import type { Simulation } from "./simulation.ts";

/** The network as one host has it. */
export interface HostNet extends Net {
  /** The host's process has died: its listeners are gone, its connections break. */
  kill(): void;
}

interface Endpoint {
  readonly host?: string;
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
  readonly #datagrams = new Map<string, { readonly host: string; take(data: Uint8Array, from: Address): void }>();
  /** Between named hosts. */
  readonly links: Links;
  #ports = 40_000;
  /** One-way delay in ms, least and most. */
  latencyMs: readonly [number, number] = [0.1, 0.5];
  /** True for an address that can't be reached now. */
  unreachable: (to: string) => boolean = () => false;

  constructor(clock: Simulation, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.links = new Links(clock, random.fork("links"));
  }

  host(name: string): HostNet {
    return {
      listen: async (options, onStream) => this.#bind(options, { host: name, onStream }),
      serveHttp: async (options, handle) => this.#bind(options, { host: name, handle }),
      connect: (options) => this.connect(options),
      httpClient: (options) => this.httpClient(options, name),
      datagrams: (options, onMessage) => this.datagrams(options, onMessage, name),
      kill: () => {
        for (const [key, endpoint] of this.#listeners) if (endpoint.host === name) this.#listeners.delete(key);
        for (const [key, socket] of this.#datagrams) if (socket.host === name) this.#datagrams.delete(key);
        this.links.kill(name);
      },
    };
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

  httpClient(options: HttpClientOptions, from?: string): HttpClient {
    const url = options.base.startsWith("unix:") ? undefined : new URL(options.base);
    const to =
      url === undefined
        ? options.base.slice(5)
        : `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
    const closed = new AbortController();
    const send = async (request: ClientRequest): Promise<Answer> => {
      request.signal?.throwIfAborted();
      const owner = this.#endpoint(to)?.host;
      if (from !== undefined && owner !== undefined && from !== owner)
        return this.#across(this.links.connect(from, owner), to, request, closed.signal, options);
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

  /** A request over a link: it leaves when the way is open, or fails when patience ends first. */
  #across(
    connection: Connection,
    to: string,
    request: ClientRequest,
    closed: AbortSignal,
    options: HttpClientOptions,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        connection.close();
        reject(error);
      };
      const patience = this.#clock.after(options.connectTimeoutMs ?? 30_000, () =>
        connection.break(Object.assign(new Error(`connect ETIMEDOUT ${to}`), { code: "ETIMEDOUT" })),
      );
      const leave = () => connection.break(request.signal?.reason ?? new Error("the client is closed"));
      request.signal?.addEventListener("abort", leave, { once: true });
      closed.addEventListener("abort", leave, { once: true });
      connection.onBreak((error) => {
        patience[Symbol.dispose]();
        fail(error);
      });
      connection.up.send(1, () => {
        patience[Symbol.dispose]();
        const endpoint = this.#endpoint(to);
        if (endpoint?.handle === undefined) return connection.break(refused(to));
        exchange(endpoint.handle, request, options.base.startsWith("https:"), () => Promise.resolve(), connection).then(
          resolve,
          fail,
        );
      });
    });
  }

  async datagrams(
    options: Address,
    onMessage: (data: Uint8Array, from: Address) => void,
    host = "",
  ): Promise<DatagramSocket> {
    const address = { host: options.host, port: options.port || this.#ports++ };
    const key = `${address.host}:${address.port}`;
    this.#datagrams.set(key, { host, take: onMessage });
    const send = (data: Uint8Array, to: Address): void => {
      const other = this.#datagrams.get(`${to.host}:${to.port}`);
      if (other === undefined) return;
      const across = host !== "" && other.host !== "" && host !== other.host;
      const faults = this.links.faults(host, other.host);
      if (across && (this.links.isCut(host, other.host) || this.#random.next() < faults.datagramLoss)) return;
      const times = across && this.#random.next() < faults.datagramRepeat ? 2 : 1;
      for (let i = 0; i < times; i++)
        this.#clock.after(across ? this.links.delay(host, other.host) : this.#latency(), () =>
          this.#datagrams.get(`${to.host}:${to.port}`)?.take(data, address),
        );
    };
    return {
      address,
      send,
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

/** With more than this on its way a client counts as slow. */
const SLOW_BYTES = 64 * 1024;

/** Resolves when so many bytes have come up from the client. */
function passed(connection: Connection, size: number): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.onBreak(reject);
    connection.up.send(size, resolve);
  });
}

function exchange(
  handle: HttpHandler,
  request: ClientRequest,
  encrypted: boolean,
  delay: () => Promise<void>,
  connection?: Connection,
): Promise<Answer> {
  const answer = deferred<Answer>();
  const left = new AbortController();
  const down = connection?.down;
  /** To the client: at once, or over the link. */
  const carry = (size: number, fn: () => void) => (down === undefined ? fn() : down.send(size, fn));
  connection?.onBreak((error) => left.abort(error));
  if (connection === undefined)
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
    else
      for await (const chunk of request.body) {
        if (connection !== undefined) await passed(connection, chunk.length);
        yield chunk;
      }
  }
  let answered = false;
  const reply = (status: number, headers: Headers, chunks: Chunks, trailers: Promise<Headers>, stream?: ByteStream) => {
    answered = true;
    const arrive = () => answer.resolve({ response: { status, headers, body: chunks, trailers }, stream });
    if (down === undefined) void delay().then(arrive);
    else down.send(1, arrive);
  };
  const { method, path: url, headers = {} } = request;
  const ours: Exchange = {
    request: { method, url, headers, httpVersion: "2.0", body: body(), peer, encrypted, signal: left.signal },
    respond(status, answerHeaders, data, trailers = {}) {
      const chunks = new Chunks();
      if (data !== undefined && method !== "HEAD") chunks.push(bytes(data));
      chunks.end();
      reply(status, answerHeaders, chunks, Promise.resolve(trailers));
      down?.send(1, () => connection?.close());
    },
    stream(status, answerHeaders) {
      const chunks = new Chunks();
      const trailers = deferred<Headers>();
      reply(status, answerHeaders, chunks, trailers.promise);
      left.signal.addEventListener("abort", () => chunks.end(new Error("aborted")), { once: true });
      return {
        write(data) {
          carry(data.length, () => chunks.push(bytes(data)));
          return (down?.pendingBytes ?? 0) < SLOW_BYTES;
        },
        get drained() {
          return down?.idle ?? Promise.resolve();
        },
        get queuedBytes() {
          return down?.pendingBytes ?? 0;
        },
        end(last = {}) {
          carry(0, () => {
            chunks.end();
            trailers.resolve(last);
            connection?.close();
          });
        },
        destroy() {
          if (connection === undefined) chunks.end(new Error("the answer was cut short"));
          else connection.break(new Error("the answer was cut short"));
        },
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
