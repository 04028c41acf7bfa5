/** Rebuilds a configuration from a snapshot by the changes that could have led to it. Upstream: confchange/restore.go */
import type { Membership } from "../tracker/tracker.ts";
import type { ConfChangeSingle, ConfChangeType, ConfState, NodeId } from "../types.ts";
import { enterJoint, simpleChange, type ChangeBase } from "./changer.ts";

export function restoreMembership(base: ChangeBase, confState: ConfState): Membership {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  const incoming = [
    ...changesOf("ConfChangeRemoveNode", votersOutgoing),
    ...changesOf("ConfChangeAddNode", voters),
    ...changesOf("ConfChangeAddLearnerNode", learners),
    ...changesOf("ConfChangeAddLearnerNode", learnersNext),
  ];
  if (votersOutgoing.length === 0) return oneByOne(base, incoming);
  // First the old voters as if they were all, then from them into the joint configuration, which leaves them as the outgoing half.
  const old = oneByOne(base, changesOf("ConfChangeAddNode", votersOutgoing));
  return enterJoint({ ...base, ...old }, autoLeave, incoming);
}

function oneByOne(base: ChangeBase, changes: readonly ConfChangeSingle[]): Membership {
  let membership: Membership = base;
  for (const change of changes) membership = simpleChange({ ...base, ...membership }, [change]);
  return membership;
}

function changesOf(type: ConfChangeType, ids: readonly NodeId[]): readonly ConfChangeSingle[] {
  return ids.map((nodeId) => ({ type, nodeId }));
}
