/**
 * One etcd member: raft and its log, the state machine behind it, and what runs beside them (watchers, leases, compaction, snapshots). `api/` calls
 * it; `server.ts` starts it and gives it a network.
 * Upstream: server/etcdserver/server.go, v3_server.go
 */
import { assert } from "../base/assert.ts";
import { deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { etcdCodec } from "../protocols/etcd/connect.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import { InternalRaftRequest, type Member as MemberInfo, type ResponseHeader } from "../protocols/etcd/generated.ts";
import type { Raft } from "../raft/raft.ts";
import type { Status as RaftStatus } from "../raft/raw-node.ts";
import { NONE, type ConfChange, type ConfState, type Message, type NodeId } from "../raft/types.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import { pause } from "../world/time.ts";
import type { World } from "../world/world.ts";
import { AppendCounts } from "./append-counts.ts";
import { Alarms } from "./apply/alarms.ts";
import { Applier, type Applied } from "./apply/applier.ts";
import { checkAuth } from "./apply/auth.ts";
import { applyChain, type Request } from "./apply/chain.ts";
import type { ConsistentIndex } from "./apply/consistent-index.ts";
import { ApplyTimes } from "./apply/measured.ts";
import { Authenticator, type Caller } from "./auth/authenticator.ts";
import { SimpleTokens } from "./auth/simple-tokens.ts";
import { AuthStore, type AuthInfo } from "./auth/store.ts";
import type { TokenProvider } from "./auth/tokens.ts";
import { hexId } from "./cluster/identity.ts";
import { Membership } from "./cluster/membership.ts";
import { publish } from "./cluster/publish.ts";
import { Reconfigure } from "./cluster/reconfigure.ts";
import { LIKE_US, type Remotes } from "./cluster/remote.ts";
import { toV2Request } from "./cluster/v2-form.ts";
import { VersionMonitor } from "./cluster/version-monitor.ts";
import { LeaseKeeper, type LeaseForwarder } from "./lease/keeper.ts";
import { Lessor } from "./lease/lessor.ts";
import { Committed } from "./committed.ts";
import { Compactions } from "./compactions.ts";
import { LeaderTransfer } from "./leader-transfer.ts";
import { Maintenance } from "./maintenance.ts";
import { NO_FAILPOINTS, type Failpoints } from "./failpoints.ts";
import { Leadership } from "./leadership.ts";
import { LinearizableReads } from "./linearizable.ts";
import * as counted from "./metrics.ts";
import { Store } from "./mvcc/store.ts";
import { Watchable } from "./mvcc/watchable.ts";
import type { EtcdOptions } from "./options.ts";
import { MessageError } from "./peer/field-reader.ts";
import { flawOf } from "./peer/flaw.ts";
import type { OutgoingSnapshot, PeerCallbacks, PeerTransport, PeerTransportOptions } from "./peer/transport.ts";
import { RaftDriver } from "./raft-driver.ts";
import { Storage, type Bootstrap } from "./storage.ts";

/** The part of a transport's options that the member knows itself. */
export type MemberTransportOptions = Pick<PeerTransportOptions, "id" | "clusterId" | "callbacks" | "snapshots">;

export interface MemberDeps extends Pick<World, "clock" | "random" | "fs"> {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Simple tokens where none are given. */
  readonly tokens?: TokenProvider;
  /** What a member without data starts from; a cluster of one, by the options, where it isn't given. */
  readonly bootstrap?: Bootstrap;
  /** The way to other members. Without it there are none. */
  readonly transport?: (options: MemberTransportOptions) => PeerTransport;
  /** How a follower asks the leader about leases. */
  readonly leases?: LeaseForwarder;
  readonly failpoints?: Failpoints;
  /** What is asked of other members beside raft. Without it they are taken to be of our version. */
  readonly remotes?: Remotes;
}

export { ETCD_VERSION } from "./version.ts";

/** What a request costs beside its own bytes, as the quota sees it. */
const REQUEST_OVERHEAD_BYTES = 256;
/** How long what is committed may take to be applied, for those who only want to look. */
const APPLY_TIMEOUT_MS = 1000;
/** Until others have been seen, a starting member looks for them this often, for so long. */
const LOOK_FOR_PEERS_MS = 50;
const LOOK_FOR_PEERS_TIMES = 100;

export class Member {
  readonly id: NodeId;
  readonly clusterId: bigint;
  readonly codec: Codec;
  readonly options: EtcdOptions;
  readonly lessor: Lessor;
  readonly leases: LeaseKeeper;
  readonly store: Store;
  readonly appendCounts = new AppendCounts();
  readonly compactions: Compactions;
  readonly maintenance: Maintenance;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly authenticator: Authenticator;
  readonly membership: Membership;
  readonly applier: Applier;
  readonly watchable: Watchable;
  readonly metrics: Metrics;
  readonly leadership: Leadership;
  readonly transport: PeerTransport | undefined;
  readonly reconfigure: Reconfigure;
  readonly #versions: VersionMonitor;
  readonly #remotes: Remotes;
  readonly #deps: MemberDeps;
  readonly failpoints: Failpoints;
  readonly #storage: Storage;
  readonly #driver: RaftDriver;
  readonly #reads: LinearizableReads;
  readonly #transfer: LeaderTransfer;
  readonly #committed: Committed;
  readonly #requestPrefix: bigint;
  #requestNumber: number;
  readonly applyTimes: ApplyTimes;
  readonly #closing = new AbortController();
  readonly #removed = deferred<void>();

  /**
   * Opens the data folder, new or not, rebuilds the state and takes part in the cluster. A lone member answers requests when this resolves;
   * with others it may take until a leader is elected (`published`). `onFailure` is told when the log or the db file can't be written any more:
   * the member has fallen silent then, and is of no use but to be closed.
   */
  static async open(options: EtcdOptions, deps: MemberDeps, onFailure: (error: unknown) => void): Promise<Member> {
    const codec = etcdCodec();
    let member: Member | undefined;
    const failed = (error: unknown) => (member === undefined ? onFailure(error) : member.#driver.fail(error));
    const storage = await Storage.open(options, { ...deps, onFailure: failed }, codec, deps.bootstrap);
    member = new Member(options, deps, codec, storage, onFailure);
    await member.#begin();
    return member;
  }

  private constructor(
    options: EtcdOptions,
    deps: MemberDeps,
    codec: Codec,
    storage: Storage,
    onFailure: (error: unknown) => void,
  ) {
    const { clock, log, metrics } = deps;
    const { backend, clusterId, consistentIndex, id } = storage;
    this.options = options;
    this.codec = codec;
    this.metrics = metrics;
    this.id = id;
    this.clusterId = clusterId;
    this.#deps = deps;
    this.#storage = storage;
    this.#requestPrefix = (id & 0xffffn) << 48n;
    this.#requestNumber = (clock.now() % 2 ** 40) * 256;
    this.leadership = new Leadership(clock, id);
    const failpoints = deps.failpoints ?? NO_FAILPOINTS;
    this.failpoints = failpoints;
    this.lessor = new Lessor({
      failpoints,
      clock,
      codec,
      bucket: backend.bucket("lease"),
      minimumTtl: Math.ceil((1.5 * options.electionTimeoutMs) / 1000),
      ...(options.leaseCheckpointIntervalMs !== undefined && {
        checkpointIntervalMs: options.leaseCheckpointIntervalMs,
      }),
    });
    this.store = new Store(backend, this.lessor, failpoints);
    storage.restore(this.store);
    this.compactions = new Compactions({
      ...deps,
      store: this.store,
      pace: options,
      // Others may ask, whatever is on here. A lone member spares itself reading all of its keys.
      areHashed: () => options.features.CompactHashCheck || this.membership.members.length > 1,
    });
    this.compactions.resume(storage.scheduledCompaction);
    this.alarms = new Alarms(backend.bucket("alarm"), codec);
    this.auth = new AuthStore({
      ...deps,
      bucket: (name) => this.store.backend.bucket(name),
      codec,
      tokens: deps.tokens ?? new SimpleTokens(options.authTokenTtlSeconds, deps),
      bcryptCost: options.bcryptCost,
    });
    this.authenticator = new Authenticator({
      ...deps,
      auth: this.auth,
      applied: (index) => this.#driver.applied.reached(index),
      clientCertAuth: options.clientCertAuth,
    });
    this.membership = new Membership(
      { clusterId, localId: id, maxLearners: options.maxLearners, log, metrics },
      backend,
      deps.bootstrap?.members,
    );
    this.watchable = new Watchable({
      verify: options.verify,
      failpoints,
      store: this.store,
      clock,
      header: (revision) => this.header(revision),
      progressIntervalMs: options.watchProgressNotifyIntervalMs,
      jitter: () => deps.random.next(),
      fragmentBytes: options.maxRequestBytes + 512 * 1024,
    });
    this.applier = new Applier({
      store: this.store,
      lessor: this.lessor,
      alarms: this.alarms,
      header: () => this.header(),
      onChanges: (changes) => this.watchable.notify(changes),
      onCompaction: (work, before) => this.compactions.add(work, before),
    });
    this.applyTimes = new ApplyTimes({ ...deps, warningMs: options.warningApplyDurationMs });
    const apply = applyChain({
      measure: this.applyTimes.link,
      alarms: this.alarms,
      membership: this.membership,
      applier: this.applier,
      auth: checkAuth({
        auth: this.auth,
        lessor: this.lessor,
        header: () => this.header(),
        index: () => consistentIndex.index,
      }),
    });
    this.#committed = new Committed(this, {
      clock,
      log,
      storage,
      apply,
      joined: () => this.#versions.wake(),
      removed: this.#removed,
    });
    this.transport = deps.transport?.({ id, clusterId, callbacks: this.#callbacks, snapshots: this.#exchange });
    this.#driver = new RaftDriver({
      failpoints,
      id,
      clock,
      random: deps.random,
      log,
      metrics,
      codec,
      wal: storage.wal,
      storage: storage.log,
      applied: consistentIndex.index,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      electionTimeoutMs: options.electionTimeoutMs,
      preVote: options.preVote,
      catchupEntries: options.snapshotCatchupEntries,
      ...(options.raftMessageBytes !== undefined && { messageBytes: options.raftMessageBytes }),
      leadership: this.leadership,
      machine: this.#committed,
      send: (messages) => {
        this.appendCounts.send(messages);
        this.transport?.send(messages);
      },
      flush: () => this.transport?.flush(),
      activeSince: (peer) => this.transport?.activeSince(peer),
      isIdRemoved: (peer) => this.membership.isIdRemoved(peer),
      onFailure,
    });
    storage.isLogged = () => this.#driver.kept();
    const requestTimeoutMs = this.#driver.requestTimeoutMs;
    this.#remotes = deps.remotes ?? LIKE_US;
    this.reconfigure = new Reconfigure(this, {
      onPromoted: () => metrics.add(counted.learnerPromotions, {}),
      clock,
      log,
      remotes: this.#remotes,
      strict: options.strictReconfigCheck,
      requestTimeoutMs,
    });
    this.#versions = new VersionMonitor(
      this,
      { clock, log, remotes: this.#remotes, downgradeCheckTimeMs: options.downgradeCheckTimeMs },
      this.#closing.signal,
    );
    this.leadership.onTermBegun(() => this.#versions.wake());
    this.#reads = new LinearizableReads({
      clock,
      log,
      metrics,
      leadership: this.leadership,
      applied: this.#driver.applied,
      timeoutMs: requestTimeoutMs,
      nextRequestId: () => this.#nextRequestId(),
      readIndex: (context) => this.#driver.readIndex(context),
    });
    this.#transfer = new LeaderTransfer({
      ...deps,
      id,
      failpoints,
      leadership: this.leadership,
      membership: this.membership,
      driver: this.#driver,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      activeSince: (peer) => this.transport?.activeSince(peer),
    });
    this.maintenance = new Maintenance({
      ...deps,
      id,
      clusterId,
      storage,
      store: this.store,
      compactionHashes: this.compactions.hashes,
      membership: this.membership,
      remotes: this.#remotes,
    });
    this.leases = new LeaseKeeper({
      failpoints,
      clock,
      log,
      metrics,
      lessor: this.lessor,
      leadership: this.leadership,
      forwarder: deps.leases,
      electionTimeoutMs: options.electionTimeoutMs,
      requestTimeoutMs,
      checkpoints: options.features.LeaseCheckpoint,
      closing: this.#closing.signal,
      memberOf: (leader) => this.membership.member(leader),
      // Not by way of another leader, which knows better what has run out.
      revoke: (lease) => this.propose({ lease_revoke: { ID: lease } }, this.auth.asRoot, true),
      checkpoint: (due) => {
        const checkpoints = due.map(({ id: lease, remainingTtl }) => ({ ID: lease, remaining_TTL: remainingTtl }));
        return this.propose({ lease_checkpoint: { checkpoints } }, undefined, true);
      },
      ensureLeadership: () => this.ensureLeadership(),
      caughtUp: () => this.caughtUp(),
    });
  }

  async #begin(): Promise<void> {
    for (const { ID, peerURLs } of this.membership.members) if (ID !== this.id) this.transport?.addPeer(ID, peerURLs);
    this.#driver.start(this.#reads);
    void this.#shortenFirstElection();
    const published = this.#publish();
    if (this.#driver.isOnlyVoter) await published;
    else void published;
  }

  /** Others that are there already have a leader, or elect one soon: no need to wait for a whole timeout. */
  async #shortenFirstElection(): Promise<void> {
    if (this.#driver.isOnlyVoter || !this.options.initialElectionTickAdvance) return;
    const { clock } = this.#deps;
    for (let i = 0; i < LOOK_FOR_PEERS_TIMES; i++) {
      if (!(await pause(clock, LOOK_FOR_PEERS_MS, this.#closing.signal))) return;
      const active = this.members.filter(({ ID }) => this.transport?.activeSince(ID) !== undefined).length;
      if (active <= 1) continue;
      if (this.leadership.leader === NONE) this.#driver.advanceTicks(this.#driver.electionTicks - 2);
      return;
    }
  }

  /** Tells the cluster who this is; alone, also what version it speaks. */
  async #publish(): Promise<void> {
    this.failpoints.beforePublishing?.strike();
    const { clock, log } = this.#deps;
    const { advertiseClientUrls: clientURLs, name } = this.options;
    const own = this.membership.member(this.id);
    // What is known already needn't be told, where nobody waits to hear that we are back.
    const isKnown = own !== undefined && own.name === name && own.clientURLs.join() === clientURLs.join();
    if (!isKnown || !this.#driver.isOnlyVoter)
      await publish(this, { name, clientURLs }, { clock, log, remotes: this.#remotes }, this.#closing.signal);
    if (this.#driver.isOnlyVoter) await this.#versions.look();
    if (!this.#closing.signal.aborted) this.#published.resolve();
  }

  readonly #published = deferred<void>();
  /** Resolves when the cluster knows this member: from then on it has been in touch with a leader. */
  get published(): Promise<void> {
    return this.#published.promise;
  }

  /** Ends open streams; requests go on until `close`. */
  stopStreams(): void {
    this.#closing.abort(etcdError("stopped"));
  }

  /** Hands leadership over where there is someone to take it, and stops. */
  async close(): Promise<void> {
    await this.#transfer.handOver();
    this.stopStreams();
    this.#reads.stop(etcdError("stopped"));
    this.lessor.demote();
    this.compactions.stop();
    await this.#driver.stop();
    await this.transport?.close();
    await this.#committed.idle();
    await this.#storage.close();
  }

  /** Of the last entry that was applied. */
  get term(): number {
    return this.#driver.term;
  }
  get appliedIndex(): number {
    return this.#driver.applied.index;
  }
  get committedIndex(): number {
    return this.#driver.committed;
  }
  get leader(): NodeId {
    return this.leadership.leader;
  }
  get isLearner(): boolean {
    return this.membership.localIsLearner;
  }
  get members(): readonly MemberInfo[] {
    return this.membership.members;
  }
  get confState(): ConfState {
    return this.#driver.confState;
  }
  get consistentIndex(): ConsistentIndex {
    return this.#storage.consistentIndex;
  }
  get clusterVersion(): string {
    return this.membership.version ?? "";
  }
  get pendingProposals(): number {
    return this.#driver.proposals.pending;
  }
  get requestTimeoutMs(): number {
    return this.#driver.requestTimeoutMs;
  }
  /** For who looks on: to touch it would be to go behind the driver's back. */
  get raft(): Raft {
    return this.#driver.node.raft;
  }
  raftStatus(): RaftStatus {
    return this.#driver.status();
  }
  /** Of the db file. */
  get sizeBytes(): number {
    return this.store.backend.sizeBytes;
  }
  /** Aborts when the member stops, with the answer that open streams get. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }
  /** Resolves when the cluster has removed this member: it should stop, and its data is of no more use. */
  get removed(): Promise<void> {
    return this.#removed.promise;
  }

  header(revision = this.store.revision): ResponseHeader {
    return { cluster_id: this.clusterId, member_id: this.id, revision, raft_term: this.#driver.term };
  }

  /** Told when this member begins and ends to lead: for what only a leader does. */
  onLeadership(tell: (isLeader: boolean) => void): void {
    this.leadership.onLeadership(tell);
  }

  /** Resolves with the answer once the request is durable at a quorum and applied here. `auth` says who asks, where anyone need say so. */
  propose(request: Request, auth?: AuthInfo, asLeader = false): Promise<Applied> {
    const ID = this.#nextRequestId();
    // Encoded and applied here with the same header, so that the answer is the same wherever it is applied.
    const whole: Request = {
      header: auth === undefined ? { ID } : { ID, username: auth.username, auth_revision: auth.revision },
      ...request,
    };
    const data = this.codec.encodeTransient(InternalRaftRequest, whole);
    if (data.length > this.options.maxRequestBytes) return Promise.reject(etcdError("requestTooLarge"));
    return this.#driver.propose(ID, data, whole, 0, asLeader) as Promise<Applied>;
  }

  /** As `propose`, in the name of who calls. */
  proposeFor(caller: Caller, request: Request): Promise<Applied> {
    if (!this.auth.enabled) return this.propose(request);
    return this.authenticator.infoOf(caller).then((info) => this.propose(request, info));
  }

  /** Changes who belongs. Resolves with the members after the change; what is wrong with it is thrown in the client's words. */
  proposeConfChange(change: ConfChange): Promise<readonly MemberInfo[]> {
    return this.#driver.proposeConfChange(this.#nextRequestId(), change) as Promise<readonly MemberInfo[]>;
  }

  /** As `propose`, in the form that members before 3.5 understand where that is asked for. */
  proposeAs(form: "v2" | "v3", request: Request): Promise<Applied> {
    const ID = this.#nextRequestId();
    const data = form === "v2" ? toV2Request(ID, request) : undefined;
    if (data === undefined) return this.propose(request);
    return this.#driver.propose(ID, data, { header: { ID }, ...request }) as Promise<Applied>;
  }

  /** It has failed, or was closed. */
  get isStopped(): boolean {
    return this.#driver.isStopped;
  }
  get isLeader(): boolean {
    return this.leadership.isLeader;
  }
  /** How far each member is along our log; undefined where this member doesn't lead. */
  progress(): ReadonlyMap<NodeId, { readonly match: number }> | undefined {
    return this.leadership.isLeader ? this.raftStatus().progress : undefined;
  }
  activeSince(id: NodeId): number | undefined {
    return this.transport?.activeSince(id);
  }

  /** Until all that was acknowledged before is applied here; nothing to wait for where this member is alone. */
  linearizable(): Promise<void> | undefined {
    return this.#driver.answersAlone ? undefined : this.#reads.wait();
  }

  /** Until every compaction so far has dropped its rows, in the file too: what a restart finds is final. */
  async compacted(): Promise<void> {
    await this.compactions.done;
    await this.#storage.backend.commit();
  }

  /** Until what is known to be committed is applied here; throws when that takes longer than a second. */
  caughtUp(): Promise<void> | undefined {
    const applied = this.#driver.applied.reached(this.#driver.committed);
    if (applied === undefined) return undefined;
    return new Promise((resolve, reject) => {
      const timer = this.#deps.clock.after(APPLY_TIMEOUT_MS, () => reject(etcdError("timeoutWaitAppliedIndex")));
      applied.then(resolve, reject).finally(() => timer[Symbol.dispose]());
    });
  }

  /** Whether this member leads for certain. One that slept asks the others first. */
  ensureLeadership(): Promise<boolean> | boolean {
    return this.#driver.isActive ? true : this.#checkLeadership();
  }

  async #checkLeadership(): Promise<boolean> {
    const { log } = this.#deps;
    try {
      await this.linearizable();
    } catch (error) {
      log.warn("Failed to check current member's leadership", { error: String(error) });
      return false;
    }
    if (this.leadership.isLeader) {
      this.#driver.confirmActive();
      return true;
    }
    log.warn("Current member isn't a leader", {
      "local-member-id": hexId(this.id),
      "new-lead": hexId(this.leader),
    });
    return false;
  }

  /** Makes another voter the leader. Only the leader can. */
  moveLeader(to: NodeId): Promise<void> {
    return this.#transfer.moveTo(to);
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

  /** Writes a snapshot of now and lets go of the log that it replaces. */
  async snapshot(): Promise<void> {
    await this.#storage.snapshot((work) => this.#driver.between(work));
  }

  /** Of the db file's layout; empty before 3.6. */
  get storageVersion(): string {
    return this.#storage.storageVersion;
  }

  /** Lets others have their turn. */
  pause(): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.soon(resolve));
  }

  /** Unique in the cluster: some bits of the member's id, then a count that began with the time of day. */
  #nextRequestId(): bigint {
    return this.#requestPrefix | BigInt(this.#requestNumber++);
  }

  get #callbacks(): PeerCallbacks {
    return {
      process: (message) => this.#process(message),
      isIdRemoved: (id) => this.membership.isIdRemoved(id),
      reportUnreachable: (id) => {
        this.appendCounts.unreachable(id);
        this.#driver.reportUnreachable(id);
      },
      reportSnapshot: (id, ok) => this.#driver.reportSnapshot(id, ok),
      removed: (reason) => {
        this.#deps.log.error("server error", new Error(reason));
        this.#removed.resolve();
      },
    };
  }

  #process(message: Message): void {
    assert(message.to === this.id, "a message for another member");
    const flaw = flawOf(message);
    if (flaw !== undefined) throw new MessageError(flaw);
    this.appendCounts.take(message);
    const { raftDropHeartbeat } = this.failpoints;
    if (raftDropHeartbeat !== undefined && message.type === "MsgHeartbeat" && raftDropHeartbeat.strike() !== undefined)
      return;
    if (!this.membership.isIdRemoved(message.from)) this.#driver.step(message);
  }

  get #exchange(): PeerTransportOptions["snapshots"] {
    return {
      open: async (message) => {
        const isOver = this.#driver.snapshotBegins();
        let outgoing: OutgoingSnapshot;
        try {
          outgoing = await this.#storage.outgoing(message);
        } catch (error) {
          isOver(false);
          throw error;
        }
        return {
          ...outgoing,
          close: (isTaken) => {
            outgoing.close(isTaken);
            isOver(isTaken);
          },
        };
      },
      receive: (message, body) => this.#storage.receive(message, body),
    };
  }
}
