/** Raft messages over HTTP/1.1, compatible with upstream's members. Upstream: server/etcdserver/api/rafthttp/transport.go, http.go */
import type { Message, NodeId } from "../../raft/types.ts";
import type { Exchange } from "../../world/net.ts";
import { hexId, parseHexId } from "../cluster/identity.ts";
import { ETCD_VERSION } from "../version.ts";
import { MessageError } from "./field-reader.ts";
import { MessageCodec } from "./message-codec.ts";
import * as counted from "./metrics.ts";
import { Peer, type PeerDeps } from "./peer.ts";
import { header, incompatibility, peerUrlsOf, refuse, refuseMethod, STREAM_PATHS, type Identity } from "./protocol.ts";
import { isLinkHeartbeat, type StreamKind } from "./stream-codec.ts";
import type { PeerTransport, PeerTransportDeps, PeerTransportOptions } from "./transport.ts";
import { UrlPicker } from "./url-picker.ts";

const IO_TIMEOUT_MS = 5000;
/** A single message in a request of its own. */
const PIPELINE_BYTES_MAX = 64 * 1024 * 1024;
/** The message in front of a snapshot: members and metadata, never the data itself. */
const SNAPSHOT_MESSAGE_BYTES_MAX = 512 * 1024 * 1024;

export function createPeerTransport(options: PeerTransportOptions, deps: PeerTransportDeps): PeerTransport {
  return new HttpTransport(options, deps);
}

class HttpTransport implements PeerTransport {
  readonly #options: PeerTransportOptions;
  readonly #deps: PeerTransportDeps;
  readonly #self: Identity;
  readonly #codec = new MessageCodec();
  readonly #peerDeps: PeerDeps;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #remotes = new Map<NodeId, Peer>();
  #closed = false;

  constructor(options: PeerTransportOptions, deps: PeerTransportDeps) {
    this.#options = options;
    this.#deps = deps;
    const { id, clusterId, advertisedUrls } = options;
    this.#self = { id, clusterId, advertisedUrls };
    const dialTimeoutMs = 1000 + options.electionTimeoutMs;
    this.#peerDeps = {
      clock: deps.clock,
      log: deps.log,
      metrics: deps.metrics,
      codec: this.#codec,
      self: this.#self,
      callbacks: options.callbacks,
      snapshots: options.snapshots,
      timeoutMs: dialTimeoutMs + IO_TIMEOUT_MS,
      readTimeoutMs: options.readTimeoutMs ?? IO_TIMEOUT_MS,
      writeTimeoutMs: options.writeTimeoutMs ?? IO_TIMEOUT_MS,
      picker: (urls) => new UrlPicker(deps.net, urls, options.tls, dialTimeoutMs),
      receive: (message, sizeBytes) => this.#receive(message, sizeBytes),
    };
  }

  send(messages: readonly Message[]): void {
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!;
      if (message.to === 0n) continue;
      const peer = this.#peers.get(message.to) ?? this.#remotes.get(message.to);
      if (peer !== undefined) peer.send(message);
      else
        this.#deps.log.v(4).info("ignored message send request; unknown remote peer target", {
          type: message.type,
          "unknown-target-peer-id": hexId(message.to),
        });
    }
  }

  flush(): void {
    for (const peer of this.#peers.values()) peer.flush();
  }

  addPeer(id: NodeId, urls: readonly string[]): void {
    if (this.#closed || this.#peers.has(id) || id === this.#self.id) return;
    this.#deps.log.info("starting remote peer", { "remote-peer-id": hexId(id) });
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    this.#peers.set(id, new Peer(id, urls, this.#peerDeps, false));
    this.#deps.log.info("added remote peer", this.#told(id, urls));
  }

  addRemote(id: NodeId, urls: readonly string[]): void {
    if (this.#closed || this.#peers.has(id) || this.#remotes.has(id) || id === this.#self.id) return;
    this.#remotes.set(id, new Peer(id, urls, this.#peerDeps, true));
    this.#deps.log.info("added new remote peer", this.#told(id, urls));
  }

  updatePeer(id: NodeId, urls: readonly string[]): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.update(urls);
    this.#deps.log.info("updated remote peer", this.#told(id, urls));
  }

  removePeer(id: NodeId): void {
    const peer = this.#peers.get(id);
    peer?.stop();
    this.#peers.delete(id);
    this.#deps.log.info(peer === undefined ? "skipped removing already removed peer" : "removed remote peer", {
      "local-member-id": hexId(this.#self.id),
      "removed-remote-peer-id": hexId(id),
    });
  }

  activeSince(id: NodeId): number | undefined {
    return this.#peers.get(id)?.activeSince;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const peer of [...this.#peers.values(), ...this.#remotes.values()]) peer.stop();
    this.#peers.clear();
    this.#remotes.clear();
  }

  readonly handler = (exchange: Exchange): void | Promise<void> => {
    const path = exchange.request.url.split("?", 1)[0]!;
    if (this.#closed) return refuse(exchange, 503, "stopped");
    if (path === "/raft/probing") {
      const now = new Date(this.#deps.clock.now()).toISOString();
      return exchange.respond(200, { "content-type": "application/json" }, `{"OK":true,"Now":"${now}"}\n`);
    }
    if (path === "/raft") return this.#takeMessage(exchange);
    if (path === "/raft/snapshot") return this.#takeSnapshot(exchange);
    if (path.startsWith("/raft/stream/")) return this.#serveStream(exchange, path);
    return refuse(exchange, 404, "404 page not found");
  };

  /** What came on a stream. */
  #receive(message: Message, sizeBytes: number): void | Promise<void> {
    if (isLinkHeartbeat(message)) return;
    this.#deps.metrics.add(counted.receivedBytes, { From: hexId(message.from) }, sizeBytes);
    const refusal = this.#refusal(message);
    if (refusal !== undefined) return this.#deps.log.warn(refusal, this.#between(message));
    try {
      const done = this.#options.callbacks.process(message);
      if (done === undefined) return;
      const finished = done.catch((error: unknown) => this.#failed(error, message));
      // A proposal may wait for a leader to be elected, by messages on this very stream.
      return message.type === "MsgProp" ? undefined : finished;
    } catch (error) {
      this.#failed(error, message);
    }
  }

  #refusal(message: Message): string | undefined {
    if (this.#options.callbacks.isIdRemoved(message.from)) return "rejected Raft message from removed member";
    if (message.to !== this.#self.id) return "rejected Raft message to mismatch member";
    return undefined;
  }

  #failed(error: unknown, message: Message): void {
    this.#deps.log.error("failed to process Raft message", error, this.#between(message));
  }

  async #takeMessage(exchange: Exchange): Promise<void> {
    const { request } = exchange;
    if (request.method !== "POST") return refuseMethod(exchange, "POST");
    if (this.#refuseStranger(exchange)) return;
    const from = `${request.peer.address.host}:${request.peer.address.port}`;
    let message: Message;
    let size = 0;
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request.body) {
        size += chunk.length;
        if (size > PIPELINE_BYTES_MAX) throw new MessageError("the message is too large");
        chunks.push(chunk);
      }
      message = this.#codec.decode(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    } catch (error) {
      this.#deps.log.error("failed to unmarshal Raft message", error, { "local-member-id": hexId(this.#self.id) });
      this.#deps.metrics.add(counted.receivedFailures, { From: from });
      return this.#answer(exchange, 400, "error unmarshalling raft message");
    }
    this.#deps.metrics.add(counted.receivedBytes, { From: hexId(message.from) }, size);
    await this.#process(exchange, message);
  }

  async #takeSnapshot(exchange: Exchange): Promise<void> {
    const { clock, log, metrics } = this.#deps;
    const { request } = exchange;
    if (request.method !== "POST") return refuseMethod(exchange, "POST");
    if (this.#refuseStranger(exchange)) return;
    const start = clock.monotonic();
    const body = new SnapshotBody(request.body);
    let message: Message;
    try {
      message = this.#codec.decode(await body.message());
    } catch (error) {
      log.error("failed to decode Raft message", error, { "local-member-id": hexId(this.#self.id) });
      metrics.add(counted.snapshotReceiveFailures, { From: "UNKNOWN_SNAPSHOT_SENDER" });
      return this.#answer(exchange, 400, `failed to decode raft message (${words(error)})`);
    }
    const From = hexId(message.from);
    if (message.type !== "MsgSnap" || message.snapshot === undefined) {
      metrics.add(counted.snapshotReceiveFailures, { From });
      return this.#answer(exchange, 400, "wrong raft message type");
    }
    const fields = {
      "local-member-id": hexId(this.#self.id),
      "remote-snapshot-sender-id": From,
      "incoming-snapshot-index": message.snapshot.metadata.index,
    };
    log.info("receiving database snapshot", fields);
    metrics.set(counted.snapshotsBeingReceived, { From }, 1);
    try {
      const bytes = await this.#options.snapshots.receive(message, body.rest());
      metrics.add(counted.receivedBytes, { From }, bytes);
      const took = clock.monotonic() - start;
      log.info("received and saved database snapshot", {
        ...fields,
        "incoming-snapshot-size-bytes": bytes,
        "download-took": `${Math.round(took)}ms`,
      });
    } catch (error) {
      log.error("failed to save incoming database snapshot", error, fields);
      metrics.add(counted.snapshotReceiveFailures, { From });
      return this.#answer(exchange, 500, `failed to save KV snapshot (${words(error)})`);
    } finally {
      metrics.set(counted.snapshotsBeingReceived, { From }, 0);
    }
    if (await this.#process(exchange, message)) {
      metrics.add(counted.snapshotsReceived, { From });
      metrics.observe(counted.snapshotReceiveSeconds, { From }, (clock.monotonic() - start) / 1000);
    }
  }

  /** Answered once raft has taken the message: the sender reports a snapshot's fate by it. */
  async #process(exchange: Exchange, message: Message): Promise<boolean> {
    const refusal = this.#refusal(message);
    if (refusal !== undefined) {
      this.#deps.log.warn(refusal, this.#between(message));
      this.#answer(exchange, 403, refusal.replace("rejected Raft", "cannot process"));
      return false;
    }
    try {
      await this.#options.callbacks.process(message);
    } catch (error) {
      this.#failed(error, message);
      this.#answer(exchange, 500, "error processing raft message");
      return false;
    }
    exchange.respond(204, { "x-etcd-cluster-id": hexId(this.#self.clusterId) });
    return true;
  }

  #serveStream(exchange: Exchange, path: string): void {
    const { request } = exchange;
    if (request.method !== "GET") return refuseMethod(exchange, "GET");
    const headers = { "x-server-version": ETCD_VERSION, "x-etcd-cluster-id": hexId(this.#self.clusterId) };
    const mismatch = incompatibility(request.headers, this.#self.clusterId);
    if (mismatch !== undefined) {
      this.#logMismatch(exchange, mismatch);
      return refuse(exchange, 412, mismatch, headers);
    }
    const cut = path.lastIndexOf("/");
    const kind = (Object.keys(STREAM_PATHS) as StreamKind[]).find((one) => STREAM_PATHS[one] === path.slice(0, cut));
    if (kind === undefined) return refuse(exchange, 404, "invalid path", headers);
    const from = parseHexId(path.slice(cut + 1));
    if (from === undefined) return refuse(exchange, 404, "invalid from", headers);
    const fields = { "local-member-id": hexId(this.#self.id), "remote-peer-id-from": hexId(from) };
    if (this.#options.callbacks.isIdRemoved(from)) {
      this.#deps.log.warn("rejected stream from remote peer because it was removed", fields);
      return refuse(exchange, 410, "removed member", headers);
    }
    const peer = this.#peers.get(from);
    if (peer === undefined) {
      // It may have joined after what we know of the cluster. What it sends may bring us there.
      const urls = peerUrlsOf(request.headers);
      if (urls.length > 0) this.addRemote(from, urls);
      this.#deps.log.warn("failed to find remote peer in cluster", fields);
      return refuse(exchange, 404, "error sender not found", headers);
    }
    const to = header(request.headers, "x-raft-to");
    if (to !== hexId(this.#self.id)) {
      this.#deps.log.warn("ignored streaming request; ID mismatch", { ...fields, "remote-peer-id-header": to });
      return refuse(exchange, 412, "to field mismatch", headers);
    }
    const { signal } = request;
    peer.attach(kind, exchange.stream(200, headers), signal);
  }

  /** True when the request was answered with a refusal. */
  #refuseStranger(exchange: Exchange): boolean {
    const { headers } = exchange.request;
    const mismatch = incompatibility(headers, this.#self.clusterId);
    if (mismatch !== undefined) {
      this.#logMismatch(exchange, mismatch);
      this.#answer(exchange, 412, mismatch);
      return true;
    }
    const from = parseHexId(header(headers, "x-server-from"));
    const urls = peerUrlsOf(headers);
    if (from !== undefined && urls.length > 0) this.addRemote(from, urls);
    return false;
  }

  #logMismatch({ request: { headers } }: Exchange, mismatch: string): void {
    this.#deps.log.warn(
      mismatch === "incompatible version" ? "failed version compatibility check" : "request cluster ID mismatch",
      {
        "local-member-id": hexId(this.#self.id),
        "local-member-cluster-id": hexId(this.#self.clusterId),
        "local-member-server-version": ETCD_VERSION,
        "remote-peer-server-name": header(headers, "x-server-from"),
        "remote-peer-server-version": header(headers, "x-server-version"),
        "remote-peer-cluster-id": header(headers, "x-etcd-cluster-id"),
      },
    );
  }

  #answer(exchange: Exchange, status: number, text: string): void {
    refuse(exchange, status, text, { "x-etcd-cluster-id": hexId(this.#self.clusterId) });
  }

  #told(id: NodeId, urls: readonly string[]) {
    return { "local-member-id": hexId(this.#self.id), "remote-peer-id": hexId(id), "remote-peer-urls": urls };
  }

  #between(message: Message) {
    return {
      type: message.type,
      "local-member-id": hexId(this.#self.id),
      from: hexId(message.from),
      to: hexId(message.to),
    };
  }
}

/** The body of a snapshot's transfer: a message behind its length, then the database. */
class SnapshotBody {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#source = body[Symbol.asyncIterator]();
  }

  async message(): Promise<Uint8Array> {
    const head = await this.#take(8);
    const size = head.readUInt32BE(0) * 2 ** 32 + head.readUInt32BE(4);
    if (size > SNAPSHOT_MESSAGE_BYTES_MAX) throw new MessageError("error limit exceeded");
    return this.#take(size);
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    if (this.#held.length > 0) yield this.#held;
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return;
      yield next.value;
    }
  }

  async #take(size: number): Promise<Buffer> {
    const chunks = [this.#held];
    let held = this.#held.length;
    while (held < size) {
      const next = await this.#source.next();
      if (next.done === true) throw new MessageError("unexpected EOF");
      chunks.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength));
      held += next.value.length;
    }
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, held);
    this.#held = all.subarray(size);
    return all.subarray(0, size);
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
