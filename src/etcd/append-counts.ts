/**
 * Counts appends that were received and sent, for `/v2/stats`. Followers are listed only while this member leads.
 * Upstream: server/etcdserver/api/v2stats
 */
import type { Message, NodeId } from "../raft/types.ts";

export interface FollowerCounts {
  success: number;
  fail: number;
}

export class AppendCounts {
  received = 0;
  sent = 0;
  readonly followers = new Map<NodeId, FollowerCounts>();

  take({ type }: Message): void {
    if (type === "MsgApp") this.received++;
  }

  send(messages: readonly Message[]): void {
    for (let i = 0; i < messages.length; i++) {
      const { type, to } = messages[i]!;
      if (type !== "MsgApp") continue;
      this.sent++;
      this.#of(to).success++;
    }
  }

  unreachable(id: NodeId): void {
    this.#of(id).fail++;
  }

  #of(id: NodeId): FollowerCounts {
    let counts = this.followers.get(id);
    if (counts === undefined) this.followers.set(id, (counts = { success: 0, fail: 0 }));
    return counts;
  }
}
