/**
 * How a leader handles messages: proposals, the progress of followers, confirmations of reads, and the transfer of its leadership.
 * Upstream: stepLeader in raft.go
 */
import { InvariantError } from "../base/assert.ts";
import { decodeConfChange } from "./conf-change.ts";
import { describeConfChange } from "./describe.ts";
import { RaftError } from "./errors.ts";
import type { MessageDraft } from "./message.ts";
import type { EntryDraft, Raft } from "./raft.ts";
import { broadcastAppend, broadcastHeartbeat, maybeSendAppend } from "./replication.ts";
import { describeConfig, describeProgress } from "./tracker/describe.ts";
import type { Progress } from "./tracker/progress.ts";
import { NONE, type Entry, type Message } from "./types.ts";

const NO_DATA = new Uint8Array(0);

export function stepLeader(raft: Raft, message: Message): void {
  switch (message.type) {
    case "MsgBeat":
      broadcastHeartbeat(raft);
      return;
    case "MsgCheckQuorum":
      checkQuorum(raft);
      return;
    case "MsgProp":
      propose(raft, message.entries);
      return;
    case "MsgReadIndex":
      readIndex(raft, message);
      return;
    case "MsgForgetLeader":
      return;
    default:
  }

  // All others are about the member that sent them.
  const progress = raft.tracker.progress.get(message.from);
  if (progress === undefined) {
    raft.logger.debug(`${raft.name} no progress available for ${message.from.toString(16)}`);
    return;
  }
  switch (message.type) {
    case "MsgAppResp":
      progress.recentActive = true;
      if (message.reject) appendRejected(raft, progress, message);
      else appendAccepted(raft, progress, message);
      return;
    case "MsgHeartbeatResp":
      heartbeatAnswered(raft, progress, message);
      return;
    case "MsgSnapStatus":
      snapshotEnded(raft, progress, message.reject);
      return;
    case "MsgUnreachable":
      // What was sent ahead is probably lost: go back to asking.
      if (progress.state === "StateReplicate") progress.becomeProbe();
      raft.logger.debug(
        `${raft.name} failed to send message to ${nameOf(progress)} because it is unreachable [${describeProgress(progress)}]`,
      );
      return;
    case "MsgTransferLeader":
      transferLeader(raft, progress);
      return;
    default:
  }
}

function nameOf(progress: Progress): string {
  return progress.id.toString(16);
}

function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.logger.warning(`${raft.name} stepped down to follower since quorum is not active`);
    raft.becomeFollower(raft.term, NONE);
  }
  for (const progress of raft.tracker.members) if (progress.id !== raft.id) progress.recentActive = false;
}

/** Appends entries and sends them out. Throws `RaftError` "proposal dropped". */
export function propose(raft: Raft, drafts: readonly EntryDraft[]): readonly Entry[] {
  if (drafts.length === 0) throw new InvariantError(`${raft.name} stepped empty MsgProp`);
  // A leader that was removed leads on for a while, but takes nothing new.
  if (!raft.tracker.progress.has(raft.id)) throw new RaftError("proposal dropped");
  if (raft.leadTransferee !== NONE) {
    raft.logger.debug(
      `${raft.name} [term ${raft.term}] transfer leadership to ${raft.leadTransferee.toString(16)} is in progress; dropping proposal`,
    );
    throw new RaftError("proposal dropped");
  }
  const hasConfChange = drafts.some(({ type }) => type !== 0);
  const entries = raft.appendAsLeader(hasConfChange ? checkConfChanges(raft, drafts) : drafts);
  if (entries === undefined) throw new RaftError("proposal dropped");
  broadcastAppend(raft);
  return entries;
}

/** A change of members that can't be made now is replaced by an entry that says nothing, so that its proposer sees it come to nothing. */
function checkConfChanges(raft: Raft, drafts: readonly EntryDraft[]): readonly EntryDraft[] {
  return drafts.map((draft, i) => {
    if (draft.type === 0) return draft;
    const change = decodeConfChange(draft.type, draft.data);
    const { applied } = raft.log;
    const { config } = raft.tracker;
    const isJoint = config.voters.outgoing.length > 0;
    const wantsLeaveJoint = change.changes.length === 0;
    let failed: string | undefined;
    if (raft.pendingConfIndex > applied)
      failed = `possible unapplied conf change at index ${raft.pendingConfIndex} (applied to ${applied})`;
    else if (isJoint && !wantsLeaveJoint) failed = "must transition out of joint config first";
    else if (!isJoint && wantsLeaveJoint) failed = "not in joint state; refusing empty conf change";
    if (failed !== undefined && !raft.disableConfChangeValidation) {
      raft.logger.info(
        `${raft.name} ignoring conf change ${describeConfChange(change)} at config ${describeConfig(config)}: ${failed}`,
      );
      return { type: 0, data: NO_DATA };
    }
    raft.pendingConfIndex = raft.log.lastIndex() + i + 1;
    return draft;
  });
}

/*
 * Progress of followers.
 */

function appendRejected(raft: Raft, progress: Progress, message: Message): void {
  const { index, rejectHint, logTerm } = message;
  raft.logger.debug(
    `${raft.name} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) from ${nameOf(progress)} for index ${index}`,
  );
  // The follower has told where its log has a term no later than the one asked about. This log can agree with it only where it has a term
  // no later than that; all in between needn't be probed.
  const hint = logTerm > 0 ? raft.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.maybeDecreaseTo(index, hint)) return;
  raft.logger.debug(`${raft.name} decreased progress of ${nameOf(progress)} to [${describeProgress(progress)}]`);
  if (progress.state === "StateReplicate") progress.becomeProbe();
  maybeSendAppend(raft, progress.id, true);
}

function appendAccepted(raft: Raft, progress: Progress, message: Message): void {
  const { index } = message;
  const { id } = progress;
  const isNews = progress.maybeUpdate(index);
  // A probe that finds the follower just where it was expected moves nothing, and still ends the probing.
  if (!isNews && !(progress.match === index && progress.state === "StateProbe")) return;

  switch (progress.state) {
    case "StateProbe":
      progress.becomeReplicate();
      break;
    case "StateSnapshot":
      // What it has connects to this log again, perhaps by a snapshot from elsewhere: the one that was sent needn't arrive.
      if (progress.match + 1 >= raft.log.firstIndex()) {
        raft.logger.debug(
          `${raft.name} recovered from needing snapshot, resumed sending replication messages to ${nameOf(progress)} [${describeProgress(progress)}]`,
        );
        progress.becomeProbe();
        progress.becomeReplicate();
      }
      break;
    case "StateReplicate":
      progress.inflights.freeTo(index);
      break;
  }

  if (raft.maybeCommit()) {
    releasePendingReads(raft);
    broadcastAppend(raft);
  } else if (id !== raft.id && progress.canBumpCommit(raft.log.committed)) {
    maybeSendAppend(raft, id, true);
  }
  if (id === raft.id) return;
  // There may be room again for more than one message.
  while (maybeSendAppend(raft, id, false));
  if (id === raft.leadTransferee && progress.match === raft.log.lastIndex()) {
    raft.logger.info(`${raft.name} sent MsgTimeoutNow to ${nameOf(progress)} after received MsgAppResp`);
    raft.send({ type: "MsgTimeoutNow", to: id });
  }
}

function heartbeatAnswered(raft: Raft, progress: Progress, message: Message): void {
  progress.recentActive = true;
  progress.msgAppFlowPaused = false;
  // An empty append will be refused if the follower misses something, and so starts the probing. In "StateReplicate" with full inflights
  // it is the way out when all of what was under way is lost.
  if (progress.match < raft.log.lastIndex() || progress.state === "StateProbe")
    maybeSendAppend(raft, progress.id, true);
  if (raft.readOnlyOption !== "safe" || message.context === undefined || message.context.length === 0) return;
  raft.pendingReads.acknowledge(progress.id, message.context);
  for (const { request, index } of raft.pendingReads.takeConfirmed(raft.tracker.config.voters))
    answerRead(raft, request, index);
}

function snapshotEnded(raft: Raft, progress: Progress, failed: boolean): void {
  if (progress.state !== "StateSnapshot") return;
  if (failed) progress.pendingSnapshot = 0; // So that the probe starts from what the follower had before.
  progress.becomeProbe();
  raft.logger.debug(
    `${raft.name} snapshot ${failed ? "failed" : "succeeded"}, resumed sending replication messages to ${nameOf(progress)} [${describeProgress(progress)}]`,
  );
  // After a success its answer will come and start the replication; after a failure a heartbeat's pause is due before the next try.
  progress.msgAppFlowPaused = true;
}

function transferLeader(raft: Raft, progress: Progress): void {
  const { logger, name, term } = raft;
  const { id } = progress;
  const follower = nameOf(progress);
  if (progress.isLearner) {
    logger.debug(`${name} is learner. Ignored transferring leadership`);
    return;
  }
  const before = raft.leadTransferee;
  if (before !== NONE) {
    if (before === id) {
      logger.info(
        `${name} [term ${term}] transfer leadership to ${follower} is in progress, ignores request to same node ${follower}`,
      );
      return;
    }
    raft.leadTransferee = NONE;
    logger.info(`${name} [term ${term}] abort previous transferring leadership to ${before.toString(16)}`);
  }
  if (id === raft.id) {
    logger.debug(`${name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  logger.info(`${name} [term ${term}] starts to transfer leadership to ${follower}`);
  // It has an election timeout's time from now.
  raft.electionElapsed = 0;
  raft.leadTransferee = id;
  if (progress.match === raft.log.lastIndex()) {
    raft.send({ type: "MsgTimeoutNow", to: id });
    logger.info(`${name} sends MsgTimeoutNow to ${follower} immediately as ${follower} already has up-to-date log`);
  } else {
    maybeSendAppend(raft, id, true);
  }
}

/*
 * Reads.
 */

function readIndex(raft: Raft, message: Message): void {
  // Until it has committed an entry of its own term, a leader may not know of all that is committed. Not even one that is alone: after a
  // restart its commit index may be an old one, as it isn't synced each time.
  if (!raft.committedInCurrentTerm) raft.earlyReads.push(message);
  else if (raft.tracker.isAlone(raft.id)) answerRead(raft, message, raft.log.committed);
  else confirmRead(raft, message);
}

/** The leader has committed an entry of its term: now it knows what is committed. */
function releasePendingReads(raft: Raft): void {
  if (raft.earlyReads.length === 0) return;
  if (!raft.committedInCurrentTerm) {
    raft.logger.error("pending MsgReadIndex should be released only after first commit in current term");
    return;
  }
  const reads = raft.earlyReads;
  raft.earlyReads = [];
  for (const read of reads) readIndex(raft, read);
}

function confirmRead(raft: Raft, message: Message): void {
  const { committed } = raft.log;
  if (raft.readOnlyOption === "lease-based") {
    answerRead(raft, message, committed);
    return;
  }
  raft.pendingReads.add(message, committed);
  raft.pendingReads.acknowledge(raft.id, raft.pendingReads.heartbeatContext());
  broadcastHeartbeat(raft);
}

/** A read may be answered up to `index`: tells the own driver, or the follower that asked. */
function answerRead(raft: Raft, { from, entries }: Message, index: number): void {
  if (from === NONE || from === raft.id) {
    raft.readStates.push({ index, context: entries[0]!.data });
    return;
  }
  const answer: MessageDraft = { type: "MsgReadIndexResp", to: from, index, entries };
  raft.send(answer);
}
