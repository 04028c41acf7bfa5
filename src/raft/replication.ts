/**
 * How a leader's log is replicated to its followers: appends, snapshots where the log has been compacted, heartbeats in between.
 * Upstream: raft.go
 */
import { payloadSizes } from "./entry-size.ts";
import { isRaftError } from "./errors.ts";
import type { Raft } from "./raft.ts";
import { describeProgress } from "./tracker/describe.ts";
import type { Progress } from "./tracker/progress.ts";
import type { Entry, NodeId, Snapshot } from "./types.ts";

const NO_ENTRIES: readonly Entry[] = [];

export function broadcastAppend(raft: Raft): void {
  for (const { id } of raft.tracker.members) if (id !== raft.id) maybeSendAppend(raft, id, true);
}

/** Sends what comes next for a follower. An empty message still tells how far the log is committed, and asks for an answer. */
export function maybeSendAppend(raft: Raft, to: NodeId, sendIfEmpty: boolean): boolean {
  const progress = raft.tracker.progress.get(to)!;
  if (progress.paused) return false;
  const { log } = raft;
  const previous = progress.next - 1;
  const previousTerm = log.term(previous);
  if (previousTerm === undefined) return maybeSendSnapshot(raft, to, progress);

  // When all inflights are taken, an empty message still brings news of commits.
  const mayCarry = progress.state !== "StateReplicate" || !progress.inflights.full;
  const entries = mayCarry ? log.entriesFrom(progress.next, raft.maxMessageBytes) : NO_ENTRIES;
  if (entries === undefined) return maybeSendSnapshot(raft, to, progress);
  if (entries.length === 0 && !sendIfEmpty) return false;

  raft.send({ type: "MsgApp", to, index: previous, logTerm: previousTerm, entries, commit: log.committed });
  progress.sentEntries(entries.length, payloadSizes(entries));
  progress.sentCommit = log.committed;
  return true;
}

function maybeSendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  const { log, logger, name } = raft;
  const follower = to.toString(16);
  if (!progress.recentActive) {
    logger.debug(`ignore sending snapshot to ${follower} since it is not recently active`);
    return false;
  }
  let snapshot: Snapshot;
  try {
    snapshot = log.snapshot();
  } catch (error) {
    if (!isRaftError(error, "snapshot temporarily unavailable")) throw error;
    logger.debug(`${name} failed to send snapshot to ${follower} because snapshot is temporarily unavailable`);
    return false;
  }
  const { index, term } = snapshot.metadata;
  logger.debug(
    `${name} [firstindex: ${log.firstIndex()}, commit: ${log.committed}] sent snapshot[index: ${index}, term: ${term}] ` +
      `to ${follower} [${describeProgress(progress)}]`,
  );
  progress.becomeSnapshot(index);
  logger.debug(`${name} paused sending replication messages to ${follower} [${describeProgress(progress)}]`);
  raft.send({ type: "MsgSnap", to, snapshot });
  return true;
}

/** A heartbeat to everyone, which also asks to confirm the reads that wait. */
export function broadcastHeartbeat(raft: Raft): void {
  const context = raft.pendingReads.heartbeatContext();
  for (const progress of raft.tracker.members) {
    if (progress.id === raft.id) continue;
    // Never more than the follower is known to have: it might lack entries, or have others there.
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send({ type: "MsgHeartbeat", to: progress.id, commit, context });
    progress.sentCommit = commit;
  }
}
