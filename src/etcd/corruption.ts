/**
 * Detects members whose data differ. They compare hashes of their keys: a starting member before it serves, the leader periodically, and the leader
 * again at revisions that all members have compacted. A difference raises the CORRUPT alarm.
 * Upstream: server/etcdserver/corrupt.go
 */
import { hexId } from "./cluster/identity.ts";
import type { Logger } from "../observe/log.ts";
import { pause } from "../world/time.ts";
import type { Clock } from "../world/world.ts";
import type { KeysHash as CompactionHash } from "./mvcc/hash.ts";

/** What one member says of its keys. */
export interface KeysHash {
  /** At which it was taken. */
  readonly hash: number;
  readonly compactRevision: number;
  /** The member's own present one. */
  readonly revision: number;
}

export interface PeerHash extends KeysHash {
  readonly id: bigint;
}

export interface CorruptionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly localId: bigint;
  readonly isLeader: () => boolean;
  /** Of this member, at a revision; 0 for now. */
  readonly hash: (revision: number) => Promise<KeysHash>;
  /** Of the others at a revision; one that doesn't answer is undefined, with its id. */
  readonly peerHashes: (
    revision: number,
  ) => Promise<readonly (PeerHash | { readonly id: bigint; readonly hash: undefined })[]>;
  /** What the last compactions found here, oldest first. */
  readonly compactions: () => readonly CompactionHash[];
  readonly linearizable: () => Promise<void> | undefined;
  readonly raiseAlarm: (memberId: bigint) => Promise<unknown>;
}

export class CorruptionCheck {
  readonly #deps: CorruptionDeps;
  #checkedUpTo = 0;

  constructor(deps: CorruptionDeps) {
    this.#deps = deps;
  }

  /** Throws where this member's keys are not what the others' are. */
  async initial(): Promise<void> {
    const { log, localId, hash, peerHashes } = this.#deps;
    const fields = { "local-member-id": hexId(localId) };
    log.info("starting initial corruption check", fields);
    const own = await hash(0);
    const different = (await peerHashes(own.revision)).filter(
      (peer) => peer.hash !== undefined && peer.hash !== own.hash && peer.compactRevision === own.compactRevision,
    );
    for (const { id } of different)
      log.warn("found different hash values from remote peer", { ...fields, "remote-peer-id": hexId(id) });
    if (different.length > 0) throw new Error(`${hexId(localId)} found data inconsistency with peers`);
    log.info("initial corruption checking passed; no corruption", fields);
  }

  /** As the leader, at the present revision. */
  async periodic(): Promise<void> {
    const { log, localId, hash, peerHashes, linearizable, raiseAlarm } = this.#deps;
    const before = await hash(0);
    const peers = await peerHashes(before.revision);
    await linearizable();
    const after = await hash(0);
    const answered = peers.filter((peer): peer is PeerHash => peer.hash !== undefined);
    const found = suspectOf(localId, before, after, answered);
    if (found !== undefined) {
      log.warn(found.why, { "member-id": hexId(found.id) });
      await raiseAlarm(found.id);
    }
    log.info("finished peer corruption check", { "number-of-peers-checked": answered.length });
  }

  /** As the leader, at the newest compaction that all have done. */
  async atCompactions(): Promise<void> {
    const { compactions, log, localId, peerHashes, raiseAlarm } = this.#deps;
    log.info("starting compact hash check", { "local-member-id": hexId(localId) });
    let checked = 0;
    for (const { hashRevision: revision, hash, compactRevision } of compactions().toReversed()) {
      if (revision <= this.#checkedUpTo) break;
      const peers = await peerHashes(revision);
      checked++;
      if (peers.length === 0) continue;
      const comparable = peers.filter(
        (peer): peer is PeerHash => peer.hash !== undefined && peer.compactRevision === compactRevision,
      );
      const verdict = minorityOf(localId, hash, comparable, peers.length + 1);
      for (const id of verdict) {
        log.error("Detected compaction hash mismatch", new Error("found data inconsistency with peers"), {
          "member-id": hexId(id),
          "compact-revision": revision,
        });
        await raiseAlarm(id);
      }
      if (verdict.length === 0 && comparable.length < peers.length) continue; // Some haven't come so far.
      if (verdict.length === 0) this.#checkedUpTo = revision;
      break;
    }
    log.info("finished compaction hash check", { "number-of-hashes-checked": checked });
  }

  /** Runs the leader's checks until `signal` aborts; an interval of 0 is never. */
  async run(
    intervals: { readonly periodicMs: number; readonly compactionsMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, isLeader, log } = this.#deps;
    const loop = async (ms: number, check: () => Promise<void>) => {
      while (ms > 0 && (await pause(clock, ms, signal))) {
        if (!isLeader()) continue;
        try {
          await check();
        } catch (error) {
          if (!signal.aborted) log.warn("failed to check hash KV", { error });
        }
      }
    };
    await Promise.all([
      loop(intervals.periodicMs, () => this.periodic()),
      loop(intervals.compactionsMs, () => this.atCompactions()),
    ]);
  }
}

/** Who is to be distrusted after a comparison at the present, and why. */
export function suspectOf(
  localId: bigint,
  before: KeysHash,
  after: KeysHash,
  peers: readonly PeerHash[],
): { readonly id: bigint; readonly why: string } | undefined {
  if (
    after.hash !== before.hash &&
    after.revision === before.revision &&
    after.compactRevision === before.compactRevision
  )
    return { id: localId, why: "found hash mismatch" };
  for (const { id, revision, compactRevision, hash } of peers) {
    if (revision > after.revision) return { id, why: "revision from follower must be less than or equal to leader's" };
    if (compactRevision > after.compactRevision)
      return { id, why: "compact revision from follower must be less than or equal to leader's" };
    if (compactRevision === before.compactRevision && hash !== before.hash)
      return { id, why: "same compact revision then hashes must match" };
  }
  return undefined;
}

/** Those who disagree with most of the cluster; 0, all of it, where no hash has a majority; nobody where all agree. */
export function minorityOf(
  localId: bigint,
  localHash: number,
  peers: readonly { readonly id: bigint; readonly hash: number }[],
  members: number,
): readonly bigint[] {
  const byHash = new Map<number, bigint[]>();
  for (const { id, hash } of [{ id: localId, hash: localHash }, ...peers]) {
    const same = byHash.get(hash);
    if (same === undefined) byHash.set(hash, [id]);
    else same.push(id);
  }
  if (byHash.size === 1) return [];
  const groups = [...byHash.values()];
  const majority = groups.find((group) => group.length >= Math.floor(members / 2) + 1);
  return majority === undefined ? [0n] : groups.filter((group) => group !== majority).flat();
}
