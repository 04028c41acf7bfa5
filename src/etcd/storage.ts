/**
 * A member's data folder: the log (WAL), and the state that the log led to up to some entry (the db file). After it is opened, it takes snapshots of
 * the state, sends them to members that are too far behind, and installs those of others. All that it knows of raft is the log.
 * Upstream: server/etcdserver/bootstrap.go, server/storage/storage.go, server/storage/backend.go
 */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Metadata, type Member as MemberInfo } from "../protocols/etcd/generated.ts";
import { MemoryStorage } from "../raft/memory-storage.ts";
import { EMPTY_CONF_STATE } from "../raft/storage.ts";
import type { ConfState, Entry, HardState, Message, NodeId, Snapshot } from "../raft/types.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import type { World } from "../world/world.ts";
import { readIndex, StoredIndex } from "./apply/consistent-index.ts";
import type { Backend } from "./backend/backend.ts";
import type { BoltBackendDeps, BoltBackendOptions } from "./backend/bolt-backend.ts";
import { entriesForOne } from "./cluster/force-new.ts";
import { clusterId, hexId, memberId, parseHexId, parseMemberContext } from "./cluster/identity.ts";
import { dumpV2Store } from "./cluster/v2-form.ts";
import { firstEntries } from "./first-entries.ts";
import type { Lessor } from "./lease/lessor.ts";
import { NO_FAILPOINTS, type Failpoints } from "./failpoints.ts";
import * as counted from "./metrics.ts";
import { openBackend, type OpenedBackend } from "./mvcc/restore.ts";
import type { Store } from "./mvcc/store.ts";
import type { EtcdOptions } from "./options.ts";
import type { OutgoingSnapshot } from "./peer/transport.ts";
import { draftName, purgeSnapFiles, receivedDbName, removeDrafts, writeSnapFile } from "./snap/snap-file.ts";
import { Wal, type WalOptions } from "./wal/wal.ts";

export type StorageDeps = Pick<World, "clock" | "fs"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly failpoints?: Failpoints;
  /** Told when the db file can't be written any more. */
  readonly onFailure: (error: unknown) => void;
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

/** What a received snapshot replaces. */
export interface State {
  readonly store: Store;
  readonly lessor: Lessor;
}

const CHUNK_BYTES = 32 * 1024;
const STORAGE_VERSION = "storageVersion";

export class Storage {
  readonly id: NodeId;
  readonly clusterId: bigint;
  readonly wal: Wal;
  /** Raft's view of the log: what the WAL holds, and who belonged at its beginning. */
  readonly log: MemoryStorage;
  /** Raft hands out the entries behind `consistentIndex.index`. */
  readonly consistentIndex: StoredIndex;
  /** There was nothing here before. */
  readonly isNew: boolean;
  readonly #options: EtcdOptions;
  readonly #deps: StorageDeps;
  readonly #codec: Codec;
  readonly #failpoints: Failpoints;
  #opened: OpenedBackend;
  #snapshotIndex: number;
  #received = 0;

  static async open(
    options: EtcdOptions,
    deps: StorageDeps,
    codec: Codec,
    bootstrap: Bootstrap = loneMember(options),
  ): Promise<Storage> {
    const { fs, log, clock, metrics } = deps;
    const folder = snapFolder(options);
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    await removeDrafts(fs, folder);
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
      const opened = await openDb(options, deps);
      const found = readIndex(opened.backend).index;
      if (found > 0) {
        await opened.backend.abandon();
        throw new Error(`etcd: the db file goes up to entry ${found}, and there is no log in ${walOptions.folder}`);
      }
      const { id, clusterId: cluster } = bootstrap;
      const wal = await Wal.create(walOptions, codec.encode(Metadata, { NodeID: id, ClusterID: cluster }));
      const entries = bootstrap.joins ? [] : firstEntries(bootstrap.members, codec);
      const state: HardState = { term: entries.length > 0 ? 1 : 0, vote: 0n, commit: entries.length };
      if (entries.length > 0) await wal.append(entries, state);
      log.info(bootstrap.joins ? "joining a running cluster" : "starting a new cluster", {
        "member-id": hexId(id),
        "cluster-id": hexId(cluster),
      });
      const mark = { index: 0, term: 0 };
      return new Storage(options, deps, codec, { id, cluster, wal, entries, state, opened, mark, isNew: true });
    }
    const { wal, content, mark } = await Wal.openBehind(walOptions, await Wal.snapshots(walOptions));
    const opened = await openDbAt(options, deps, mark.index);
    const { NodeID = 0n, ClusterID = 0n } = codec.decode(Metadata, content.metadata!);
    const { entries, state = { term: mark.term, vote: 0n, commit: 0 } } = content;
    const { index } = readIndex(opened.backend);
    const last = entries.at(-1)?.index ?? mark.index;
    if (index > last)
      throw new Error(
        `etcd: the db file goes up to entry ${index}, and the log in ${walOptions.folder} ends at ${last}`,
      );
    // What is in the state was committed, whether or not the log had come to say so.
    const commit = Math.max(state.commit, mark.index, index);
    const from = { id: NodeID, cluster: ClusterID, wal, opened, mark, isNew: false };
    if (!options.forceNewCluster)
      return new Storage(options, deps, codec, { ...from, entries, state: { ...state, commit } });
    const committed = entries.filter((entry) => entry.index <= commit);
    const { confState = confStateOf(opened.backend) } = readIndex(opened.backend);
    const added = entriesForOne({
      id: NodeID,
      confState,
      applied: index,
      term: state.term,
      commit,
      entries: committed,
    });
    const alone = { ...state, commit: commit + added.length };
    if (added.length > 0) await wal.append(added, alone);
    log.info("forcing restart member", {
      "cluster-id": hexId(ClusterID),
      "local-member-id": hexId(NodeID),
      "wal-commit-index": state.commit,
      "commit-index": alone.commit,
    });
    return new Storage(options, deps, codec, { ...from, entries: [...committed, ...added], state: alone });
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
      readonly opened: OpenedBackend;
      readonly mark: { readonly index: number; readonly term: number };
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
    this.#opened = from.opened;
    this.consistentIndex = new StoredIndex(this.backend);
    this.#follow();
    this.log = new MemoryStorage();
    const { index, term } = from.mark;
    if (index > 0 || this.consistentIndex.index > 0)
      this.log.applySnapshot({ data: new Uint8Array(0), metadata: { index, term, confState: this.confState } });
    this.log.append(from.entries);
    this.log.setHardState(from.state);
    this.#snapshotIndex = index;
  }

  /** Until all that was applied by now is in the log, where it isn't. */
  isLogged: (() => Promise<void> | undefined) | undefined;

  #follow(): void {
    const { consistentIndex, backend } = this;
    consistentIndex.follow(backend);
    backend.beforeCommit = () => {
      this.#saveVersion();
      consistentIndex.save();
    };
    backend.isLogged = () => this.isLogged?.();
    this.takeTurns();
  }

  /** The members' batches end one after the other, in the order of their ids. */
  takeTurns(): void {
    const ids = membersOf(this.backend)
      .members.map(({ ID }) => ID)
      .sort((a, b) => (a < b ? -1 : 1));
    const position = ids.indexOf(this.id);
    this.backend.turn = ids.length > 1 && position !== -1 ? position / ids.length : undefined;
  }

  /** From 3.6 on, a file says what it is; the cluster's version decides what members may write. */
  #saveVersion(): void {
    const meta = this.backend.bucket("meta");
    const version = versionOf(this.backend);
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const wanted = major > 3 || (major === 3 && minor >= 6) ? version : "";
    if (wanted === this.storageVersion) return;
    if (wanted === "") meta.delete(STORAGE_VERSION);
    else meta.put(STORAGE_VERSION, Buffer.from(wanted));
  }

  get storageVersion(): string {
    const version = this.backend.bucket("meta").get(STORAGE_VERSION);
    return version === undefined ? "" : Buffer.from(version).toString();
  }

  get dbPath(): string {
    return dbPath(this.#options);
  }

  /** Where the state lives: another one once a snapshot was installed. */
  get backend(): OpenedBackend["backend"] {
    return this.#opened.backend;
  }

  get confState(): ConfState {
    return this.consistentIndex.confState ?? confStateOf(this.backend);
  }

  /** A compaction that was asked for and has not ended. */
  get scheduledCompaction(): number | undefined {
    return this.#opened.revisions.scheduledCompaction;
  }

  /** Hands the keys that were found to the store. */
  restore(store: Store): void {
    const { index, revisions } = this.#opened;
    store.restore(index, revisions.revision, revisions.compactRevision);
  }

  get snapshotIsDue(): boolean {
    return this.consistentIndex.index - this.#snapshotIndex >= this.#options.snapshotCount;
  }

  /** Makes the db file as new as the log, and lets go of the log before. `between` runs what touches the log while nothing else does. */
  async snapshot(between: (work: (unwritten: HardState | undefined) => Promise<void>) => Promise<void>): Promise<void> {
    const { index, term } = this.consistentIndex;
    const meta = { index, term, confState: this.confState };
    const previous = this.#snapshotIndex;
    this.#snapshotIndex = index;
    const { fs, log } = this.#deps;
    const data = dumpV2Store(membersOf(this.backend));
    await this.backend.commit();
    const begun = this.#deps.clock.monotonic();
    await writeSnapFile(fs, this.#folder, meta, data, this.#codec);
    this.#deps.metrics.observe(counted.snapFsync, {}, (this.#deps.clock.monotonic() - begun) / 1000);
    await between(async (unwritten) => {
      // Another member's snapshot has overtaken this one: the log begins behind that now.
      if (this.#snapshotIndex !== index) return;
      this.#failpoints.raftBeforeWALSaveSnaphot?.strike();
      await this.wal.saveSnapshot(meta, meta.confState, unwritten);
      // Back to the snapshot before this one: members that are a little behind get what they miss from the log.
      await this.wal.release(previous);
      this.#failpoints.raftAfterWALRelease?.strike();
    });
    await purgeSnapFiles(fs, this.#folder, index);
    log.info("saved snapshot", { "snapshot-index": index });
  }

  /** The state as of now, for a member that asked with `message`. */
  async outgoing(message: Message): Promise<OutgoingSnapshot> {
    const snapshot = await this.backend.snapshot();
    const begun = this.#deps.clock.monotonic();
    const { index, term, confState } = readIndex(snapshot);
    const metadata = { index, term, confState: confState ?? confStateOf(snapshot) };
    const data = dumpV2Store(membersOf(snapshot));
    return {
      message: { ...message, snapshot: { data, metadata } },
      sizeBytes: snapshot.sizeBytes,
      body: snapshot.read(CHUNK_BYTES),
      close: () => {
        snapshot[Symbol.dispose]();
        const { clock, metrics } = this.#deps;
        metrics.observe(counted.backendSnapshot, {}, (clock.monotonic() - begun) / 1000);
      },
    };
  }

  /** Keeps what another member sent until raft says whether it is wanted. */
  async receive(message: Message, body: AsyncIterable<Uint8Array>): Promise<number> {
    const { fs } = this.#deps;
    // Of its own for each: two may come at once for the same index, from an old leader and a new one.
    const draft = `${this.#folder}/${draftName(++this.#received)}`;
    const { clock, metrics } = this.#deps;
    const begun = clock.monotonic();
    try {
      const size = await this.#write(draft, body);
      await fs.rename(draft, this.#receivedPath(message.snapshot!));
      await fs.syncDir(this.#folder);
      metrics.observe(counted.snapDbSave, {}, (clock.monotonic() - begun) / 1000);
      return size;
    } catch (error) {
      // The sender tries again and again: on a full disk this is what makes room.
      await fs.remove(draft).catch(() => {});
      throw error;
    }
  }

  async #write(path: string, body: AsyncIterable<Uint8Array>): Promise<number> {
    const { clock, fs, metrics } = this.#deps;
    await using file = await fs.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    let size = 0;
    for await (const chunk of body) {
      await file.write(size, [chunk]);
      size += chunk.length;
    }
    const written = clock.monotonic();
    await file.sync();
    metrics.observe(counted.snapDbFsync, {}, (clock.monotonic() - written) / 1000);
    return size;
  }

  /** Makes a received snapshot the state, once it is on disk, with raft's as of then. The caller loads the small buckets anew, in the same turn. */
  async install(snapshot: Snapshot, state: HardState, { store, lessor }: State): Promise<void> {
    const { fs, log } = this.#deps;
    const { metadata, data } = snapshot;
    const path = this.#receivedPath(snapshot);
    this.#failpoints.applyBeforeOpenSnapshot?.strike();
    const opened = await openDb(this.#options, this.#deps, path);
    this.#failpoints.applyAfterOpenSnapshot?.strike();
    log.info("applySnapshot: opened snapshot backend", { "snapshot-index": metadata.index });
    const { index } = readIndex(opened.backend);
    if (index < metadata.index)
      throw new Error(`etcd: a received db file goes up to entry ${index}, and should go up to ${metadata.index}`);
    // From the mark on, a restart begins with this file, wherever it is by then.
    this.#failpoints.raftBeforeSaveSnap?.strike();
    await writeSnapFile(fs, this.#folder, metadata, data, this.#codec);
    await this.wal.saveSnapshot(metadata, metadata.confState, state);
    this.#failpoints.raftAfterSaveSnap?.strike();
    await fs.rename(path, dbPath(this.#options));
    await fs.syncDir(this.#folder);
    await purgeSnapFiles(fs, this.#folder, metadata.index);
    const before = this.#opened.backend;
    this.#opened = opened;
    this.#snapshotIndex = metadata.index;
    store.reset(opened.backend);
    lessor.load(opened.backend.bucket("lease"));
    this.restore(store);
    this.#follow();
    if (this.consistentIndex.confState === undefined) this.consistentIndex.setConfState(metadata.confState);
    void before.abandon();
  }

  async close(): Promise<void> {
    await this.wal.close();
    await this.backend.close();
  }

  get #folder(): string {
    return snapFolder(this.#options);
  }

  #receivedPath({ metadata }: Snapshot): string {
    return `${this.#folder}/${receivedDbName(metadata.index)}`;
  }
}

function snapFolder({ dataDir }: EtcdOptions): string {
  return `${dataDir}/member/snap`;
}
function dbPath(options: EtcdOptions): string {
  return `${snapFolder(options)}/db`;
}

function openDb(options: EtcdOptions, deps: StorageDeps, path = dbPath(options)): Promise<OpenedBackend> {
  const backend: BoltBackendOptions = {
    batchIntervalMs: options.backendBatchIntervalMs,
    batchLimit: options.backendBatchLimit,
    cacheBytes: options.backendCacheBytes,
  };
  const backendDeps: BoltBackendDeps = {
    ...deps,
    failpoints: deps.failpoints ?? NO_FAILPOINTS,
    onCommit: (ms) => deps.metrics.observe(counted.backendCommit, {}, ms / 1000),
  };
  return openBackend(path, backend, backendDeps);
}

/** Opens the db file that has the entry at `index` in it: one that was received may not have come to its place. */
async function openDbAt(options: EtcdOptions, deps: StorageDeps, index: number): Promise<OpenedBackend> {
  const opened = await openDb(options, deps);
  if (readIndex(opened.backend).index >= index) return opened;
  await opened.backend.abandon();
  const { fs, log } = deps;
  const received = `${snapFolder(options)}/${receivedDbName(index)}`;
  if ((await fs.stat(received)) === undefined)
    throw new Error("failed to find database snapshot file (snap: snapshot file doesn't exist)");
  log.info("Recovering from snapshot backend", { path: received });
  await fs.rename(received, dbPath(options));
  await fs.syncDir(snapFolder(options));
  return openDb(options, deps);
}

/** Raft's members, where the file of an old etcd doesn't tell them by that name. */
function confStateOf(backend: Pick<Backend, "bucket">): ConfState {
  const { members } = membersOf(backend);
  return {
    ...EMPTY_CONF_STATE,
    voters: members.filter(({ isLearner }) => !isLearner).map(({ ID }) => ID),
    learners: members.filter(({ isLearner }) => isLearner).map(({ ID }) => ID),
  };
}

function membersOf(backend: Pick<Backend, "bucket">) {
  const members: MemberInfo[] = [];
  const removedIds = new Set<bigint>();
  backend.bucket("members").forEach((key, value) => {
    members.push({ ...parseMemberContext(value), ID: parseHexId(key) ?? 0n });
  });
  backend.bucket("members_removed").forEach((key) => void removedIds.add(parseHexId(key) ?? 0n));
  return { members, removedIds, version: versionOf(backend) || undefined };
}

/** Empty before the first leader has set it. */
function versionOf(backend: Pick<Backend, "bucket">): string {
  const version = backend.bucket("cluster").get("clusterVersion");
  return version === undefined ? "" : Buffer.from(version).toString();
}

/** A cluster of one, from the options alone. */
export function loneMember({ initialAdvertisePeerUrls: peerURLs, initialClusterToken, name }: EtcdOptions): Bootstrap {
  const id = memberId(peerURLs, initialClusterToken);
  const member: MemberInfo = { ID: id, peerURLs: [...peerURLs], name, clientURLs: [], isLearner: false };
  return { id, clusterId: clusterId([id]), members: [member], joins: false };
}
