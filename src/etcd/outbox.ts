/**
 * What raft says to other members, on its way to the transport: without what was overtaken before it left, and as a leader with commits held back
 * for a moment (`held-commits.ts`) and with an eye on whether heartbeats are in time.
 *
 * Upstream: server/etcdserver/raft.go (processMessages)
 */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Message, NodeId } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";
import { Heartbeats } from "./heartbeats.ts";
import { HeldCommits } from "./held-commits.ts";
import type { Leadership } from "./leadership.ts";
import * as counted from "./metrics.ts";

export interface OutboxDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly heartbeatIntervalMs: number;
  readonly leadership: Leadership;
  readonly isIdRemoved: (id: NodeId) => boolean;
  /** Whether a follower is sent entries ahead of its answers. */
  readonly isInStep: (id: NodeId) => boolean;
  readonly send: (messages: readonly Message[]) => void;
}

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #heartbeats: Heartbeats;
  readonly #heldCommits: HeldCommits;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#heartbeats = new Heartbeats(2 * deps.heartbeatIntervalMs);
    this.#heldCommits = new HeldCommits(deps.clock, (messages) => {
      if (deps.leadership.isLeader) deps.send(messages);
    });
  }

  send(messages: readonly Message[]): void {
    const { isIdRemoved, isInStep, leadership, send } = this.#deps;
    const kept: Message[] = [];
    let hasAnswered = false;
    // Of several answers to the leader the last says all.
    for (let i = messages.length - 1; i >= 0; i--) {
      const message = messages[i]!;
      if (isIdRemoved(message.to)) continue;
      if (message.type === "MsgHeartbeat") this.#checkHeartbeat(message.to);
      if (message.type === "MsgAppResp") {
        if (hasAnswered) continue;
        hasAnswered = true;
      }
      kept.push(message);
    }
    if (kept.length === 0) return;
    const leaving = leadership.isLeader ? this.#heldCommits.pass(kept.reverse(), isInStep) : kept.reverse();
    if (leaving.length > 0) send(leaving);
  }

  /** Another member waits for the commit of this entry: it isn't held back. */
  await(index: number): void {
    this.#heldCommits.await(index);
  }

  /** Another leads, or this member anew. */
  leaderChanged(): void {
    this.#heartbeats.reset();
    this.#heldCommits.clear();
  }

  stop(): void {
    this.#heldCommits.clear();
  }

  #checkHeartbeat(to: NodeId): void {
    const { clock, heartbeatIntervalMs, log, metrics } = this.#deps;
    const exceeded = this.#heartbeats.sent(to, clock.monotonic());
    if (exceeded === undefined) return;
    metrics.add(counted.heartbeatSendFailures, {});
    log.warn("leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk", {
      to: to.toString(16),
      "heartbeat-interval": `${heartbeatIntervalMs}ms`,
      "expected-duration": `${2 * heartbeatIntervalMs}ms`,
      "exceeded-duration": `${exceeded}ms`,
    });
  }
}
