/**
 * Membership changes on a client's request: checked for whether the cluster can afford them, then proposed.
 * Upstream: server/etcdserver/server.go (AddMember and its siblings), server/etcdserver/api/v3rpc/member.go
 */
import type { Logger } from "../../observe/log.ts";
import { etcdError, isEtcdError } from "../../protocols/etcd/errors.ts";
import type { Member } from "../../protocols/etcd/generated.ts";
import type { ConfChange, ConfChangeType, NodeId } from "../../raft/types.ts";
import { deadline, sleep } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { hexId, memberContext, memberId } from "./identity.ts";
import { parseUrls } from "./initial-cluster.ts";
import type { Membership } from "./membership.ts";
import type { Remotes } from "./remote.ts";

/** A peer counts once it has been reached for so long. */
const HEALTH_INTERVAL_MS = 5000;
/** How far a learner must be along the leader's log before it may vote. */
const READY_SHARE = 0.9;
const LEADER_POLL_MS = 50;

/** What changes of members need of the member that is asked. */
export interface ReconfigureHost {
  readonly membership: Membership;
  readonly leader: NodeId;
  /** `clock.monotonic()` of when the peer was reached for the first time without a break since. */
  activeSince(id: NodeId): number | undefined;
  /** How far each member's log agrees with ours; undefined on a member that doesn't lead. */
  progress(): ReadonlyMap<NodeId, { readonly match: number }> | undefined;
  /** Resolves when the change is applied here. What `Membership.validate` throws is the answer. */
  proposeConfChange(change: ConfChange): Promise<unknown>;
}

export interface ReconfigureDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly remotes: Remotes;
  readonly strict: boolean;
  readonly requestTimeoutMs: number;
  /** A learner became a voter, and it was asked for here. */
  readonly onPromoted?: () => void;
}

export class Reconfigure {
  readonly #host: ReconfigureHost;
  readonly #deps: ReconfigureDeps;

  constructor(host: ReconfigureHost, deps: ReconfigureDeps) {
    this.#host = host;
    this.#deps = deps;
  }

  async add(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    let peerURLs: readonly string[];
    try {
      peerURLs = parseUrls(peerUrls);
    } catch (error) {
      throw etcdError("memberBadUrls", { cause: error });
    }
    const ID = memberId(peerURLs, "", Math.floor(this.#deps.clock.now() / 1000));
    const member: Member = { ID, name: "", peerURLs: [...peerURLs], clientURLs: [], isLearner };
    if (this.#deps.strict) this.#checkAdd(isLearner);
    await this.#propose(isLearner ? "ConfChangeAddLearnerNode" : "ConfChangeAddNode", ID, memberContext(member));
    return member;
  }

  async remove(id: NodeId): Promise<void> {
    if (this.#deps.strict) this.#checkRemove(id);
    await this.#propose("ConfChangeRemoveNode", id, new Uint8Array(0));
  }

  async update(id: NodeId, peerUrls: readonly string[]): Promise<void> {
    const member: Member = { ID: id, name: "", peerURLs: [...peerUrls], clientURLs: [], isLearner: false };
    await this.#propose("ConfChangeUpdateNode", id, memberContext(member));
  }

  /** Only the leader knows how far a learner is: others ask it. Resolves with the members. */
  async promote(id: NodeId, authorization?: string): Promise<readonly Member[]> {
    if (this.#host.progress() !== undefined)
      try {
        return await this.promoteHere(id);
      } catch (error) {
        if (!isEtcdError(error, "notLeader")) throw error;
      }
    const { clock, remotes, requestTimeoutMs } = this.#deps;
    using limit = deadline(clock, requestTimeoutMs);
    while (!limit.signal.aborted) {
      const leader = this.#host.membership.member(this.#host.leader);
      if (leader !== undefined && leader.ID !== this.#host.membership.localId) {
        try {
          return await remotes.promote(leader, id, authorization);
        } catch (error) {
          if (
            isEtcdError(error, "learnerNotReady") ||
            isEtcdError(error, "memberNotFound") ||
            isEtcdError(error, "memberNotLearner")
          )
            throw error;
        }
      } else if (leader !== undefined) return this.promoteHere(id);
      await sleep(clock, LEADER_POLL_MS);
    }
    throw etcdError("timeout");
  }

  /** On the leader. */
  async promoteHere(id: NodeId): Promise<readonly Member[]> {
    this.#checkLearner(id);
    if (this.#deps.strict && !this.#quorumWith(1, 1, undefined)) {
      this.#refuse("rejecting member promote request; not enough healthy members", id);
      throw etcdError("notEnoughStartedMembers");
    }
    const promoted: Member = { ID: id, name: "", peerURLs: [], clientURLs: [], isLearner: false };
    await this.#propose("ConfChangeAddNode", id, memberContext(promoted, true));
    this.#deps.onPromoted?.();
    return this.#host.membership.members;
  }

  async #propose(type: ConfChangeType, nodeId: NodeId, context: Uint8Array): Promise<void> {
    await this.#host.proposeConfChange({
      transition: "ConfChangeTransitionAuto",
      changes: [{ type, nodeId }],
      context,
    });
    this.#deps.log.info("applied a configuration change through raft", {
      "local-member-id": hexId(this.#host.membership.localId),
      "raft-conf-change": type,
      "raft-conf-change-node-id": hexId(nodeId),
    });
  }

  #checkAdd(isLearner: boolean): void {
    const { membership } = this.#host;
    const voters = membership.votingMembers;
    const started = voters.filter(isStarted).length;
    // One member that gets a second: a cluster's data being restored. It will have no quorum without it, and is told so.
    const restoring = started === 1 && voters.length === 1;
    if (!isLearner && !restoring && !this.#quorumWith(1, 0, undefined)) {
      this.#refuse("rejecting member add request; not enough healthy members");
      throw etcdError("notEnoughStartedMembers");
    }
    // The new one is as good as down until it has come up.
    const connected = this.#connected();
    if (voters.length > 1 && connected < Math.floor((voters.length + 1) / 2) + 1) {
      this.#refuse(
        "rejecting member add request; local member has not been connected to majority peers, reconfigure breaks active quorum",
      );
      throw etcdError("unhealthy");
    }
  }

  #checkRemove(id: NodeId): void {
    const { membership } = this.#host;
    const member = membership.member(id);
    if (member?.isLearner === true) return;
    if (!this.#quorumWith(0, 0, id)) {
      this.#refuse("rejecting member remove request; not enough healthy members", id);
      throw etcdError("notEnoughStartedMembers");
    }
    // One that is down is no part of what holds the cluster together.
    if (id !== membership.localId && this.#host.activeSince(id) === undefined) return;
    const voters = membership.votingMembers.length;
    const active = this.#connected();
    if (active - 1 < 1 + Math.floor((voters - 1) / 2)) {
      this.#refuse(
        "rejecting member remove request; local member has not been connected to all peers, reconfigure breaks active quorum",
        id,
      );
      throw etcdError("unhealthy");
    }
  }

  #checkLearner(id: NodeId): void {
    const progress = this.#host.progress();
    if (progress === undefined) throw etcdError("notLeader");
    const learner = progress.get(id);
    if (learner === undefined) throw etcdError("memberNotFound");
    const own = progress.get(this.#host.membership.localId)?.match ?? 0;
    if (learner.match / own < READY_SHARE) {
      this.#deps.log.warn("rejecting promote learner: learner is not ready", {
        "learner-ready-percent": learner.match / own,
        "ready-percent-threshold": READY_SHARE,
      });
      throw etcdError("learnerNotReady");
    }
  }

  /** Whether the started voters are a quorum when `more` join, of whom `moreStarted` run already, and `gone` leaves. */
  #quorumWith(more: number, moreStarted: number, gone: NodeId | undefined): boolean {
    const voters = this.#host.membership.votingMembers.filter((member) => member.ID !== gone);
    const started = voters.filter(isStarted).length + moreStarted;
    return started >= Math.floor((voters.length + more) / 2) + 1;
  }

  /** Voters that have been reached for a while, this member among them. */
  #connected(): number {
    const since = this.#deps.clock.monotonic() - HEALTH_INTERVAL_MS;
    return this.#host.membership.votingMembers.filter(({ ID }) => {
      if (ID === this.#host.membership.localId) return true;
      const active = this.#host.activeSince(ID);
      return active !== undefined && active <= since;
    }).length;
  }

  #refuse(words: string, id?: NodeId): void {
    this.#deps.log.warn(words, {
      "local-member-id": hexId(this.#host.membership.localId),
      ...(id !== undefined && { "requested-member-id": hexId(id) }),
    });
  }
}

/** A member that has told its name. */
function isStarted(member: Member): boolean {
  return member.name !== "";
}
