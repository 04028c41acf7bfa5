/**
 * Carries raft messages between members. Sending never waits: what cannot be sent is dropped and reported, and raft sends it again.
 * Upstream: server/etcdserver/api/rafthttp/transport.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Message, NodeId } from "../../raft/types.ts";
import type { ClientTls, HttpHandler } from "../../world/net.ts";
import type { World } from "../../world/world.ts";

export interface PeerTransport {
  /**
   * Encodes and queues each message for its receiver. Messages to nobody and to members that aren't known are dropped; a MsgSnap is turned
   * into a transfer of the whole state (`SnapshotExchange.open`).
   */
  send(messages: readonly Message[]): void;
  /** What was sent leaves before this returns, as far as the connections take it. */
  flush(): void;
  /** Begins to talk to a member. No effect on one that is known already. */
  addPeer(id: NodeId, urls: readonly string[]): void;
  /** A member that may know more of the cluster than we do yet: it can be sent to until it is added as a peer. */
  addRemote(id: NodeId, urls: readonly string[]): void;
  updatePeer(id: NodeId, urls: readonly string[]): void;
  removePeer(id: NodeId): void;
  /** `clock.monotonic()` of the moment since when messages reach the peer without a break; undefined while they don't. */
  activeSince(id: NodeId): number | undefined;
  /** Answers what other members ask under `/raft`. */
  readonly handler: HttpHandler;
  close(): Promise<void>;
}

export interface PeerCallbacks {
  /** A message has come in: step it. What comes from one member comes in order; a promise holds up what follows on the same stream. */
  process(message: Message): void | Promise<void>;
  isIdRemoved(id: NodeId): boolean;
  /** The peer didn't get a message. */
  reportUnreachable(id: NodeId): void;
  /** Whether the peer got the snapshot. */
  reportSnapshot(id: NodeId, ok: boolean): void;
  /** The cluster has removed this member: it should stop. */
  removed(reason: string): void;
}

/** A snapshot on its way out: the message that goes first (its index may be a newer one than asked for) and the database file behind it. */
export interface OutgoingSnapshot {
  readonly message: Message;
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
  /** Called once, when the peer has taken it or will not. */
  close(isTaken: boolean): void;
}

export interface SnapshotExchange {
  /** Makes the database as of now into what is sent for this MsgSnap. */
  open(message: Message): OutgoingSnapshot | Promise<OutgoingSnapshot>;
  /** Saves an incoming database under the message's snapshot index. The message is processed once this resolves. Resolves with the bytes. */
  receive(message: Message, body: AsyncIterable<Uint8Array>): Promise<number>;
}

export interface PeerTransportOptions {
  readonly id: NodeId;
  readonly clusterId: bigint;
  /** Where the others reach us: told to a member that doesn't know us yet. */
  readonly advertisedUrls: readonly string[];
  readonly tls?: ClientTls;
  /** The election timeout, which tells how patient to be. */
  readonly electionTimeoutMs: number;
  /** A connection that says nothing, or takes nothing, for so long is given up. */
  readonly readTimeoutMs?: number;
  readonly writeTimeoutMs?: number;
  readonly callbacks: PeerCallbacks;
  readonly snapshots: SnapshotExchange;
}

export type PeerTransportDeps = Pick<World, "clock" | "random" | "net"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
};
