/**
 * Reads that wait until a quorum confirms that their leader still leads (thesis, section 6.4).
 *
 * Reads are counted from the start of a leader's term. A heartbeat carries how many there were when it was sent; whoever answers it
 * has confirmed all of those. So a round of heartbeats confirms any number of reads, and one that is lost costs no read.
 *
 * Upstream: read_only.go
 */
import { jointCommittedIndex, type JointConfig } from "./quorum/joint.ts";
import type { AckedIndexes } from "./quorum/majority.ts";
import type { Message, NodeId } from "./types.ts";

export interface ReadRequest {
  readonly request: Message;
  /** What was committed when the request came: a read that has seen this has seen all that was written before it. */
  readonly index: number;
}

export class PendingReads implements AckedIndexes {
  readonly #acks = new Map<NodeId, number>();
  #unconfirmed: ReadRequest[] = [];
  #confirmed = 0;

  add(request: Message, committed: number): void {
    this.#unconfirmed.push({ request, index: committed });
  }

  /** The count that a heartbeat carries, or undefined when no read waits. */
  heartbeatContext(): Uint8Array | undefined {
    if (this.#unconfirmed.length === 0) return undefined;
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, BigInt(this.#confirmed + this.#unconfirmed.length), true);
    return context;
  }

  acknowledge(from: NodeId, context: Uint8Array | undefined): void {
    if (context === undefined || context.length !== 8) return;
    const count = Number(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0, true));
    this.#acks.set(from, Math.max(this.#acks.get(from) ?? 0, count));
  }

  ackedIndex(id: NodeId): number | undefined {
    return this.#acks.get(id);
  }

  /** Takes the reads that a quorum has confirmed by now. */
  takeConfirmed(voters: JointConfig): readonly ReadRequest[] {
    const count = jointCommittedIndex(voters, this) - this.#confirmed;
    if (count <= 0) return [];
    const confirmed = this.#unconfirmed.splice(0, count);
    this.#confirmed += confirmed.length;
    return confirmed;
  }
}
