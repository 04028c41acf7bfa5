/**
 * The tree of the v2 API on one member: it reads from the v3 store, writes through the log as v3 transactions that succeed only if the tree is still
 * what they were planned on, and removes expired nodes.
 * Upstream: server/etcdserver/v2_server.go
 */
import { deferred } from "../../base/deferred.ts";
import type { Logger } from "../../observe/log.ts";
import { etcdError, isEtcdError } from "../../protocols/etcd/errors.ts";
import type { RequestOp, TxnResponse } from "../../protocols/etcd/generated.ts";
import { RpcError, type Init } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { Member } from "../member.ts";
import { V2Error } from "./errors.ts";
import { Hub, type WatchOptions } from "./hub.ts";
import { INDEX_KEY, opsOf, StoreTree, type Planned, type Tree } from "./layout.ts";
import type { Event } from "./node.ts";
import { Overlay } from "./overlay.ts";
import { countsAs, planExpiry, planGet, planWrite } from "./plan.ts";
import type { Write } from "./request.ts";
import { StoreStats } from "./stats.ts";

/** How often reminders are looked for, as upstream's leader does. */
const EXPIRY_INTERVAL_MS = 500;
/** So long after its time another member than the leader takes it away: the leader may be upstream's, which knows nothing of this. */
const LEADER_GRACE_MS = 2000;
/** Writes of one transaction, and what they may hold together. One alone may be as large as any request. */
const BATCH = 64;
const BATCH_BYTES = 256 * 1024;

export interface Answer {
  readonly event: Event;
  /** The tree's index with it. */
  readonly index: number;
}

export type V2Member = Pick<
  Member,
  "id" | "leader" | "store" | "watchable" | "propose" | "linearizable" | "requestTimeoutMs" | "checkQuota" | "auth"
>;

/** A write that waits for its turn. */
interface Job {
  readonly plan: (tree: Tree) => Planned;
  /** On the monotonic clock. */
  readonly deadline: number;
  /** What it was planned on held all that was acknowledged before it came. */
  isFresh: boolean;
  readonly resolve: (plan: Planned) => void;
  readonly reject: (error: unknown) => void;
}

export class V2Store implements Disposable {
  readonly stats = new StoreStats();
  readonly hub: Hub;
  readonly #member: V2Member;
  readonly #clock: World["clock"];
  readonly #log: Logger;
  /** Writes wait while a transaction is under way: planned on the same tree, one of two would be in vain. */
  readonly #jobs: Job[] = [];
  #isCommitting = false;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(member: V2Member, deps: Pick<World, "clock"> & { readonly log: Logger }) {
    this.#member = member;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.hub = new Hub(member.watchable);
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  get index(): number {
    return new StoreTree(this.#member.store).index;
  }

  /** As `get`, of a tree that holds all that was acknowledged before. */
  async quorumGet(path: string, recursive: boolean): Promise<Answer> {
    await inV2Words(async () => this.#member.linearizable());
    return this.get(path, recursive);
  }

  get(path: string, recursive = false): Answer {
    const tree = new StoreTree(this.#member.store);
    try {
      const event = planGet(tree, path, recursive, this.#clock.now());
      this.stats.add("getsSuccess");
      return { event, index: tree.index };
    } catch (error) {
      this.stats.add("getsFail");
      throw error;
    }
  }

  watch(options: WatchOptions): { readonly index: number; readonly stop: () => void } {
    const tree = new StoreTree(this.#member.store);
    return { index: tree.index, stop: this.hub.watch(tree, options) };
  }

  async write(request: Write): Promise<Answer> {
    try {
      const { event } = await inV2Words(() => this.#commit((tree) => planWrite(tree, request, this.#clock.now())));
      this.stats.add(...countsAs(request));
      return { event, index: event.node.modifiedIndex! };
    } catch (error) {
      if (error instanceof V2Error) this.stats.add(...countsAs(request, error));
      throw error;
    }
  }

  #commit<P extends Planned>(plan: (tree: Tree) => P): Promise<P> {
    const { promise, resolve, reject } = deferred<P>();
    const deadline = this.#clock.monotonic() + this.#member.requestTimeoutMs;
    this.#jobs.push({ plan, deadline, isFresh: false, resolve: resolve as Job["resolve"], reject });
    if (!this.#isCommitting) void this.#work();
    return promise;
  }

  async #work(): Promise<void> {
    this.#isCommitting = true;
    while (this.#jobs.length > 0) await this.#commitBatch(this.#jobs.splice(0, BATCH));
    this.#isCommitting = false;
  }

  /** One transaction of many writes, each planned on what the ones before it will leave. What has to wait for more goes back to the front. */
  async #commitBatch(jobs: readonly Job[]): Promise<void> {
    const base = new StoreTree(this.#member.store);
    const tree = new Overlay(base);
    const planned: Planned[] = [];
    const outcomes = new Map<Job, () => void>();
    const later: Job[] = [];
    const doubtful: Job[] = [];
    let caughtUp: Promise<void> | undefined;
    let bytes = 0;
    for (const job of jobs) {
      if (later.length > 0) {
        later.push(job);
        continue;
      }
      // Others may have waited in vain before this one's turn, and others' writes may have got through before its own.
      if (this.#clock.monotonic() >= job.deadline) {
        job.reject(etcdError("timeout"));
        continue;
      }
      try {
        const plan = job.plan(tree);
        const size = sizeOf(plan);
        if (planned.length > 0 && bytes + size > BATCH_BYTES) {
          later.push(job);
          continue;
        }
        tree.apply(plan.changes, plan.event?.node.modifiedIndex ?? tree.index);
        planned.push(plan);
        bytes += size;
        outcomes.set(job, () => job.resolve(plan));
      } catch (error) {
        // What the tree doesn't allow may be for want of a write that this member has yet to hear of.
        if (!job.isFresh) caughtUp ??= this.#member.linearizable();
        if (job.isFresh || caughtUp === undefined) outcomes.set(job, () => job.reject(error));
        else doubtful.push(job);
      }
    }
    caughtUp?.catch(() => {}); // Looked at below, after the transaction.
    try {
      const ops = opsOf(planned);
      if (bytes > 0) this.#member.checkQuota(bytes);
      if (ops.length > 0 && !(await this.#propose(base.revision, ops))) later.unshift(...outcomes.keys());
      else for (const settle of outcomes.values()) settle();
    } catch (error) {
      for (const job of outcomes.keys()) job.reject(error);
    }
    if (doubtful.length > 0)
      try {
        await caughtUp;
        for (const job of doubtful) job.isFresh = true;
        later.unshift(...doubtful);
      } catch (error) {
        for (const job of doubtful) job.reject(error);
      }
    this.#jobs.unshift(...later);
  }

  /** False where the tree isn't any more what was planned on. Users of the v3 API have no say in here, so this asks as the member itself. */
  async #propose(revision: number, ops: readonly Init<RequestOp>[]): Promise<boolean> {
    const compare = [{ key: INDEX_KEY, target: "MOD", result: "EQUAL", mod_revision: revision }] as const;
    try {
      const txn = { compare, success: ops };
      return ((await this.#member.propose({ txn }, this.#member.auth.asRoot)) as TxnResponse).succeeded;
    } catch (error) {
      if (isEtcdError(error, "authOldRevision")) return false;
      throw error;
    }
  }

  #arm(): void {
    if (this.#closed) return;
    const next = new StoreTree(this.#member.store).reminder;
    const left = next === undefined ? 0 : next.expires - this.#clock.now();
    // What is over already is the leader's to take, or can't be taken at the moment.
    const wait = left > 0 ? Math.min(left, EXPIRY_INTERVAL_MS) : EXPIRY_INTERVAL_MS;
    this.#timer = this.#clock.after(wait, () => {
      this.#expire()
        .catch((error: unknown) => {
          if (!this.#closed) this.#log.error("failed to remove what has expired from the v2 store", error);
        })
        .finally(() => this.#arm());
    });
  }

  async #expire(): Promise<void> {
    while (!this.#closed) {
      const due = new StoreTree(this.#member.store).reminder;
      const grace = this.#member.leader === this.#member.id ? 0 : LEADER_GRACE_MS;
      if (due === undefined || due.expires + grace > this.#clock.now()) return;
      const { event } = await this.#commit((tree) => planExpiry(tree, due, this.#clock.now()));
      if (event !== undefined) this.stats.add("expireCount");
    }
  }
}

function sizeOf(plan: Planned): number {
  let bytes = 0;
  for (const { request_put: put } of opsOf([plan])) if (put !== undefined) bytes += put.key!.length + put.value!.length;
  return bytes;
}

/** What raft refuses is one code here. */
async function inV2Words<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcError) throw new V2Error("raftInternal", error.message, 0, { cause: error });
    throw error;
  }
}
