/**
 * What committed entries and received snapshots do to a member: requests go through the applier chain, changes of members also reach the transport,
 * and when enough has come together the log is cut at a snapshot. Raft's driver calls it, one entry after the other.
 * Upstream: server/etcdserver/server.go (applyAll, applySnapshot, applyConfChange, snapshotIfNeededAndCompactRaftLog)
 */
import type { Deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import type { Member as MemberInfo } from "../protocols/etcd/generated.ts";
import type { ConfChange, ConfState, Entry, HardState, NodeId, Snapshot } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";
import type { Alarms } from "./apply/alarms.ts";
import type { Applied } from "./apply/applier.ts";
import type { Apply, Request } from "./apply/chain.ts";
import type { AuthStore } from "./auth/store.ts";
import type { Membership } from "./cluster/membership.ts";
import { versionInV2Store } from "./cluster/v2-form.ts";
import { compareVersions } from "./cluster/versions.ts";
import type { Compactions } from "./compactions.ts";
import type { Leadership } from "./leadership.ts";
import type { LeaseKeeper } from "./lease/keeper.ts";
import type { Lessor } from "./lease/lessor.ts";
import type { Store } from "./mvcc/store.ts";
import type { Watchable } from "./mvcc/watchable.ts";
import type { PeerTransport } from "./peer/transport.ts";
import type { StateMachine } from "./raft-driver.ts";
import type { Storage } from "./storage.ts";

/** A member that was removed goes after this: others should hear of it. */
const REMOVED_DELAY_MS = 1000;

/** The member whose state it is. */
export interface CommittedHost {
  readonly id: NodeId;
  readonly store: Store;
  readonly lessor: Lessor;
  readonly leases: LeaseKeeper;
  readonly compactions: Compactions;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly membership: Membership;
  readonly watchable: Watchable;
  readonly leadership: Leadership;
  readonly transport: PeerTransport | undefined;
  readonly closing: AbortSignal;
  snapshot(): Promise<void>;
}

export interface CommittedDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly storage: Storage;
  /** The chain of appliers. */
  readonly apply: Apply;
  /** A member was added: the leader looks which versions there are. */
  readonly joined: () => void;
  /** Resolved some time after the cluster has removed this member. */
  readonly removed: Deferred<void>;
}

export class Committed implements StateMachine {
  readonly #host: CommittedHost;
  readonly #deps: CommittedDeps;
  #snapshotting: Promise<void> | undefined;
  #snapshotIsForced = false;

  constructor(host: CommittedHost, deps: CommittedDeps) {
    this.#host = host;
    this.#deps = deps;
  }

  apply(entry: Entry, request: Request): Applied {
    this.#deps.storage.consistentIndex.advance(entry.index, entry.term);
    return request.cluster_version_set === undefined ? this.#deps.apply(request) : this.#applyVersion(request);
  }

  /** A member of the older version must not find the newer one in its log. */
  #applyVersion(request: Request): Applied {
    const { membership } = this.#host;
    const before = membership.version;
    const answer = this.#deps.apply(request);
    const after = membership.version;
    if (before !== undefined && after !== undefined && compareVersions(after, before) < 0) {
      this.#deps.log.info("Cluster version downgrade detected, forcing snapshot", {
        "prev-cluster-version": before,
        "new-cluster-version": after,
      });
      this.#snapshotIsForced = true;
    }
    return answer;
  }

  applyEmpty(entry: Entry): void {
    const { leadership, leases, lessor } = this.#host;
    this.#deps.storage.consistentIndex.advance(entry.index, entry.term);
    // All that earlier leaders committed is applied now: so the leases are known.
    if (leadership.isLeader && !lessor.isPrimary) leases.promote();
  }

  applyConfChange(entry: Entry, change: ConfChange, intoForce: () => ConfState): readonly MemberInfo[] {
    const { id, leadership, membership, transport } = this.#host;
    const { log, storage } = this.#deps;
    storage.consistentIndex.advance(entry.index, entry.term);
    try {
      membership.validate(change);
    } catch (error) {
      log.error("Validation on configuration change failed", error);
      throw error;
    }
    storage.consistentIndex.setConfState(intoForce());
    const done = membership.apply(change);
    storage.takeTurns();
    if (done.kind === "removed") {
      if (done.id === id) this.#leave();
      else transport?.removePeer(done.id);
    } else if (done.member.ID !== id) {
      if (done.kind === "added") {
        transport?.addPeer(done.member.ID, done.member.peerURLs);
        if (leadership.isLeader) this.#deps.joined();
      }
      if (done.kind === "updated") transport?.updatePeer(done.member.ID, done.member.peerURLs);
    }
    return membership.members;
  }

  #leave(): void {
    const { clock, log, removed } = this.#deps;
    clock.after(REMOVED_DELAY_MS, () => {
      log.error("server error", new Error("the member has been permanently removed from the cluster"));
      log.info("data-dir used by this member must be removed");
      removed.resolve();
    });
  }

  /** Replaces all of the state. Watchers go on, from where they were. */
  async install(snapshot: Snapshot, state: HardState): Promise<void> {
    const { alarms, auth, compactions, id, lessor, membership, store, transport, watchable } = this.#host;
    const { storage } = this.#deps;
    lessor.demote();
    const { revision } = store;
    await storage.install(snapshot, state, this.#host);
    compactions.clear();
    compactions.resume(storage.scheduledCompaction);
    const { backend } = store;
    alarms.load(backend.bucket("alarm"));
    auth.load();
    membership.load(backend);
    const version = membership.version ?? versionInV2Store(snapshot.data);
    if (version !== undefined && membership.version === undefined) membership.setVersion(version);
    for (const { ID, peerURLs } of membership.members) if (ID !== id) transport?.addPeer(ID, peerURLs);
    for (const removed of membership.removedIds) transport?.removePeer(removed);
    watchable.restored(revision);
  }

  settled(): void {
    if (this.#snapshotting !== undefined || this.#host.closing.aborted) return;
    if (!this.#deps.storage.snapshotIsDue && !this.#snapshotIsForced) return;
    this.#snapshotIsForced = false;
    this.#snapshotting = this.#host
      .snapshot()
      .catch((error: unknown) => this.#deps.log.error("failed to write a snapshot", error))
      .finally(() => {
        this.#snapshotting = undefined;
      });
  }

  /** Resolves when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#snapshotting;
  }
}
