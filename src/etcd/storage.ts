/**
 * A member's data folder: the log (WAL), and the state that it led to up to some entry. Opened at the start; afterwards it takes snapshots of
 * the state, sends them to members that are too far behind, and takes in those of others. It knows nothing of raft but its log.
 *
 * Upstream: server/etcdserver/bootstrap.go, server/storage/storage.go
 */
import { assert } from "../base/assert.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Metadata, type Member as MemberInfo } from "../protocols/etcd/generated.ts";
import { MemoryStorage } from "../raft/memory-storage.ts";
import { EMPTY_CONF_STATE } from "../raft/storage.ts";
import type { ConfState, Entry, HardState, Message, NodeId, Snapshot } from "../raft/types.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import type { World } from "../world/world.ts";
import { VolatileIndex } from "./apply/consistent-index.ts";
import type { Backend } from "./backend/backend.ts";
import { MemoryBackend } from "./backend/memory.ts";
import { clusterId, hexId, memberId } from "./cluster/identity.ts";
import type { Lessor } from "./lease/lessor.ts";
import { NO_FAILPOINTS, type Failpoints } from "./failpoints.ts";
import * as counted from "./metrics.ts";
import { keyText } from "./mvcc/key-text.ts";
import { RestoredIndex, restoredRow } from "./mvcc/restored-index.ts";
import type { Store } from "./mvcc/store.ts";
import { firstEntries } from "./first-entries.ts";
import type { EtcdOptions } from "./options.ts";
import type { OutgoingSnapshot } from "./peer/transport.ts";
import {
  encodeSnapshot,
  loadSnapshot,
  purgeSnapshots,
  restoreBuckets,
  saveReceived,
  saveBuckets,
  writeSnapshot,
  type LoadedSnapshot,
  type SnapshotHead,
} from "./snap/snapshot.ts";
import { Wal, type WalOptions } from "./wal/wal.ts";

export type StorageDeps = Pick<World, "clock" | "fs"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly failpoints?: Failpoints;
};

/** What a member without data starts from. */
export interface Bootstrap {
  readonly id: NodeId;
  readonly clusterId: bigint;
  /** All members, this one included. */
  readonly members: readonly MemberInfo[];
  /** The cluster runs already: its log and its members come from the others. */
  readonly joins: boolean;
}

/** What is read from the state to take a snapshot of it. */
export interface State {
  readonly store: Store;
  readonly lessor: Lessor;
}

export class Storage {
  readonly id: NodeId;
  readonly clusterId: bigint;
  readonly wal: Wal;
  /** Raft's view of the log: what the WAL holds, and who belonged at its beginning. */
  readonly log: MemoryStorage;
  /** Of the state that was found. Raft hands out the entries behind `consistentIndex.index`. */
  readonly backend: Backend;
  readonly consistentIndex: VolatileIndex;
  /** There was nothing here before. */
  readonly isNew: boolean;
  readonly #options: EtcdOptions;
  readonly #deps: StorageDeps;
  readonly #codec: Codec;
  readonly #failpoints: Failpoints;
  /** Index and bytes of the last snapshot, and where the log stood. */
  #snapshotIndex: number;
  #snapshotBytes: number;
  #walBytesAtSnapshot = 0;
  #loaded: LoadedSnapshot | undefined;

  static async open(
    options: EtcdOptions,
    deps: StorageDeps,
    codec: Codec,
    bootstrap: Bootstrap = loneMember(options),
  ): Promise<Storage> {
    const { fs, log, clock, metrics } = deps;
    const snapFolder = `${options.dataDir}/member/snap`;
    await fs.mkdir(snapFolder, { recursive: true, mode: 0o700 });
    const walOptions: WalOptions = {
      fs,
      folder: options.walDir || `${options.dataDir}/member/wal`,
      log,
      monotonic: () => clock.monotonic(),
      failpoints: deps.failpoints ?? NO_FAILPOINTS,
      ...(options.walSegmentBytes !== undefined && { segmentBytes: options.walSegmentBytes }),
      onWrite: (ms, bytes) => {
        metrics.observe(counted.walFsync, {}, ms / 1000);
        metrics.add(counted.walWriteBytes, {}, bytes);
      },
    };
    if (!(await Wal.exists(fs, walOptions.folder))) {
      const { id, clusterId: cluster } = bootstrap;
      const wal = await Wal.create(walOptions, codec.encode(Metadata, { NodeID: id, ClusterID: cluster }));
      const entries = bootstrap.joins ? [] : firstEntries(bootstrap.members, codec);
      const state: HardState = { term: entries.length > 0 ? 1 : 0, vote: 0n, commit: entries.length };
      if (entries.length > 0) await wal.append(entries, state);
      log.info(bootstrap.joins ? "joining a running cluster" : "starting a new cluster", {
        "member-id": hexId(id),
        "cluster-id": hexId(cluster),
      });
      return new Storage(options, deps, codec, { id, cluster, wal, entries, state, snapshot: undefined, isNew: true });
    }
    const marks = await Wal.snapshots(walOptions);
    const snapshot = await loadSnapshot(fs, snapFolder, marks, codec, (path, error) =>
      log.error("a snapshot file is damaged and set aside", error, { path }),
    );
    const after = snapshot?.meta.index ?? 0;
    const { wal, content } = await Wal.open(walOptions, after);
    const { NodeID = 0n, ClusterID = 0n } = codec.decode(Metadata, content.metadata!);
    if (snapshot === undefined && content.entries.length > 0 && content.entries[0]!.index !== 1)
      throw new Error(`etcd: the log begins at entry ${content.entries[0]!.index} and no snapshot leads up to it`);
    const { entries, state = { term: snapshot?.meta.term ?? 0, vote: 0n, commit: 0 } } = content;
    return new Storage(options, deps, codec, {
      id: NodeID,
      cluster: ClusterID,
      wal,
      entries,
      snapshot,
      isNew: false,
      // What a snapshot holds was committed, whether or not the log had come to say so.
      state: { ...state, commit: Math.max(state.commit, after) },
    });
  }

  private constructor(
    options: EtcdOptions,
    deps: StorageDeps,
    codec: Codec,
    from: {
      readonly id: NodeId;
      readonly cluster: bigint;
      readonly wal: Wal;
      readonly entries: readonly Entry[];
      readonly state: HardState;
      readonly snapshot: LoadedSnapshot | undefined;
      readonly isNew: boolean;
    },
  ) {
    this.id = from.id;
    this.clusterId = from.cluster;
    this.wal = from.wal;
    this.isNew = from.isNew;
    this.#options = options;
    this.#deps = deps;
    this.#failpoints = deps.failpoints ?? NO_FAILPOINTS;
    this.#codec = codec;
    this.log = new MemoryStorage();
    this.backend = new MemoryBackend();
    this.consistentIndex = new VolatileIndex();
    const { snapshot } = from;
    if (snapshot !== undefined) {
      const { index, term, confState } = snapshot.meta;
      this.log.applySnapshot({ data: new Uint8Array(0), metadata: { index, term, confState } });
      this.consistentIndex.advance(index, term);
      this.consistentIndex.setConfState(confState);
      restoreBuckets(this.backend, snapshot.head.buckets);
    }
    this.log.append(from.entries);
    this.log.setHardState(from.state);
    this.#snapshotIndex = snapshot?.meta.index ?? 0;
    this.#snapshotBytes = snapshot?.sizeBytes ?? 0;
    this.#loaded = snapshot;
  }

  get confState(): ConfState {
    return this.consistentIndex.confState ?? EMPTY_CONF_STATE;
  }

  /** Puts the keys that were found into the store. The small buckets are in the backend already. */
  restore(store: Store): void {
    const snapshot = this.#loaded;
    if (snapshot === undefined) return;
    this.#loaded = undefined;
    restoreStore(store, snapshot);
  }

  /** A snapshot is due after enough entries, and after as much log as the last one was long: so it costs no more than the log itself. */
  get snapshotIsDue(): boolean {
    if (this.consistentIndex.index - this.#snapshotIndex < this.#options.snapshotCount) return false;
    const least = Math.max(
      Math.min(SNAPSHOT_MIN_BYTES, this.#options.walSegmentBytes ?? Infinity),
      this.#snapshotBytes,
    );
    return this.wal.writtenBytes - this.#walBytesAtSnapshot >= least;
  }

  /**
   * Writes a snapshot of now and lets go of the log that it replaces. `between` runs what touches the log while nothing else does;
   * compaction rests meanwhile.
   */
  async snapshot(
    { store }: State,
    between: (work: (unwritten: HardState | undefined) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const meta = this.#meta();
    this.#walBytesAtSnapshot = this.wal.writtenBytes;
    const previous = this.#snapshotIndex;
    this.#snapshotIndex = meta.index;
    this.#snapshotBytes = await writeSnapshot(
      this.#deps,
      this.#folder,
      meta,
      headOf(store),
      store.backend,
      this.#codec,
    );
    await between(async (unwritten) => {
      this.#failpoints.raftBeforeWALSaveSnaphot?.strike();
      await this.wal.saveSnapshot(meta, meta.confState, unwritten);
      // Back to the snapshot before this one: should this file turn out damaged, that one and the log still tell everything.
      await this.wal.release(previous);
      this.#failpoints.raftAfterWALRelease?.strike();
    });
    await purgeSnapshots(this.#deps.fs, this.#folder);
    this.#deps.log.info("saved snapshot", { "snapshot-index": meta.index, bytes: this.#snapshotBytes });
  }

  /** The state as of now, for a member that asked with `message`. */
  outgoing({ store }: State, message: Message): OutgoingSnapshot {
    const meta = this.#meta();
    const snapshot: Snapshot = { data: new Uint8Array(0), metadata: meta };
    const body = encodeSnapshot(meta, headOf(store), store.backend, this.#codec);
    return {
      message: { ...message, snapshot },
      sizeBytes: body.length,
      body: (async function* () {
        for (let at = 0; at < body.length; at += CHUNK_BYTES) yield body.subarray(at, at + CHUNK_BYTES);
      })(),
      close() {},
    };
  }

  /** Keeps what another member sent until raft says whether it is wanted. */
  async receive(message: Message, body: AsyncIterable<Uint8Array>): Promise<number> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    await this.#deps.fs.writeFile(this.#receivedPath(message.snapshot!), bytes, { mode: 0o600, atomic: true });
    return bytes.length;
  }

  /** Makes a received snapshot the state, once it is on disk. The caller loads the small buckets anew, in the same turn. */
  async install(snapshot: Snapshot, { store, lessor }: State): Promise<void> {
    const { fs } = this.#deps;
    const path = this.#receivedPath(snapshot);
    this.#failpoints.raftBeforeSaveSnap?.strike();
    const loaded = await saveReceived(fs, this.#folder, await fs.readFile(path), this.#codec);
    const { index, term, confState } = loaded.meta;
    assert(index === snapshot.metadata.index, "a snapshot's file is about another entry than its message");
    await this.wal.saveSnapshot(loaded.meta, confState);
    await fs.remove(path);
    this.#failpoints.raftAfterSaveSnap?.strike();
    this.#snapshotIndex = index;
    this.#snapshotBytes = loaded.sizeBytes;
    this.#walBytesAtSnapshot = this.wal.writtenBytes;
    this.#failpoints.applyBeforeOpenSnapshot?.strike();
    const backend = new MemoryBackend();
    this.#failpoints.applyAfterOpenSnapshot?.strike();
    restoreBuckets(backend, loaded.head.buckets);
    store.reset(backend);
    lessor.load(backend.bucket("lease"));
    restoreStore(store, loaded);
    this.consistentIndex.advance(index, term);
    this.consistentIndex.setConfState(confState);
  }

  close(): Promise<void> {
    return this.wal.close();
  }

  get #folder(): string {
    return `${this.#options.dataDir}/member/snap`;
  }

  #receivedPath({ metadata }: Snapshot): string {
    return `${this.#folder}/${metadata.index.toString(16).padStart(16, "0")}.snap.db`;
  }

  #meta() {
    const { index, term } = this.consistentIndex;
    return { index, term, confState: this.confState };
  }
}

/** Less log than this is not worth a snapshot, however many entries it holds. */
const SNAPSHOT_MIN_BYTES = 32 * 1024 * 1024;
const CHUNK_BYTES = 32 * 1024;

function headOf(store: Store): SnapshotHead {
  return {
    version: 2,
    revision: store.revision,
    compactRevision: store.compactRevision,
    buckets: saveBuckets(store.backend),
  };
}

function restoreStore(store: Store, { head, rows }: LoadedSnapshot): void {
  const index = new RestoredIndex();
  for (const { row, sub } of rows) {
    store.backend.put(row, sub);
    index.add(keyText(row.key), restoredRow(row, sub));
  }
  store.restore(index, head.revision, head.compactRevision);
}

/** A cluster of one, from the options alone. */
export function loneMember({ initialAdvertisePeerUrls: peerURLs, initialClusterToken, name }: EtcdOptions): Bootstrap {
  const id = memberId(peerURLs, initialClusterToken);
  const member: MemberInfo = { ID: id, peerURLs: [...peerURLs], name, clientURLs: [], isLearner: false };
  return { id, clusterId: clusterId([id]), members: [member], joins: false };
}
