/**
 * Another member and the connections to it: two streams that it has requested from us, two that we request from it, single requests where a stream
 * is missing, and snapshots.
 * Upstream: server/etcdserver/api/rafthttp/peer.go, remote.go
 */
import type { Message, NodeId } from "../../raft/types.ts";
import type { ResponseStream } from "../../world/net.ts";
import { pause } from "../../world/time.ts";
import { hexId } from "../cluster/identity.ts";
import * as counted from "./metrics.ts";
import { Pipeline, sendSnapshot, type PostDeps } from "./post.ts";
import { probe } from "./prober.ts";
import { STREAM_NAMES } from "./protocol.ts";
import { PeerStatus } from "./status.ts";
import type { StreamKind } from "./stream-codec.ts";
import { readStream, type StreamReaderDeps } from "./stream-reader.ts";
import { StreamWriter } from "./stream-writer.ts";
import type { UrlPicker } from "./url-picker.ts";

/** One snapshot that doesn't arrive is told at once. Before the second is, it takes this long, and twice as long each time after that. */
const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;

/** What a peer needs of its transport. */
export type PeerDeps = Omit<PostDeps, "status" | "picker"> &
  Pick<StreamReaderDeps, "receive" | "readTimeoutMs"> & {
    readonly writeTimeoutMs: number;
    picker(urls: readonly string[]): UrlPicker;
  };

export class Peer {
  readonly id: NodeId;
  readonly #deps: PeerDeps;
  readonly #status: PeerStatus;
  readonly #picker: UrlPicker;
  readonly #post: PostDeps;
  readonly #pipeline: Pipeline;
  readonly #appends: StreamWriter;
  readonly #messages: StreamWriter;
  readonly #stop = new AbortController();
  /** Snapshots, since the last that arrived. */
  #lostSnapshots = 0;

  /** A remote is sent to by requests alone, and asked for nothing. */
  constructor(id: NodeId, urls: readonly string[], deps: PeerDeps, isRemote: boolean) {
    this.id = id;
    this.#deps = deps;
    this.#status = new PeerStatus(deps, deps.self.id, id);
    this.#picker = deps.picker(urls);
    this.#post = { ...deps, status: this.#status, picker: this.#picker };
    this.#pipeline = new Pipeline(id, this.#post, this.#stop.signal);
    this.#appends = new StreamWriter("msgappv2", deps.codec);
    this.#messages = new StreamWriter("message", deps.codec);
    if (isRemote) return;
    const reader: StreamReaderDeps = {
      ...deps,
      status: this.#status,
      picker: this.#picker,
      removed: (reason) => deps.callbacks.removed(reason),
    };
    void readStream("msgappv2", id, reader, this.#stop.signal);
    void readStream("message", id, reader, this.#stop.signal);
    void probe(
      id,
      { ...deps, picker: this.#picker, intervalMs: Math.max(1000, deps.readTimeoutMs - 1000) },
      this.#stop.signal,
    );
    this.#beat();
  }

  get activeSince(): number | undefined {
    return this.#status.activeSince;
  }

  send(message: Message): void {
    if (message.type === "MsgSnap") return void this.#sendSnapshot(message);
    const writer =
      message.type === "MsgApp" && this.#appends.working
        ? this.#appends
        : this.#messages.working
          ? this.#messages
          : undefined;
    if (writer !== undefined) {
      const bytes = writer.send(message);
      if (bytes !== undefined) return this.#deps.metrics.add(counted.sentBytes, { To: hexId(this.id) }, bytes);
    } else if (this.#pipeline.send(message)) return;
    this.#deps.callbacks.reportUnreachable(this.id);
    this.#deps.metrics.add(counted.sentFailures, { To: hexId(this.id) });
    this.#deps.log.warn("dropped internal Raft message since sending buffer is full", {
      "message-type": message.type,
      "remote-peer-id": hexId(this.id),
      "remote-peer-name": writer === undefined ? "pipeline" : writer.kind,
      "remote-peer-active": this.activeSince !== undefined,
    });
  }

  /** Raft tries again with the next heartbeat that is answered, and reads cause many: who can't take it would be sent it without a pause. */
  async #sendSnapshot(message: Message): Promise<void> {
    const { signal } = this.#stop;
    const isSent = await sendSnapshot(this.id, message, this.#post, signal);
    this.#lostSnapshots = isSent ? 0 : this.#lostSnapshots + 1;
    if (this.#lostSnapshots > 1)
      await pause(this.#deps.clock, Math.min(RETRY_MS * 2 ** (this.#lostSnapshots - 2), RETRY_MS_MAX), signal);
    if (!signal.aborted) this.#deps.callbacks.reportSnapshot(this.id, isSent);
  }

  flush(): void {
    this.#appends.flush();
    this.#messages.flush();
  }

  update(urls: readonly string[]): void {
    this.#picker.update(urls);
  }

  /** The peer has asked for a stream. `gone` aborts when it leaves. */
  attach(kind: StreamKind, stream: ResponseStream, gone: AbortSignal): void {
    const writer = kind === "msgappv2" ? this.#appends : this.#messages;
    const fields = this.#fields(kind);
    if (writer.working) this.#deps.log.warn("closed TCP streaming connection with remote peer", fields);
    writer.attach(stream, this.#deps.clock.monotonic());
    this.#deps.log.info("established TCP streaming connection with remote peer", fields);
    this.#status.activate();
    gone.addEventListener("abort", () => {
      if (!writer.detach(stream)) return;
      this.#status.deactivate("write", STREAM_NAMES[kind], "the connection was closed");
      this.#deps.log.warn("lost TCP streaming connection with remote peer", fields);
    });
  }

  stop(): void {
    this.#stop.abort(new Error("stopped"));
    this.#appends.close();
    this.#messages.close();
    this.#picker.close();
    this.#status.forget();
  }

  /** Keeps idle streams alive, and gives up those that don't take anything. */
  #beat(): void {
    this.#deps.clock.after(this.#deps.readTimeoutMs / 3, () => {
      if (this.#stop.signal.aborted) return;
      for (const writer of [this.#appends, this.#messages]) {
        if (!writer.working) continue;
        if (writer.isStuck(this.#deps.clock.monotonic(), this.#deps.writeTimeoutMs)) {
          writer.close();
          this.#status.deactivate("heartbeat", STREAM_NAMES[writer.kind], "i/o timeout");
          this.#deps.log.warn("lost TCP streaming connection with remote peer", this.#fields(writer.kind));
          this.#deps.callbacks.reportUnreachable(this.id);
          continue;
        }
        this.#deps.metrics.add(counted.sentBytes, { To: hexId(this.id) }, writer.heartbeat());
      }
      this.#beat();
    });
  }

  #fields(kind: StreamKind) {
    return {
      "stream-writer-type": STREAM_NAMES[kind],
      "local-member-id": hexId(this.#deps.self.id),
      "remote-peer-id": hexId(this.id),
    };
  }
}
