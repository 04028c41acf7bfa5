/** The configuration of a member of a raft group. Upstream: Config in raft.go */
import { assert } from "../base/assert.ts";
import type { Logger } from "./logger.ts";
import { isLocalTarget } from "./message.ts";
import type { Storage } from "./storage.ts";
import { NONE, type NodeId } from "./types.ts";

/**
 * How a read is made linearizable. "safe" asks a quorum with a round of heartbeats; "lease-based" trusts that the leader's lease has not
 * run out, which holds only as long as clocks do not drift, and needs `checkQuorum`.
 */
export type ReadOnlyOption = "safe" | "lease-based";

export interface Config {
  readonly id: NodeId;
  /** Ticks without a word from a leader until a follower campaigns; each election draws its timeout from [n, 2n - 1]. */
  readonly electionTick: number;
  /** Ticks between two heartbeats of a leader. */
  readonly heartbeatTick: number;
  readonly storage: Storage;
  /** The last entry that the state machine has applied: entries up to it are not handed out again. */
  readonly applied?: number;
  /** Storage work travels as messages to `LOCAL_APPEND_THREAD` and `LOCAL_APPLY_THREAD` instead of being done between `ready` and `advance`. */
  readonly asyncStorageWrites?: boolean;
  /**
   * Committed entries may be applied before they are known to be kept here. Whoever allows it where storage is asynchronous sees to it that what
   * comes of them is not kept before they are. Allowed where storage isn't asynchronous, and else not, unless set.
   */
  readonly appliesUnstable?: boolean;
  /** Bytes of entries in one append message; 0 is one entry a message. */
  readonly maxSizePerMsg?: number;
  /** Bytes of committed entries that are being applied at any time. `maxSizePerMsg` unless set. */
  readonly maxCommittedSizePerReady?: number;
  /** Bytes of proposals that wait for a quorum; more are dropped. Unlimited unless set. */
  readonly maxUncommittedEntriesSize?: number;
  /** Append messages under way to one follower. */
  readonly maxInflightMsgs: number;
  /** Bytes of append messages under way to one follower. Unlimited unless set. */
  readonly maxInflightBytes?: number;
  /** A leader that has not heard from a quorum for an election timeout steps down. */
  readonly checkQuorum?: boolean;
  /** Ask whether an election could be won before starting one (thesis, section 9.6). */
  readonly preVote?: boolean;
  readonly readOnlyOption?: ReadOnlyOption;
  /** Followers drop proposals instead of passing them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** A leader takes any change of members, even one that can't be applied; whoever sets this checks beforehand. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that was removed or made a learner steps down when it applies that. */
  readonly stepDownOnRemoval?: boolean;
  readonly logger?: Logger;
  /** A number from 0 up to and without 1. The only chance in the whole package: it draws election timeouts. */
  readonly random: () => number;
}

export function validateConfig(config: Config): void {
  const { maxInflightBytes = 0, maxSizePerMsg = Infinity } = config;
  assert(config.id !== NONE, "cannot use none as id");
  assert(!isLocalTarget(config.id), "cannot use local target as id");
  assert(config.heartbeatTick > 0, "heartbeat tick must be greater than 0");
  assert(config.electionTick > config.heartbeatTick, "election tick must be greater than heartbeat tick");
  assert(config.maxInflightMsgs > 0, "max inflight messages must be greater than 0");
  assert(maxInflightBytes === 0 || maxInflightBytes >= maxSizePerMsg, "max inflight bytes must be >= max message size");
  assert(
    config.readOnlyOption !== "lease-based" || config.checkQuorum === true,
    "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased",
  );
}
