/**
 * Delays appends without entries, which only tell a follower how far the log is committed: usually the next entries follow at once and say the same.
 * So the write of a lone client wakes each follower once instead of twice, and not while its response is on its way. A commit that another member is
 * waiting for is sent at once: one of an entry that it proposed, of a membership change, or one that a read depends on.
 */
import type { Message, NodeId } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";

/** How much later than now a follower may learn of a commit that is followed by nothing. */
const HOLD_MS = 1;

interface Follower {
  /** The commit index that it has been sent. */
  told: number;
  held: Message | undefined;
  heldSince: number;
}

export class HeldCommits {
  readonly #clock: Pick<Clock, "monotonic" | "after">;
  readonly #release: (messages: readonly Message[]) => void;
  readonly #followers = new Map<NodeId, Follower>();
  #timer: Disposable | undefined;
  /** The last entry whose commit another member waits for. */
  #awaited = 0;

  /** `release` gets what has waited in vain. */
  constructor(clock: Pick<Clock, "monotonic" | "after">, release: (messages: readonly Message[]) => void) {
    this.#clock = clock;
    this.#release = release;
  }

  /** Another member waits for the commit of this entry. */
  await(index: number): void {
    this.#awaited = index;
  }

  /** What leaves now. `isInStep` says whether a follower is sent entries ahead of its answers: to any other an empty append is a question. */
  pass(messages: readonly Message[], isInStep: (id: NodeId) => boolean): readonly Message[] {
    const leaving: Message[] = [];
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!;
      const { type, to, commit } = message;
      if (type === "MsgReadIndexResp") {
        const held = this.#take(to);
        if (held !== undefined) leaving.push(held);
      } else if (type === "MsgApp" || type === "MsgHeartbeat") {
        const follower = this.#follower(to);
        const isAwaited = follower.told < this.#awaited && this.#awaited <= commit;
        if (type === "MsgApp" && message.entries.length === 0 && !isAwaited && isInStep(to)) {
          this.#hold(follower, message);
          continue;
        }
        follower.told = Math.max(follower.told, commit);
        if (follower.held !== undefined && follower.held.commit <= commit) follower.held = undefined;
      }
      leaving.push(message);
    }
    return leaving;
  }

  /** This member leads no more, or anew: nothing of what was held is worth saying. */
  clear(): void {
    this.#followers.clear();
    this.#awaited = 0;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #follower(id: NodeId): Follower {
    let follower = this.#followers.get(id);
    if (follower === undefined) this.#followers.set(id, (follower = { told: 0, held: undefined, heldSince: 0 }));
    return follower;
  }

  #hold(follower: Follower, message: Message): void {
    if (follower.held === undefined) follower.heldSince = this.#clock.monotonic();
    follower.held = message;
    this.#timer ??= this.#clock.after(HOLD_MS, () => this.#timeIsUp());
  }

  #take(id: NodeId): Message | undefined {
    const follower = this.#followers.get(id);
    const held = follower?.held;
    if (held === undefined) return undefined;
    follower!.held = undefined;
    follower!.told = Math.max(follower!.told, held.commit);
    return held;
  }

  /** One timer for all, and none while entries keep coming: whoever is held for less time waits for the next. */
  #timeIsUp(): void {
    this.#timer = undefined;
    const before = this.#clock.monotonic() - HOLD_MS / 2;
    const late: Message[] = [];
    let waits = false;
    for (const [id, { held, heldSince }] of this.#followers) {
      if (held === undefined) continue;
      if (heldSince <= before) late.push(this.#take(id)!);
      else waits = true;
    }
    if (waits) this.#timer = this.#clock.after(HOLD_MS, () => this.#timeIsUp());
    if (late.length > 0) this.#release(late);
  }
}
