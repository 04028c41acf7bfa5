/**
 * A stream from a peer: requested by a request whose response never ends, and requested again whenever it does.
 * Upstream: server/etcdserver/api/rafthttp/stream.go (streamReader)
 */
import type { Logger } from "../../observe/log.ts";
import type { Message, NodeId } from "../../raft/types.ts";
import type { HttpResponse } from "../../world/net.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { hexId } from "../cluster/identity.ts";
import type { MessageCodec } from "./message-codec.ts";
import {
  CLUSTER_MISMATCH,
  header,
  INCOMPATIBLE_VERSION,
  MEMBER_REMOVED,
  requestHeaders,
  servesStreams,
  STREAM_NAMES,
  STREAM_PATHS,
  type Identity,
} from "./protocol.ts";
import type { PeerStatus } from "./status.ts";
import { streamDecoder, type StreamKind } from "./stream-codec.ts";
import type { UrlPicker } from "./url-picker.ts";

const DIAL_INTERVAL_MS = 100;

export interface StreamReaderDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly codec: MessageCodec;
  readonly self: Identity;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  /** A connection that says nothing for so long is given up. */
  readonly readTimeoutMs: number;
  /** What came in, in order. A promise holds up the stream. */
  receive(message: Message, sizeBytes: number): void | Promise<void>;
  removed(reason: string): void;
}

/** Dials, reads, and dials again, until `signal` aborts. */
export async function readStream(
  kind: StreamKind,
  peer: NodeId,
  deps: StreamReaderDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, self, status } = deps;
  const name = STREAM_NAMES[kind];
  const fields = {
    "stream-reader-type": name,
    "local-member-id": hexId(self.id),
    "remote-peer-id": hexId(peer),
  };
  log.info("started stream reader with remote peer", fields);
  while (!signal.aborted) {
    const silence = new Silence(clock, deps.readTimeoutMs, signal);
    try {
      const response = await dial(kind, peer, deps, silence.signal);
      if (response !== undefined) {
        status.activate();
        log.info("established TCP streaming connection with remote peer", fields);
        const failure = await decode(kind, peer, deps, response, silence);
        if (signal.aborted) break;
        log.warn("lost TCP streaming connection with remote peer", { ...fields, error: words(failure ?? "EOF") });
        // An end in order says nothing against the peer: it may have dialled anew from its side.
        if (failure !== undefined) status.deactivate("read", name, failure);
      }
    } catch (error) {
      if (signal.aborted) break;
      status.deactivate("dial", name, error);
    } finally {
      silence[Symbol.dispose]();
    }
    if (!(await pause(clock, DIAL_INTERVAL_MS, signal))) break;
  }
  log.info("stopped stream reader with remote peer", fields);
}

/** Undefined where the peer is too old to serve streams. */
async function dial(
  kind: StreamKind,
  peer: NodeId,
  deps: StreamReaderDeps,
  signal: AbortSignal,
): Promise<HttpResponse | undefined> {
  const { self, picker, log } = deps;
  const { url, client } = picker.pick();
  try {
    const response = await client.request({
      method: "GET",
      path: `${STREAM_PATHS[kind]}/${hexId(self.id)}`,
      headers: { ...requestHeaders(self), "x-raft-to": hexId(peer) },
      signal,
    });
    if (response.status === 200 && servesStreams(response.headers)) return response;
    const refusal = (await text(response)).trim();
    if (!servesStreams(response.headers)) return undefined;
    switch (response.status) {
      case 410:
        deps.removed(MEMBER_REMOVED);
        throw new Error(MEMBER_REMOVED);
      case 404:
        throw new Error(`peer ${hexId(peer)} failed to find local node ${hexId(self.id)}`);
      case 412: {
        if (refusal === INCOMPATIBLE_VERSION)
          log.warn("request sent was ignored by remote peer due to server version incompatibility", {
            "local-member-id": hexId(self.id),
            "remote-peer-id": hexId(peer),
          });
        else if (refusal === CLUSTER_MISMATCH)
          log.warn("request sent was ignored by remote peer due to cluster ID mismatch", {
            "remote-peer-id": hexId(peer),
            "remote-peer-cluster-id": header(response.headers, "x-etcd-cluster-id"),
            "local-member-id": hexId(self.id),
            "local-member-cluster-id": hexId(self.clusterId),
          });
        else throw new Error(`unhandled error ${JSON.stringify(refusal)} when precondition failed`);
        throw new Error(refusal);
      }
      default:
        throw new Error(`unhandled http status ${response.status}`);
    }
  } catch (error) {
    picker.unreachable(url);
    throw error;
  }
}

/** The error that ended the stream, or undefined after an end in order. */
async function decode(
  kind: StreamKind,
  peer: NodeId,
  { codec, self, receive }: StreamReaderDeps,
  { body }: HttpResponse,
  silence: Silence,
): Promise<unknown> {
  const decoder = streamDecoder(kind, codec, self.id, peer);
  const received: { readonly message: Message; readonly sizeBytes: number }[] = [];
  try {
    for await (const chunk of body) {
      silence.hear();
      decoder.push(chunk, (message, sizeBytes) => received.push({ message, sizeBytes }));
      for (let i = 0; i < received.length; i++) {
        const { message, sizeBytes } = received[i]!;
        const done = receive(message, sizeBytes);
        if (done !== undefined) await done;
      }
      received.length = 0;
    }
    return undefined;
  } catch (error) {
    silence.end(error);
    return error;
  }
}

/** Aborts when nothing was heard for a while. Checked at intervals, so that hearing something costs no timer. */
class Silence implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #onAbort: () => void;
  readonly #clock: Clock;
  #timer: Disposable;
  #heard = false;

  constructor(clock: Clock, ms: number, parent: AbortSignal) {
    this.#clock = clock;
    this.#parent = parent;
    this.#onAbort = () => this.#controller.abort(parent.reason);
    parent.addEventListener("abort", this.#onAbort, { once: true });
    this.#timer = this.#arm(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  hear(): void {
    this.#heard = true;
  }

  end(error: unknown): void {
    this.#controller.abort(error);
  }

  #arm(ms: number): Disposable {
    return this.#clock.after(ms, () => {
      if (!this.#heard) return this.#controller.abort(new Error("i/o timeout"));
      this.#heard = false;
      this.#timer = this.#arm(ms);
    });
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent.removeEventListener("abort", this.#onAbort);
    // Whatever is left of the connection goes.
    if (!this.#controller.signal.aborted) this.#controller.abort(new Error("the stream is over"));
  }
}

async function text({ body }: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
