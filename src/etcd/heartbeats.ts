/**
 * Checks whether a leader's heartbeats are sent in time. Late ones mean that the process lacks CPU time or waits for its disk.
 * Upstream: pkg/contention, processMessages in server/etcdserver/raft.go
 */
import type { NodeId } from "../raft/types.ts";

export class Heartbeats {
  readonly #expectedMs: number;
  /** When the last one left, by receiver. */
  readonly #sentAt = new Map<NodeId, number>();

  constructor(expectedMs: number) {
    this.#expectedMs = expectedMs;
  }

  /** How much later than it should one leaves; undefined when it is in time. */
  sent(to: NodeId, now: number): number | undefined {
    const before = this.#sentAt.get(to);
    this.#sentAt.set(to, now);
    const exceeded = before === undefined ? 0 : now - before - this.#expectedMs;
    return exceeded > 0 ? exceeded : undefined;
  }

  /** A new leader begins anew. */
  reset(): void {
    this.#sentAt.clear();
  }
}
