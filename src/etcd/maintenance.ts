/**
 * Operations on a member's data as a whole, while requests continue: hashes, defragmentation, and the db file for a backup.
 * Upstream: server/etcdserver/api/v3rpc/maintenance.go, corrupt.go
 */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { SnapshotResponse } from "../protocols/etcd/generated.ts";
import type { NodeId } from "../raft/types.ts";
import { RpcError, type ServerStream } from "../wire/rpc/service.ts";
import type { World } from "../world/world.ts";
import { duration } from "./duration.ts";
import { sendSnapshot } from "./backend/send-snapshot.ts";
import { hexId } from "./cluster/identity.ts";
import type { Membership } from "./cluster/membership.ts";
import type { Remotes } from "./cluster/remote.ts";
import type { PeerHash } from "./corruption.ts";
import * as counted from "./metrics.ts";
import type { CompactionHashes } from "./mvcc/compaction-hashes.ts";
import { hashKeys, type KeysHash } from "./mvcc/hash.ts";
import type { Store } from "./mvcc/store.ts";
import type { Storage } from "./storage.ts";

export interface MaintenanceDeps extends Pick<World, "clock"> {
  readonly id: NodeId;
  readonly clusterId: bigint;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly storage: Storage;
  readonly store: Store;
  readonly compactionHashes: CompactionHashes;
  readonly membership: Membership;
  readonly remotes: Remotes;
}

export class Maintenance {
  readonly #deps: MaintenanceDeps;
  /** Told when a defragmentation begins and ends. */
  onDefragment: ((isActive: boolean) => void) | undefined;

  constructor(deps: MaintenanceDeps) {
    this.#deps = deps;
  }

  /** Streams the db file as of now, and its hash. */
  async sendSnapshot(stream: ServerStream<never, SnapshotResponse>, signal: AbortSignal | undefined): Promise<void> {
    const { clock, log, storage } = this.#deps;
    using snapshot = await storage.backend.snapshot();
    await sendSnapshot(snapshot, stream, {
      clock,
      log,
      version: storage.storageVersion,
      ...(signal !== undefined && { signal }),
    });
  }

  /** A checksum of the keys up to a revision, 0 for now. */
  async hash(metric: typeof counted.hashDuration, revision: number): Promise<KeysHash> {
    const { clock, metrics, store, compactionHashes } = this.#deps;
    const begun = clock.monotonic();
    const known = compactionHashes.at(revision);
    if (known !== undefined) return known;
    const hash = await hashKeys(store, revision, () => new Promise((resolve) => clock.soon(resolve)));
    metrics.observe(metric, {}, (clock.monotonic() - begun) / 1000);
    return hash;
  }

  /** How the others' keys are at a revision. Who doesn't answer, or not to that, has no hash. */
  peerHashes(revision: number): Promise<readonly (PeerHash | { readonly id: NodeId; readonly hash: undefined })[]> {
    const { id, clusterId, membership, remotes } = this.#deps;
    const others = membership.members.filter(({ ID }) => ID !== id);
    return Promise.all(
      others.map(async (other) => {
        const answer = await remotes.ask(other, {
          method: "GET",
          path: "/members/hashkv",
          headers: { "content-type": "application/json", "x-etcd-cluster-id": hexId(clusterId) },
          body: JSON.stringify({ revision }),
        });
        if (answer?.status !== 200) return { id: other.ID, hash: undefined };
        const read = JSON.parse(answer.body.toString()) as {
          readonly header?: { readonly revision?: number };
          readonly hash?: number;
          readonly compact_revision?: number;
        };
        const { header, hash = 0, compact_revision: compactRevision = 0 } = read;
        return { id: other.ID, hash, compactRevision, revision: header?.revision ?? 0 };
      }),
    );
  }

  /** Closes the gaps in the db file, while requests go on. */
  async defragment(): Promise<void> {
    const { clock, log, metrics, storage } = this.#deps;
    const { backend } = storage;
    const sizes = () => ({
      "current-db-size-bytes": backend.sizeBytes,
      "current-db-size-in-use-bytes": backend.inUseBytes,
    });
    const before = backend.sizeBytes;
    const started = clock.monotonic();
    metrics.set(counted.defragInflight, {}, 1);
    this.onDefragment?.(true);
    log.info("defragmenting", { path: storage.dbPath, ...sizes() });
    try {
      await backend.defragment();
    } catch (error) {
      log.warn("failed to defragment", { error: String(error) });
      throw new RpcError("Unknown", error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      metrics.set(counted.defragInflight, {}, 0);
      this.onDefragment?.(false);
      metrics.observe(counted.backendDefrag, {}, (clock.monotonic() - started) / 1000);
    }
    log.info("finished defragmenting directory", {
      path: storage.dbPath,
      "current-db-size-bytes-diff": backend.sizeBytes - before,
      ...sizes(),
      took: duration(clock.monotonic() - started),
    });
  }
}
