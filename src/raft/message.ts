/** Constructors of messages, and classes of message types. Upstream: util.go */
import { NONE, type Message, type MessageKind, type NodeId } from "./types.ts";

/** Whom storage work is addressed to when it travels as messages: not members, but the driver's own log writer and state machine. */
export const LOCAL_APPEND_THREAD: NodeId = 0xffff_ffff_ffff_ffffn;
export const LOCAL_APPLY_THREAD: NodeId = 0xffff_ffff_ffff_fffen;

export function isLocalTarget(id: NodeId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

/** Kinds that a member sends to itself: one that comes over the network is a mistake or an attack. */
export function isLocalMessage(kind: MessageKind): boolean {
  switch (kind) {
    case "MsgHup":
    case "MsgBeat":
    case "MsgUnreachable":
    case "MsgSnapStatus":
    case "MsgCheckQuorum":
    case "MsgStorageAppend":
    case "MsgStorageAppendResp":
    case "MsgStorageApply":
    case "MsgStorageApplyResp":
      return true;
    default:
      return false;
  }
}

/** Kinds that answer something: they count only from a member that is known. */
export function isResponseMessage(kind: MessageKind): boolean {
  switch (kind) {
    case "MsgAppResp":
    case "MsgVoteResp":
    case "MsgHeartbeatResp":
    case "MsgUnreachable":
    case "MsgReadIndexResp":
    case "MsgPreVoteResp":
    case "MsgStorageAppendResp":
    case "MsgStorageApplyResp":
      return true;
    default:
      return false;
  }
}

const NOTHING: readonly never[] = [];

/** A message of which only some fields matter; the others get what means "nothing" in every kind. */
export type MessageDraft = Partial<Message> & Pick<Message, "type">;

export function createMessage(draft: MessageDraft, from = draft.from ?? NONE, term = draft.term ?? 0): Message {
  return {
    type: draft.type,
    to: draft.to ?? NONE,
    from,
    term,
    logTerm: draft.logTerm ?? 0,
    index: draft.index ?? 0,
    entries: draft.entries ?? NOTHING,
    commit: draft.commit ?? 0,
    vote: draft.vote ?? NONE,
    snapshot: draft.snapshot,
    reject: draft.reject ?? false,
    rejectHint: draft.rejectHint ?? 0,
    context: draft.context,
    responses: draft.responses ?? NOTHING,
  };
}
