/**
 * Bugs that etcd or raft have had, or that someone could make, each as a change that a test puts into the code while a run lasts: the proof that the
 * simulation finds what it looks for. Production code knows nothing of them.
 */
import { Alarms } from "../../../etcd/apply/alarms.ts";
import { StoredIndex } from "../../../etcd/apply/consistent-index.ts";
import { AuthStore } from "../../../etcd/auth/store.ts";
import { Lessor } from "../../../etcd/lease/lessor.ts";
import type { Request } from "../../../etcd/apply/chain.ts";
import type { Backend } from "../../../etcd/backend/backend.ts";
import { Membership } from "../../../etcd/cluster/membership.ts";
import { clusterVersionOf } from "../../../etcd/cluster/versions.ts";
import { Member } from "../../../etcd/member.ts";
import { Store } from "../../../etcd/mvcc/store.ts";
import { Watchable, WatchStream } from "../../../etcd/mvcc/watchable.ts";
import { Proposals } from "../../../etcd/proposals.ts";
import { RaftDriver } from "../../../etcd/raft-driver.ts";
import { Storage } from "../../../etcd/storage.ts";
import { INDEX_KEY } from "../../../etcd/v2/layout.ts";
import { ETCD_VERSION } from "../../../etcd/version.ts";
import { Wal } from "../../../etcd/wal/wal.ts";
import { decodeConfChange } from "../../../raft/conf-change.ts";
import { RaftLog } from "../../../raft/log.ts";
import { RawNode } from "../../../raft/raw-node.ts";
import { Raft } from "../../../raft/raft.ts";
import { SimulatedFs } from "../fs.ts";
import type { FaultKind } from "./faults.ts";

export interface PlantedBug {
  readonly name: string;
  /** What it does, and the upstream issue that it is like. */
  readonly what: string;
  readonly issue?: string;
  /** The faults that bring it out, where any others would take many seeds more. */
  readonly kinds?: readonly FaultKind[];
  /** Puts it in; the result takes it out. */
  plant(): () => void;
}

type Method = (this: any, ...args: any[]) => any;

/** Replaces a method of a class by one that is given the original. */
function replace(prototype: object, name: string, make: (original: Method) => Method): () => void {
  const before = Object.getOwnPropertyDescriptor(prototype, name)!;
  if (before.get !== undefined) {
    const { get } = before;
    Object.defineProperty(prototype, name, { ...before, get: make(get) as () => unknown });
  } else Object.defineProperty(prototype, name, { ...before, value: make(before.value as Method) });
  return () => Object.defineProperty(prototype, name, before);
}

function bug(
  name: string,
  issue: string | undefined,
  what: string,
  prototype: object,
  method: string,
  make: (original: Method) => Method,
  kinds?: readonly FaultKind[],
): PlantedBug {
  return {
    name,
    what,
    ...(issue !== undefined && { issue }),
    ...(kinds !== undefined && { kinds }),
    plant: () => replace(prototype, method, make),
  };
}

export const PLANTED: readonly PlantedBug[] = [
  bug(
    "index-ahead-of-data",
    "13766",
    "the consistent index is committed before the data of its entry: after a crash the entry is taken for applied",
    StoredIndex.prototype,
    "save",
    (save) =>
      function () {
        const { index } = this;
        this.index = index + 1;
        save.call(this);
        this.index = index;
      },
  ),
  bug(
    "index-behind-data",
    "13766",
    "data is committed before the consistent index of its entry: after a crash the entry is applied once more",
    StoredIndex.prototype,
    "save",
    (save) => {
      const last = new WeakMap<object, number>();
      return function () {
        const { index } = this;
        this.index = last.get(this) ?? index;
        last.set(this, index);
        save.call(this);
        this.index = index;
      };
    },
  ),
  bug(
    "log-not-synced",
    "14370",
    "entries are acknowledged before the log is synced",
    SimulatedFs.prototype,
    "open",
    (open) =>
      function (path: string, options: object) {
        return open.call(this, path, { ...options, durable: false });
      },
  ),
  bug(
    "failed-write-ignored",
    undefined,
    "a write of the log that failed is taken for done",
    Wal.prototype,
    "append",
    (append) =>
      function (...args) {
        try {
          return (append.apply(this, args) as Promise<void> | undefined)?.catch(() => {});
        } catch {
          return undefined;
        }
      },
  ),
  bug(
    "vote-not-kept",
    undefined,
    "a vote is not written to the log: after a crash a member votes once more in its term",
    Wal.prototype,
    "append",
    (append) =>
      function (entries, state) {
        return append.call(this, entries, state && { ...state, vote: 0n });
      },
  ),
  bug(
    "victim-loses-event",
    "17529",
    "a watcher whose reader was slow goes on after the event that it was not given",
    Watchable.prototype,
    "add",
    (add) => {
      const known = new WeakSet();
      return function (watcher: { next: number }) {
        if (known.has(watcher)) watcher.next++;
        known.add(watcher);
        add.call(this, watcher);
      };
    },
  ),
  bug(
    "watch-skips-compacted",
    "17529",
    "a watch from a compacted revision goes on from what is left, and says nothing of it",
    WatchStream.prototype,
    "cancelCompacted",
    () =>
      function (watcher: { next: number }, compactRevision: number) {
        watcher.next = compactRevision;
      },
  ),
  bug(
    "progress-promises-too-much",
    "15220",
    "progress is told although events are still to come",
    Watchable.prototype,
    "isCurrent",
    () => () => true,
  ),
  bug(
    "watch-stays-behind-snapshot",
    undefined,
    "watchers of a member that gets a snapshot are not sent what came with it",
    Watchable.prototype,
    "restored",
    () => () => {},
  ),
  bug(
    "checkpoint-not-kept",
    "13508",
    "what a lease has left is not written down at a checkpoint",
    Lessor.prototype,
    "checkpoint",
    () =>
      function (id: bigint, remainingTtl: number) {
        const lease = this.get(id);
        if (lease !== undefined) lease.remainingTtl = remainingTtl;
      },
  ),
  {
    name: "stale-leader-revokes",
    issue: "15247",
    what: "a leader whose disk stood still revokes leases that have been renewed at the next one",
    kinds: ["stall"],
    plant: () => {
      const sure = replace(Member.prototype, "ensureLeadership", () => () => true);
      const byAnyone = replace(Proposals.prototype, "refuseAsLeader", () => () => {});
      return () => {
        sure();
        byAnyone();
      };
    },
  },
  bug(
    "lease-forgets-keys",
    "6102",
    "after a restart keys no longer hang on their leases",
    Store.prototype,
    "restore",
    (restore) =>
      function (restored: { leases: Map<string, bigint> }, ...rest) {
        restored.leases.clear();
        restore.call(this, restored, ...rest);
      },
  ),
  bug(
    "stale-read",
    "20418",
    "a leader answers linearizable reads without asking whether it still leads",
    Member.prototype,
    "linearizable",
    (linearizable) =>
      function () {
        return this.leadership.isLeader ? undefined : linearizable.call(this);
      },
    ["freeze", "isolated"],
  ),
  bug(
    "read-index-not-confirmed",
    "20418",
    "a leader tells followers how far the log is committed without asking whether it still leads",
    RawNode.prototype,
    "readIndex",
    (readIndex) =>
      function (context: Uint8Array) {
        const { raft } = this;
        if (raft.isLeader) raft.readStates.push({ index: raft.log.committed, context });
        else readIndex.call(this, context);
      },
    ["freeze", "isolated"],
  ),
  bug(
    "compaction-takes-revision-back",
    "17780",
    "a compaction that took the last rows takes back the revision at the next start",
    Store.prototype,
    "restore",
    (restore) =>
      function (restored: { keys: any }, _revision: number, compactRevision: number) {
        let last = 1;
        restored.keys.forEach("", undefined, (index: any) => {
          last = Math.max(last, index.get(Infinity)?.main ?? 1);
        });
        restore.call(this, restored, last, compactRevision);
      },
  ),
  bug(
    "compaction-not-resumed",
    "17780",
    "a compaction that a crash cut short is not gone on with",
    Storage.prototype,
    "scheduledCompaction",
    () => () => undefined,
  ),
  bug(
    "snapshot-of-wrong-index",
    undefined,
    "a snapshot is sent under an older index than its data has: entries are applied twice",
    Storage.prototype,
    "outgoing",
    (outgoing) =>
      async function (message: { snapshot: { metadata: object } }) {
        const sent = await outgoing.call(this, message);
        const { metadata, data } = sent.message.snapshot;
        const older = Math.max(1, metadata.index - 3);
        return { ...sent, message: { ...sent.message, snapshot: { data, metadata: { ...metadata, index: older } } } };
      },
  ),
  bug(
    "snapshot-without-members",
    undefined,
    "a snapshot is installed without the members that came with it",
    Storage.prototype,
    "outgoing",
    (outgoing) =>
      async function (message: { snapshot: { metadata: object } }) {
        const sent = await outgoing.call(this, message);
        const { metadata, data } = sent.message.snapshot;
        const { confState } = metadata;
        const fewer = {
          ...confState,
          voters: confState.voters.slice(0, -1),
          learners: [...confState.learners, confState.voters.at(-1)],
        };
        return {
          ...sent,
          message: { ...sent.message, snapshot: { data, metadata: { ...metadata, confState: fewer } } },
        };
      },
  ),
  bug(
    "log-cut-blindly",
    undefined,
    "entries that come late cut off those behind them, although they are the same",
    RaftLog.prototype,
    "maybeAppend",
    () =>
      function (prevIndex: number, prevTerm: number, entries: readonly object[], committed: number) {
        if (!this.matchTerm(prevIndex, prevTerm)) return undefined;
        const last = prevIndex + entries.length;
        const known = this.committed - prevIndex;
        if (last > this.committed) this.append(known > 0 ? entries.slice(known) : entries);
        this.commitTo(Math.min(committed, last));
        return last;
      },
    ["messages", "delay"],
  ),
  bug(
    "votes-for-the-outdated",
    undefined,
    "members vote for whoever asks first, however old the candidate's log is",
    RaftLog.prototype,
    "isUpToDate",
    () => () => true,
  ),
  bug(
    "commits-by-counting",
    undefined,
    "a leader commits entries of earlier terms as soon as a majority has them (figure 8 of raft's paper)",
    RaftLog.prototype,
    "maybeCommit",
    () =>
      function (index: number) {
        if (index <= this.committed) return false;
        this.commitTo(index);
        return true;
      },
    ["relay"],
  ),
  bug(
    "reads-before-first-commit",
    "7331",
    "a new leader answers reads before it has committed an entry of its term",
    Raft.prototype,
    "committedInCurrentTerm",
    () => () => true,
    ["relay"],
  ),
  bug(
    "goes-on-without-db",
    undefined,
    "a member whose db file can't be written goes on to lead",
    RaftDriver.prototype,
    "fail",
    () => () => {},
    ["fullForDb"],
  ),
  bug(
    "alarm-forgotten",
    undefined,
    "a member that starts knows of no alarm that was raised before",
    Alarms.prototype,
    "load",
    () => () => {},
    ["noSpace", "kill"],
  ),
  bug(
    "authentication-forgotten",
    undefined,
    "a member that starts, or gets a snapshot, takes authentication to be off",
    AuthStore.prototype,
    "load",
    () => () => {},
    ["auth", "kill"],
  ),
  bug(
    "downgrade-forgotten",
    undefined,
    "a member that starts, or gets a snapshot, takes the cluster to be of its own version",
    Membership.prototype,
    "load",
    (load) =>
      function (backend: Backend) {
        load.call(this, backend);
        if (this.version !== undefined) this.setVersion(clusterVersionOf(ETCD_VERSION));
      },
    ["downgrade", "kill"],
  ),
  bug(
    "v2-write-overwrites",
    undefined,
    "a write of the v2 API holds whatever has been written since it was planned",
    Member.prototype,
    "propose",
    (propose) =>
      function (request: Request, ...rest: unknown[]) {
        const isV2 = request.txn?.compare?.[0]?.key === INDEX_KEY;
        return propose.call(this, isV2 ? { txn: { ...request.txn, compare: [] } } : request, ...rest);
      },
    ["delay", "kill"],
  ),
  bug(
    "removed-member-counts",
    undefined,
    "a member that was removed is still counted",
    Raft.prototype,
    "applyConfChange",
    (apply) =>
      function (change: { changes: readonly { type: string }[] }) {
        if (change.changes[0]?.type === "ConfChangeRemoveNode") return this.tracker.confState();
        return apply.call(this, change);
      },
  ),
  bug(
    "change-of-members-too-early",
    "2397",
    "a change of members is in force at the leader before it is committed",
    Raft.prototype,
    "appendAsLeader",
    (append) =>
      function (drafts: readonly { type: number; data: Uint8Array }[]) {
        const entries = append.call(this, drafts);
        if (entries !== undefined)
          for (const { type, data } of drafts) if (type === 1) this.applyConfChange(decodeConfChange(1, data));
        return entries;
      },
  ),
];
