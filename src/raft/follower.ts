/** How a follower handles messages: it appends the leader's log, and forwards what only the leader can do. Upstream: stepFollower in raft.go */
import { RaftError } from "./errors.ts";
import type { Raft } from "./raft.ts";
import { NONE, type Message } from "./types.ts";

export function stepFollower(raft: Raft, message: Message): void {
  const { logger, name } = raft;
  switch (message.type) {
    case "MsgProp":
      if (raft.lead === NONE) {
        logger.info(`${name} no leader at term ${raft.term}; dropping proposal`);
        throw new RaftError("proposal dropped");
      }
      if (raft.disableProposalForwarding) {
        logger.info(
          `${name} not forwarding to leader ${raft.lead.toString(16)} at term ${raft.term}; dropping proposal`,
        );
        throw new RaftError("proposal dropped");
      }
      raft.send({ ...message, to: raft.lead });
      return;
    case "MsgApp":
      heardFrom(raft, message);
      handleAppend(raft, message);
      return;
    case "MsgHeartbeat":
      heardFrom(raft, message);
      handleHeartbeat(raft, message);
      return;
    case "MsgSnap":
      heardFrom(raft, message);
      handleSnapshot(raft, message);
      return;
    case "MsgTransferLeader":
      if (raft.lead === NONE) logger.info(`${name} no leader at term ${raft.term}; dropping leader transfer msg`);
      else raft.send({ ...message, to: raft.lead });
      return;
    case "MsgForgetLeader":
      forgetLeader(raft);
      return;
    case "MsgTimeoutNow":
      logger.info(
        `${name} [term ${raft.term}] received MsgTimeoutNow from ${message.from.toString(16)} and starts an election to get leadership.`,
      );
      raft.campaignAfterTransfer();
      return;
    case "MsgReadIndex":
      if (raft.lead === NONE) logger.info(`${name} no leader at term ${raft.term}; dropping index reading msg`);
      else raft.send({ ...message, to: raft.lead });
      return;
    case "MsgReadIndexResp": {
      const [request, ...others] = message.entries;
      if (request === undefined || others.length > 0)
        logger.error(
          `${name} invalid format of MsgReadIndexResp from ${message.from.toString(16)}, entries count: ${message.entries.length}`,
        );
      else raft.readStates.push({ index: message.index, context: request.data });
      return;
    }
    default:
  }
}

function heardFrom(raft: Raft, { from }: Message): void {
  raft.electionElapsed = 0;
  raft.lead = from;
}

function forgetLeader(raft: Raft): void {
  if (raft.readOnlyOption === "lease-based") {
    // The leader serves reads on the strength of its followers' patience.
    raft.logger.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
  } else if (raft.lead !== NONE) {
    raft.logger.info(`${raft.name} forgetting leader ${raft.lead.toString(16)} at term ${raft.term}`);
    raft.lead = NONE;
  }
}

export function handleAppend(raft: Raft, message: Message): void {
  const { from: to, index, logTerm, entries, commit } = message;
  const { log } = raft;
  if (index < log.committed) {
    raft.send({ type: "MsgAppResp", to, index: log.committed });
    return;
  }
  const last = log.maybeAppend(index, logTerm, entries, commit);
  if (last !== undefined) {
    raft.send({ type: "MsgAppResp", to, index: last });
    return;
  }
  raft.logger.debug(
    `${raft.name} [logterm: ${log.term(index) ?? 0}, index: ${index}] rejected MsgApp [logterm: ${logTerm}, index: ${index}] from ${to.toString(16)}`,
  );
  // Where the logs can agree at the latest: no entry here of a later term can be in the leader's log at this place.
  const hint = log.findConflictByTerm(Math.min(index, log.lastIndex()), logTerm);
  raft.send({ type: "MsgAppResp", to, index, reject: true, rejectHint: hint.index, logTerm: hint.term });
}

export function handleHeartbeat(raft: Raft, { from: to, commit, context }: Message): void {
  raft.log.commitTo(commit);
  raft.send({ type: "MsgHeartbeatResp", to, context });
}

export function handleSnapshot(raft: Raft, { from: to, snapshot }: Message): void {
  const { log, logger } = raft;
  if (snapshot === undefined) {
    raft.send({ type: "MsgAppResp", to, index: log.committed });
    return;
  }
  const restored = raft.restore(snapshot);
  const { index, term } = snapshot.metadata;
  logger.info(
    `${raft.name} [commit: ${log.committed}] ${restored ? "restored" : "ignored"} snapshot [index: ${index}, term: ${term}]`,
  );
  raft.send({ type: "MsgAppResp", to, index: restored ? log.lastIndex() : log.committed });
}
