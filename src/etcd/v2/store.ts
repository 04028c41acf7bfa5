/**
 * The tree of the v2 API on one member: reads from the v3 store, writes through the log as v3 transactions that hold only while the tree is
 * what they were planned on, and takes away what has expired.
 *
 * Upstream: server/etcdserver/v2_server.go
 */
import type { Logger } from "../../observe/log.ts";
import { etcdError, isEtcdError } from "../../protocols/etcd/errors.ts";
import type { TxnResponse } from "../../protocols/etcd/generated.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { Member } from "../member.ts";
import { V2Error } from "./errors.ts";
import { Hub, type WatchOptions } from "./hub.ts";
import { INDEX_KEY, StoreTree } from "./layout.ts";
import type { Event } from "./node.ts";
import { countsAs, planExpiry, planGet, planWrite, type Plan } from "./plan.ts";
import type { Write } from "./request.ts";
import { StoreStats } from "./stats.ts";

/** How often reminders are looked for, as upstream's leader does. */
const EXPIRY_INTERVAL_MS = 500;

export interface Answer {
  readonly event: Event;
  /** The tree's index with it. */
  readonly index: number;
}

export type V2Member = Pick<
  Member,
  "id" | "leader" | "store" | "watchable" | "propose" | "linearizable" | "requestTimeoutMs" | "checkQuota" | "auth"
>;

export class V2Store implements Disposable {
  readonly stats = new StoreStats();
  readonly hub: Hub;
  readonly #member: V2Member;
  readonly #clock: World["clock"];
  readonly #log: Logger;
  /** Writes of this member wait for each other: two at once would be planned on the same tree, and one of them in vain. */
  #last: Promise<unknown> = Promise.resolve();
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

  #commit<P extends Pick<Plan, "ops">>(plan: (tree: StoreTree) => P): Promise<P> {
    const deadline = this.#clock.monotonic() + this.#member.requestTimeoutMs;
    const done = this.#last.then(() => this.#attempt(plan, deadline));
    this.#last = done.catch(() => {}); // Its own caller hears of it.
    return done;
  }

  async #attempt<P extends Pick<Plan, "ops">>(plan: (tree: StoreTree) => P, deadline: number): Promise<P> {
    for (let isFresh = false; ;) {
      // Others may have waited in vain before this one's turn, and others' writes may have got through before its own.
      if (this.#clock.monotonic() >= deadline) throw etcdError("timeout");
      const tree = new StoreTree(this.#member.store);
      let planned: P;
      try {
        planned = plan(tree);
      } catch (error) {
        // What the tree doesn't allow may be for want of a write that this member has yet to hear of.
        const behind = isFresh ? undefined : this.#member.linearizable();
        if (behind === undefined) throw error;
        await behind;
        isFresh = true;
        continue;
      }
      if (planned.ops.length === 0) return planned;
      const bytes = planned.ops.reduce(
        (sum, { request_put: put }) => sum + (put === undefined ? 0 : put.key!.length + put.value!.length),
        0,
      );
      if (bytes > 0) this.#member.checkQuota(bytes);
      if (await this.#propose(tree.revision, planned.ops)) return planned;
      isFresh = false;
    }
  }

  /** False where the tree isn't any more what was planned on. Users of the v3 API have no say in here, so this asks as the member itself. */
  async #propose(revision: number, ops: Plan["ops"]): Promise<boolean> {
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
    const wait = next === undefined ? EXPIRY_INTERVAL_MS : next.expires - this.#clock.now();
    this.#timer = this.#clock.after(Math.max(1, Math.min(wait, EXPIRY_INTERVAL_MS)), () => {
      this.#expire()
        .catch((error: unknown) => {
          if (!this.#closed) this.#log.error("failed to remove what has expired from the v2 store", error);
        })
        .finally(() => this.#arm());
    });
  }

  async #expire(): Promise<void> {
    while (!this.#closed && this.#member.leader === this.#member.id) {
      const due = new StoreTree(this.#member.store).reminder;
      if (due === undefined || due.expires > this.#clock.now()) return;
      const { event } = await this.#commit((tree) => {
        const current = tree.reminder;
        // What was due may have gone while this waited for its turn.
        if (current === undefined || current.expires > this.#clock.now()) return { ops: [] };
        return planExpiry(tree, current, this.#clock.now());
      });
      if (event !== undefined) this.stats.add("expireCount");
    }
  }
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
