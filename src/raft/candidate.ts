/** How a candidate or pre-candidate handles messages: it counts votes, or finds that another member leads. Upstream: stepCandidate in raft.go */
import { RaftError } from "./errors.ts";
import { handleAppend, handleHeartbeat, handleSnapshot } from "./follower.ts";
import type { Raft } from "./raft.ts";
import { broadcastAppend } from "./replication.ts";
import { NONE, type Message } from "./types.ts";

export function stepCandidate(raft: Raft, message: Message): void {
  switch (message.type) {
    case "MsgProp":
      raft.logger.info(`${raft.name} no leader at term ${raft.term}; dropping proposal`);
      throw new RaftError("proposal dropped");
    case "MsgApp":
      raft.becomeFollower(message.term, message.from);
      handleAppend(raft, message);
      return;
    case "MsgHeartbeat":
      raft.becomeFollower(message.term, message.from);
      handleHeartbeat(raft, message);
      return;
    case "MsgSnap":
      raft.becomeFollower(message.term, message.from);
      handleSnapshot(raft, message);
      return;
    case "MsgPreVoteResp":
      // A candidate may still get answers to the question whether it should be one.
      if (raft.state === "StatePreCandidate") countVote(raft, message);
      return;
    case "MsgVoteResp":
      if (raft.state === "StateCandidate") countVote(raft, message);
      return;
    case "MsgTimeoutNow":
      raft.logger.debug(
        `${raft.name} [term ${raft.term} state ${raft.state}] ignored MsgTimeoutNow from ${message.from.toString(16)}`,
      );
      return;
    default:
  }
}

function countVote(raft: Raft, { type, from, reject }: Message): void {
  const { tracker, logger, name } = raft;
  logger.info(`${name} received ${type}${reject ? " rejection" : ""} from ${from.toString(16)} at term ${raft.term}`);
  tracker.recordVote(from, !reject);
  const { granted, rejected, result } = tracker.tallyVotes();
  logger.info(`${name} has received ${granted} ${type} votes and ${rejected} vote rejections`);
  if (result === "VoteWon") {
    if (raft.state === "StatePreCandidate") {
      raft.campaignAfterPreVote();
    } else {
      raft.becomeLeader();
      broadcastAppend(raft);
    }
  } else if (result === "VoteLost") {
    // A pre-candidate has the term of its cluster already; with a refusal of a later one it would be a follower by now.
    raft.becomeFollower(raft.term, NONE);
  }
}
