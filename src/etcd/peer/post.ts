/**
 * Messages that are sent as single requests: those before the streams are established (the pipeline), and snapshots.
 * Upstream: server/etcdserver/api/rafthttp/pipeline.go, snapshot_sender.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Message, NodeId } from "../../raft/types.ts";
import type { ClientRequest } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { hexId } from "../cluster/identity.ts";
import type { MessageCodec } from "./message-codec.ts";
import * as counted from "./metrics.ts";
import { CLUSTER_MISMATCH, header, MEMBER_REMOVED, requestHeaders, type Identity } from "./protocol.ts";
import type { PeerStatus } from "./status.ts";
import { encodeDelimited } from "./stream-codec.ts";
import type { PeerCallbacks, SnapshotExchange } from "./transport.ts";
import type { UrlPicker } from "./url-picker.ts";

const CONNECTIONS = 4;
const WAITING_MAX = 64;
/** A snapshot of which nothing was taken for so long is given up; so is one that was taken whole and never answered. */
const STALLED_MS = 30_000;
const ANSWER_MS = 300_000;

export interface PostDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly codec: MessageCodec;
  readonly self: Identity;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly callbacks: PeerCallbacks;
  readonly snapshots: SnapshotExchange;
  readonly timeoutMs: number;
}

interface Waiting {
  readonly message: Message;
  readonly bytes: Buffer;
}

export class Pipeline {
  readonly #peer: NodeId;
  readonly #deps: PostDeps;
  readonly #signal: AbortSignal;
  readonly #waiting: Waiting[] = [];
  #busy = 0;

  constructor(peer: NodeId, deps: PostDeps, signal: AbortSignal) {
    this.#peer = peer;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** False when too much waits already. */
  send(message: Message): boolean {
    if (this.#waiting.length >= WAITING_MAX) return false;
    this.#waiting.push({ message, bytes: this.#deps.codec.encode(message) });
    if (this.#busy < CONNECTIONS) void this.#work();
    return true;
  }

  async #work(): Promise<void> {
    const { clock, metrics, status, callbacks, timeoutMs } = this.#deps;
    const To = hexId(this.#peer);
    this.#busy++;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const patience = deadline(clock, timeoutMs, this.#signal);
      try {
        await post(this.#peer, this.#deps, {
          path: "/raft",
          contentType: "application/protobuf",
          body: next.bytes,
          signal: patience.signal,
        });
        status.activate();
        metrics.add(counted.sentBytes, { To }, next.bytes.length);
      } catch (error) {
        if (this.#signal.aborted) break;
        status.deactivate("write", "pipeline", error);
        callbacks.reportUnreachable(this.#peer);
        metrics.add(counted.sentFailures, { To });
      } finally {
        patience[Symbol.dispose]();
      }
    }
    this.#busy--;
  }
}

/** Sends the whole state behind its message. False when the peer didn't get it. */
export async function sendSnapshot(
  peer: NodeId,
  asked: Message,
  deps: PostDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { clock, log, metrics, callbacks, status } = deps;
  const To = hexId(peer);
  const start = clock.monotonic();
  using progress = new Progress(clock, signal);
  metrics.set(counted.snapshotsBeingSent, { To }, 1);
  let fields: Record<string, unknown> = { "remote-peer-id": To };
  try {
    const snapshot = await deps.snapshots.open(asked);
    const bytes = snapshot.sizeBytes + deps.codec.size(snapshot.message);
    let isTaken = false;
    fields = { "snapshot-index": snapshot.message.snapshot?.metadata.index, "remote-peer-id": To, bytes };
    try {
      log.info("sending database snapshot", fields);
      await post(peer, deps, {
        path: "/raft/snapshot",
        contentType: "application/octet-stream",
        body: progress.watch(encodeDelimited(deps.codec, snapshot.message), snapshot.body),
        signal: progress.signal,
      });
      isTaken = true;
    } finally {
      snapshot.close(isTaken);
    }
    status.activate();
    log.info("sent database snapshot", fields);
    metrics.add(counted.sentBytes, { To }, bytes);
    metrics.add(counted.snapshotsSent, { To });
    metrics.observe(counted.snapshotSendSeconds, { To }, (clock.monotonic() - start) / 1000);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    log.error("failed to send database snapshot", error, fields);
    status.deactivate("post", "sendMsgSnap", error);
    callbacks.reportUnreachable(peer);
    metrics.add(counted.sentFailures, { To });
    metrics.add(counted.snapshotSendFailures, { To });
    return false;
  } finally {
    metrics.set(counted.snapshotsBeingSent, { To }, 0);
  }
}

/** Gives a transfer up that stands still: a receiver that is cut off would keep raft from sending it another. */
class Progress implements Disposable {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #onAbort: () => void;
  #timer: Disposable;

  constructor(clock: Clock, parent: AbortSignal) {
    this.#clock = clock;
    this.#parent = parent;
    this.#onAbort = () => this.#controller.abort(parent.reason);
    parent.addEventListener("abort", this.#onAbort, { once: true });
    this.#timer = this.#within(STALLED_MS);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async *watch(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield head;
    let at = this.#clock.monotonic();
    for await (const chunk of rest) {
      yield chunk;
      const now = this.#clock.monotonic();
      if (now - at < STALLED_MS / 10) continue;
      at = now;
      this.#again(STALLED_MS);
    }
    // All is sent: the receiver brings it to its disk before it answers.
    this.#again(ANSWER_MS);
  }

  #again(ms: number): void {
    this.#timer[Symbol.dispose]();
    this.#timer = this.#within(ms);
  }

  #within(ms: number): Disposable {
    return this.#clock.after(ms, () => this.#controller.abort(new Error("i/o timeout")));
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent.removeEventListener("abort", this.#onAbort);
  }
}

/** Resolves when the peer has taken it. */
async function post(
  peer: NodeId,
  { picker, self, log, callbacks }: PostDeps,
  request: {
    readonly path: string;
    readonly contentType: string;
    readonly body: NonNullable<ClientRequest["body"]>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { url, client } = picker.pick();
  try {
    const response = await client.request({
      method: "POST",
      path: request.path,
      headers: { ...requestHeaders(self), "content-type": request.contentType },
      body: request.body,
      signal: request.signal,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    if (response.status === 204) return;
    const refusal = Buffer.concat(chunks).toString().trim();
    if (response.status === 403) {
      callbacks.removed(MEMBER_REMOVED);
      throw new Error(MEMBER_REMOVED);
    }
    if (response.status === 412) {
      log.warn(
        refusal === CLUSTER_MISMATCH
          ? "request sent was ignored due to cluster ID mismatch"
          : "request sent was ignored by peer",
        {
          "remote-peer-id": hexId(peer),
          "remote-peer-cluster-id": header(response.headers, "x-etcd-cluster-id"),
          "local-member-cluster-id": hexId(self.clusterId),
        },
      );
      throw new Error(refusal);
    }
    throw new Error(`unexpected http status ${response.status} while posting to "${url}${request.path}"`);
  } catch (error) {
    picker.unreachable(url);
    throw error;
  }
}
