/**
 * Makes a cluster of one from a member's own data: uncommitted entries are dropped, and all other members are removed by entries that nobody else
 * has agreed to. This is for disasters in which a majority is lost for good.
 * Upstream: server/storage/util.go (CreateConfigChangeEnts), server/etcdserver/bootstrap.go
 */
import { decodeConfChange, encodeConfChange } from "../../raft/conf-change.ts";
import type { ConfChangeType, ConfState, Entry, NodeId } from "../../raft/types.ts";
import { memberContext } from "./identity.ts";

export interface FoundLog {
  readonly id: NodeId;
  /** Who belonged when the entry at `applied` had been applied. */
  readonly confState: ConfState;
  readonly applied: number;
  readonly term: number;
  readonly commit: number;
  readonly entries: readonly Entry[];
}

/** What to put behind the committed entries. */
export function entriesForOne({ id, confState, applied, term, commit, entries }: FoundLog): readonly Entry[] {
  const belong = new Set([...confState.voters, ...confState.learners]);
  for (const entry of entries) {
    if (entry.type !== 1 || entry.index <= applied || entry.index > commit) continue;
    for (const { type, nodeId } of decodeConfChange(1, entry.data).changes) {
      if (type === "ConfChangeRemoveNode") belong.delete(nodeId);
      else if (type !== "ConfChangeUpdateNode") belong.add(nodeId);
    }
  }
  const added: Entry[] = [];
  const add = (type: ConfChangeType, nodeId: NodeId, context = new Uint8Array(0)) => {
    const data = encodeConfChange({ transition: "ConfChangeTransitionAuto", changes: [{ type, nodeId }], context }, 1);
    added.push({ term, index: commit + added.length + 1, type: 1, data });
  };
  // First, so that there is never nobody.
  if (!belong.has(id)) {
    const self = { ID: id, name: "", peerURLs: ["http://localhost:2380"], clientURLs: [], isLearner: false };
    add("ConfChangeAddNode", id, Uint8Array.from(memberContext(self)));
  }
  for (const other of belong) if (other !== id) add("ConfChangeRemoveNode", other);
  return added;
}
