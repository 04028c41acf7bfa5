/**
 * One etcd member: the log, the state machine behind it, and what runs beside them (watchers, leases, compaction, snapshots). `api/` asks it;
 * `server.ts` gives it a life and a network.
 *
 * Upstream: server/etcdserver/server.go, v3_server.go
 */
import { assert } from "../base/assert.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { etcdCodec } from "../protocols/etcd/connect.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import {
  InternalRaftRequest,
  Metadata,
  RaftpbConfChange,
  type Member as MemberInfo,
  type ResponseHeader,
} from "../protocols/etcd/generated.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import { RpcError } from "../wire/rpc/service.ts";
import type { World } from "../world/world.ts";
import { checkAuth } from "./apply/auth.ts";
import { Authenticator, type Caller } from "./auth/authenticator.ts";
import { SimpleTokens } from "./auth/simple-tokens.ts";
import { AuthStore, type AuthInfo } from "./auth/store.ts";
import type { TokenProvider } from "./auth/tokens.ts";
import { Alarms } from "./apply/alarms.ts";
import { Applier, type Applied } from "./apply/applier.ts";
import { applyChain, type Apply, type Request } from "./apply/chain.ts";
import { VolatileIndex, type ConsistentIndex } from "./apply/consistent-index.ts";
import { MemoryBackend } from "./backend/memory.ts";
import { Lessor } from "./lease/lessor.ts";
import { LogDriver } from "./log-driver.ts";
import { clusterId, memberContext, memberId } from "./cluster/identity.ts";
import { Membership } from "./cluster/membership.ts";
import * as counted from "./metrics.ts";
import { Store } from "./mvcc/store.ts";
import { Watchable } from "./mvcc/watchable.ts";
import type { EtcdOptions } from "./options.ts";
import {
  loadSnapshot,
  purgeSnapshots,
  restoreBuckets,
  saveBuckets,
  writeSnapshot,
  type SnapshotHead,
} from "./snap/snapshot.ts";
import type { Entry } from "../raft/types.ts";
import { Wal, type WalOptions } from "./wal/wal.ts";

export interface MemberDeps extends Pick<World, "clock" | "random" | "fs"> {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Simple tokens where none are given. */
  readonly tokens?: TokenProvider;
}

/** What we are an etcd of: clients decide by it what they may ask for. */
export const ETCD_VERSION = "3.7.1";
const CLUSTER_VERSION = "3.7.0";

/** Less log than this is not worth a snapshot, however many entries it holds. */
const SNAPSHOT_MIN_BYTES = 32 * 1024 * 1024;
/** What a request costs beside its own bytes, as the quota sees it. */
const REQUEST_OVERHEAD_BYTES = 256;

const EMPTY = new Uint8Array(0);

export class Member {
  readonly id: bigint;
  readonly clusterId: bigint;
  readonly codec: Codec;
  readonly options: EtcdOptions;
  readonly lessor: Lessor;
  readonly store: Store;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly authenticator: Authenticator;
  readonly membership: Membership;
  readonly applier: Applier;
  readonly consistentIndex: ConsistentIndex;
  readonly watchable: Watchable;
  readonly metrics: Metrics;
  readonly #deps: MemberDeps;
  readonly #wal: Wal;
  readonly #driver: LogDriver;
  readonly #apply: Apply;
  #requestId: number;

  /** Compactions that still have rows to drop, oldest first. They wait while a snapshot is being written. */
  readonly #compactions: { step(rows: number): boolean }[] = [];
  #compactionIsDue = false;
  #snapshotting: Promise<void> | undefined;
  #snapshotIndex: number;
  #snapshotBytes: number;
  #walBytesAtSnapshot = 0;
  #replaying = true;
  readonly #closing = new AbortController();

  /** Opens the data folder, new or not, and rebuilds the state. `onFailure` is told when the log can't be written any more. */
  static async open(options: EtcdOptions, deps: MemberDeps, onFailure: (error: unknown) => void): Promise<Member> {
    const { fs, log, clock, metrics } = deps;
    const snapFolder = `${options.dataDir}/member/snap`;
    await fs.mkdir(snapFolder, { recursive: true, mode: 0o700 });
    const codec = etcdCodec();
    const walOptions: WalOptions = {
      fs,
      folder: options.walDir || `${options.dataDir}/member/wal`,
      log,
      monotonic: () => clock.monotonic(),
      ...(options.walSegmentBytes !== undefined && { segmentBytes: options.walSegmentBytes }),
      onWrite: (ms, bytes) => {
        metrics.observe(counted.walFsync, {}, ms / 1000);
        metrics.add(counted.walWriteBytes, {}, bytes);
      },
    };
    const peerUrls = options.initialAdvertisePeerUrls;
    if (!(await Wal.exists(fs, walOptions.folder))) {
      const id = memberId(peerUrls, options.initialClusterToken);
      const cluster = clusterId([id]);
      const wal = await Wal.create(walOptions, codec.encode(Metadata, { NodeID: id, ClusterID: cluster }));
      const change = codec.encode(RaftpbConfChange, {
        id: 0n,
        type: "ConfChangeAddNode",
        node_id: id,
        context: memberContext({ ID: id, peerURLs: peerUrls, name: options.name, clientURLs: [], isLearner: false }),
      });
      const first: Entry = { term: 1, index: 1, type: 1, data: change };
      await wal.append([first], { term: 1, vote: 0n, commit: 1 });
      log.info("starting a new cluster", { "member-id": id.toString(16), "cluster-id": cluster.toString(16) });
      const member = new Member(options, deps, codec, wal, { id, cluster, term: 1, index: 0, bytes: 0 }, onFailure);
      await member.#begin([first], 1);
      return member;
    }

    const marks = await Wal.snapshots(walOptions);
    const snapshot = await loadSnapshot(fs, snapFolder, marks, codec, (path, error) =>
      log.error("a snapshot file is damaged and set aside", error, { path }),
    );
    const after = snapshot?.meta.index ?? 0;
    const { wal, content } = await Wal.open(walOptions, after);
    const { NodeID = 0n, ClusterID = 0n } = codec.decode(Metadata, content.metadata!);
    const from = { id: NodeID, cluster: ClusterID, term: 0, index: after, bytes: snapshot?.sizeBytes ?? 0 };
    from.term = content.state?.term ?? snapshot?.meta.term ?? 1;
    if (snapshot === undefined && content.entries.length > 0 && content.entries[0]!.index !== 1)
      throw new Error(`etcd: the log begins at entry ${content.entries[0]!.index} and no snapshot leads up to it`);
    const member = new Member(options, deps, codec, wal, from, onFailure);
    if (snapshot !== undefined) {
      const { head } = snapshot;
      for (const { id, ttl } of head.leases) member.lessor.grant(BigInt(id), ttl);
      for (const { row, sub } of snapshot.rows) member.store.restoreRow(row, sub);
      member.store.restoreRevisions(head.revision, head.compactRevision);
      restoreBuckets(member.store.backend, head.buckets);
      member.alarms.load();
      member.auth.load();
      member.membership.load(member.store.backend);
    }
    await member.#begin(content.entries, from.term);
    return member;
  }

  private constructor(
    options: EtcdOptions,
    deps: MemberDeps,
    codec: Codec,
    wal: Wal,
    from: {
      readonly id: bigint;
      readonly cluster: bigint;
      readonly term: number;
      readonly index: number;
      readonly bytes: number;
    },
    onFailure: (error: unknown) => void,
  ) {
    const { clock } = deps;
    this.options = options;
    this.codec = codec;
    this.metrics = deps.metrics;
    this.id = from.id;
    this.clusterId = from.cluster;
    this.#deps = deps;
    this.#wal = wal;
    this.#snapshotIndex = from.index;
    this.#snapshotBytes = from.bytes;
    this.#requestId = clock.now() * 256;
    this.lessor = new Lessor(clock, Math.ceil((1.5 * options.electionTimeoutMs) / 1000));
    const backend = new MemoryBackend();
    this.store = new Store(backend, this.lessor);
    this.alarms = new Alarms(backend.bucket("alarm"), codec);
    this.auth = new AuthStore({
      ...deps,
      bucket: (name) => backend.bucket(name),
      codec,
      tokens: deps.tokens ?? new SimpleTokens(options.authTokenTtlSeconds, deps),
      bcryptCost: options.bcryptCost,
    });
    this.authenticator = new Authenticator({
      ...deps,
      auth: this.auth,
      applied: () => this.appliedIndex,
      clientCertAuth: options.clientCertAuth,
    });
    this.membership = new Membership(
      { clusterId: from.cluster, localId: from.id, maxLearners: 1, log: deps.log, metrics: deps.metrics },
      backend,
    );
    this.consistentIndex = new VolatileIndex();
    this.watchable = new Watchable({
      store: this.store,
      clock,
      header: (revision) => this.header(revision),
      progressIntervalMs: options.watchProgressNotifyIntervalMs,
      fragmentBytes: options.maxRequestBytes + 512 * 1024,
    });
    this.applier = new Applier({
      store: this.store,
      lessor: this.lessor,
      alarms: this.alarms,
      header: () => this.header(),
      onChanges: (changes) => this.watchable.notify(changes),
      onCompaction: (work) => {
        this.#compactions.push(work);
        this.#scheduleCompaction();
      },
    });
    this.#apply = applyChain({
      alarms: this.alarms,
      membership: this.membership,
      applier: this.applier,
      auth: checkAuth({
        auth: this.auth,
        lessor: this.lessor,
        header: () => this.header(),
        index: () => this.consistentIndex.index,
      }),
    });
    // A new term for every start: this member has elected itself.
    this.#driver = new LogDriver(clock, wal, { memberId: from.id, term: from.term + 1, index: from.index }, onFailure);
  }

  /** Applies what the log holds, then starts a term of its own. */
  async #begin(entries: readonly Entry[], term: number): Promise<void> {
    for (const entry of entries) {
      try {
        this.#applyEntry(entry);
      } catch (error) {
        // A request's failure was its answer, then as now.
        if (!(error instanceof RpcError)) throw new Error(`applying entry ${entry.index}`, { cause: error });
      }
      while (this.#compactions.length > 0) if (this.#compactions[0]!.step(Infinity)) this.#compactions.shift();
    }
    this.#replaying = false;
    this.#driver.restore(entries.at(-1)?.index ?? this.#snapshotIndex);
    assert(this.#driver.term === term + 1, "the term of a new start follows the last one");
    await this.#driver.propose(new Uint8Array(0), () => undefined);
    const own = this.membership.member(this.id);
    const { advertiseClientUrls: clientURLs, name } = this.options;
    if (own !== undefined && (own.name !== name || own.clientURLs.join() !== clientURLs.join()))
      await this.propose({
        cluster_member_attr_set: { member_ID: this.id, member_attributes: { name, client_urls: clientURLs } },
      });
    if (this.clusterVersion !== CLUSTER_VERSION) await this.propose({ cluster_version_set: { ver: CLUSTER_VERSION } });
    this.lessor.promote(this.options.electionTimeoutMs, (id) => {
      this.propose({ lease_revoke: { ID: id } }, this.auth.asRoot).catch((error: unknown) => {
        if (!this.#closing.signal.aborted)
          this.#deps.log.error("failed to revoke an expired lease", error, { lease: id.toString(16) });
      });
    });
  }

  /** Ends open streams; requests go on until `close`. */
  stopStreams(): void {
    this.#closing.abort(etcdError("stopped"));
  }

  async close(): Promise<void> {
    this.stopStreams();
    this.lessor.demote();
    await this.#driver.stop();
    await this.#snapshotting;
    await this.#wal.close();
  }

  get term(): number {
    return this.#driver.term;
  }
  get appliedIndex(): number {
    return this.#driver.applied;
  }
  get members(): readonly MemberInfo[] {
    return this.membership.members;
  }
  get clusterVersion(): string {
    return this.membership.version ?? "";
  }
  get pendingProposals(): number {
    return this.#driver.pending;
  }
  /** As a file of pages would take. */
  get sizeBytes(): number {
    return this.store.backend.sizeBytes + 20 * 1024;
  }
  /** Aborts when the member stops, with the answer that open streams get. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  header(revision = this.store.revision): ResponseHeader {
    return { cluster_id: this.clusterId, member_id: this.id, revision, raft_term: this.#driver.term };
  }

  /** Resolves with the answer once the request is durable and applied. `auth` says who asks, where anyone need say so. */
  propose(request: Request, auth?: AuthInfo): Promise<Applied> {
    // Encoded and applied here with the same header, so that the answer is the same wherever it is applied.
    const whole: Request = {
      header:
        auth === undefined
          ? { ID: BigInt(this.#requestId++) }
          : { ID: BigInt(this.#requestId++), username: auth.username, auth_revision: auth.revision },
      ...request,
    };
    const data = this.codec.encodeTransient(InternalRaftRequest, whole);
    if (data.length > this.options.maxRequestBytes) return Promise.reject(etcdError("requestTooLarge"));
    return this.#driver.propose(data, () => this.#applyRequest(whole));
  }

  /** As `propose`, in the name of who calls. */
  proposeFor(caller: Caller, request: Request): Promise<Applied> {
    if (!this.auth.enabled) return this.propose(request);
    return this.authenticator.infoOf(caller).then((info) => this.propose(request, info));
  }

  /** Refuses what needs room where there is none, and raises the alarm. */
  checkQuota(bytes: number): void {
    const { quotaBackendBytes } = this.options;
    if (quotaBackendBytes < 0 || this.sizeBytes + bytes + REQUEST_OVERHEAD_BYTES <= quotaBackendBytes) return;
    if (!this.alarms.has("NOSPACE")) {
      this.#deps.log.info("exceeded database quota", {
        "db-size": this.sizeBytes,
        "quota-size-bytes": quotaBackendBytes,
      });
      void this.propose({ alarm: { action: "ACTIVATE", memberID: this.id, alarm: "NOSPACE" } }).catch(() => {}); // The next request tries again.
    }
    throw etcdError("noSpace");
  }

  #applyEntry(entry: Entry): void {
    if (entry.index <= this.consistentIndex.index) return;
    this.consistentIndex.advance(entry.index, entry.term);
    if (entry.type === 0) {
      if (entry.data.length > 0) this.#applyRequest(this.codec.decode(InternalRaftRequest, entry.data));
      return;
    }
    assert(entry.type === 1, "the log has a change of members in a form that isn't written here");
    const {
      type = "ConfChangeAddNode",
      node_id: nodeId = 0n,
      context = EMPTY,
    } = this.codec.decode(RaftpbConfChange, entry.data);
    this.membership.apply({ transition: "ConfChangeTransitionAuto", changes: [{ type, nodeId }], context });
  }

  #applyRequest(request: Request): Applied {
    try {
      return this.#apply(request);
    } finally {
      if (!this.#replaying) this.#maySnapshot();
    }
  }

  #scheduleCompaction(): void {
    if (this.#replaying || this.#compactionIsDue || this.#closing.signal.aborted || this.#compactions.length === 0)
      return;
    if (this.#snapshotting !== undefined) return; // It asks again when it is done.
    this.#compactionIsDue = true;
    this.#deps.clock.soon(() => {
      this.#compactionIsDue = false;
      if (this.#snapshotting !== undefined) return;
      if (this.#compactions[0]?.step(this.options.compactionBatchLimit)) {
        this.#compactions.shift();
        this.#deps.log.v(2).info("finished scheduled compaction", { "compact-revision": this.store.compactRevision });
      }
      this.#scheduleCompaction();
    });
  }

  /** A snapshot is due after enough entries, and after as much log as the last one was long: so it costs no more than the log itself. */
  #maySnapshot(): void {
    if (this.#snapshotting !== undefined || this.#closing.signal.aborted || this.#compactions.length > 0) return;
    if (this.#driver.applied - this.#snapshotIndex < this.options.snapshotCount) return;
    const least = Math.max(Math.min(SNAPSHOT_MIN_BYTES, this.options.walSegmentBytes ?? Infinity), this.#snapshotBytes);
    if (this.#wal.writtenBytes - this.#walBytesAtSnapshot < least) return;
    this.#snapshotting = this.snapshot()
      .catch((error: unknown) => this.#deps.log.error("failed to write a snapshot", error))
      .finally(() => {
        this.#snapshotting = undefined;
        this.#scheduleCompaction();
      });
  }

  /** Writes a snapshot of now and lets go of the log that it replaces. */
  async snapshot(): Promise<void> {
    const { log } = this.#deps;
    const meta = { index: this.#driver.applied, term: this.term, voters: [this.id] };
    this.#walBytesAtSnapshot = this.#wal.writtenBytes;
    const previous = this.#snapshotIndex;
    this.#snapshotIndex = meta.index;
    const head: SnapshotHead = {
      version: 1,
      revision: this.store.revision,
      compactRevision: this.store.compactRevision,
      leases: [...this.lessor.all].map(({ id, ttl }) => ({ id: id.toString(), ttl })),
      buckets: saveBuckets(this.store.backend),
    };
    const folder = `${this.options.dataDir}/member/snap`;
    this.#snapshotBytes = await writeSnapshot(this.#deps, folder, meta, head, this.store.backend, this.codec);
    await this.#driver.between(async () => {
      await this.#wal.saveSnapshot(meta, meta.voters);
      // Back to the snapshot before this one: should this file turn out damaged, that one and the log still tell everything.
      await this.#wal.release(previous);
    });
    await purgeSnapshots(this.#deps.fs, folder);
    log.info("saved snapshot", { "snapshot-index": meta.index, bytes: this.#snapshotBytes });
  }
}
