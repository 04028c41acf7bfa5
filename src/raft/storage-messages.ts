/**
 * Storage work as messages: what is to be stored or applied, with the responses to deliver once it is. `advance` also uses them to confirm a `Ready`
 * where storage is synchronous.
 * Upstream: rawnode.go
 */
import { createMessage, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from "./message.ts";
import type { Raft } from "./raft.ts";
import type { Entry, HardState, Message, Snapshot } from "./types.ts";

/** Keep entries, hard state and snapshot; then deliver `responses`. Durability is needed only where there are responses. */
export function storageAppend(
  raft: Raft,
  entries: readonly Entry[],
  hardState: HardState | undefined,
  snapshot: Snapshot | undefined,
): Message {
  // The confirmation comes last: the leader's answers to itself are about entries that are still in the unstable log then.
  // A copy, as raft goes on to fill its own list, with promises that this write doesn't keep.
  const responses = [...raft.messagesAfterAppend];
  if (needsAppendResponse(raft, snapshot)) responses.push(storageAppendResponse(raft, snapshot));
  return createMessage({
    type: "MsgStorageAppend",
    to: LOCAL_APPEND_THREAD,
    from: raft.id,
    entries,
    term: hardState?.term,
    vote: hardState?.vote,
    commit: hardState?.commit,
    snapshot,
    responses,
  });
}

export function needsAppendResponse(raft: Raft, snapshot: Snapshot | undefined): boolean {
  return raft.log.unstable.entries.length > 0 || snapshot !== undefined;
}

/**
 * Confirms that all handed out so far is kept.
 *
 * It names the last entry of the log, not of the batch, and carries the term it was made in. In a later term it says nothing about entries:
 * two leaders may have written the same places of the log in turn, and a write of the one between still be under way when the
 * confirmation for the first arrives, whose entries are those of the third. As a term's change is itself written, a confirmation of
 * the later term follows, and names the last entry again: so every entry is confirmed at some time, even if none is added any more.
 */
export function storageAppendResponse(raft: Raft, snapshot: Snapshot | undefined): Message {
  const hasEntries = raft.log.unstable.entries.length > 0;
  return createMessage({
    type: "MsgStorageAppendResp",
    to: raft.id,
    from: LOCAL_APPEND_THREAD,
    term: raft.term,
    index: hasEntries ? raft.log.lastIndex() : 0,
    logTerm: hasEntries ? raft.log.lastTerm() : 0,
    snapshot,
  });
}

export function storageApply(raft: Raft, entries: readonly Entry[]): Message {
  const responses = [storageApplyResponse(raft, entries)];
  return createMessage({ type: "MsgStorageApply", to: LOCAL_APPLY_THREAD, from: raft.id, entries, responses });
}

/** Committed entries belong to every term, so neither message has one. */
export function storageApplyResponse(raft: Raft, entries: readonly Entry[]): Message {
  return createMessage({ type: "MsgStorageApplyResp", to: raft.id, from: LOCAL_APPLY_THREAD, entries });
}
