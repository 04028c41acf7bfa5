/**
 * What every call passes before its handler: a learner serves almost nothing, and a call that requires a leader fails when there is none, a stream
 * also when the leader has been lost for a while.
 * Upstream: server/etcdserver/api/v3rpc/interceptor.go
 */
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { RangeRequest } from "../../protocols/etcd/generated.ts";
import { NONE } from "../../raft/types.ts";
import type { Binding } from "../../wire/rpc/grpc-server.ts";
import { withSignal, type Call } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { Member } from "../member.ts";

/** Streams are dear to set up again: they are ended only after so many election timeouts without a leader. */
const PATIENCE = 3;

/** What a learner answers, beside ranges that are content with what it has. */
const LEARNERS_ANSWER: readonly string[] = ["etcdserverpb.Maintenance/Status", "etcdserverpb.Maintenance/Snapshot"];

export class Guard implements Disposable {
  readonly #member: Member;
  readonly #clock: World["clock"];
  /** Streams that asked for a leader. */
  readonly #streams = new Set<() => void>();
  readonly #watching: Disposable;
  #timer: Disposable | undefined;

  constructor(member: Member, clock: World["clock"]) {
    this.#member = member;
    this.#clock = clock;
    this.#watching = member.leadership.onLeader((leader) => this.#leaderIs(leader));
    this.#leaderIs(member.leader);
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** The same service behind this guard. */
  binding({ service, implementation }: Binding): Binding {
    const guarded: Record<string, (...args: any[]) => unknown> = {};
    for (const [name, { kind }] of Object.entries(service.methods)) {
      const handler = implementation[name]?.bind(implementation);
      if (handler === undefined) continue;
      const path = `${service.name}/${name}`;
      if (kind === "unary")
        guarded[name] = (request: unknown, call: Call) => {
          this.#check(path, request, call);
          return handler(request, call);
        };
      else if (kind === "server-stream")
        guarded[name] = (request: unknown, stream: unknown, call: Call) =>
          this.#stream(path, call, (within) => handler(request, stream, within));
      else
        guarded[name] = (stream: unknown, call: Call) => this.#stream(path, call, (within) => handler(stream, within));
    }
    return { service, implementation: guarded };
  }

  #check(path: string, request: unknown, call: Call): void {
    if (this.#member.isLearner && !LEARNERS_ANSWER.includes(path)) {
      const { serializable = false } = path === "etcdserverpb.KV/Range" ? (request as Partial<RangeRequest>) : {};
      if (!serializable) throw etcdError("learnerNotSupported");
    }
    if (needsLeader(call) && this.#member.leader === NONE) throw etcdError("noLeader");
  }

  async #stream(path: string, call: Call, run: (within: Call) => unknown): Promise<void> {
    this.#check(path, undefined, call);
    if (!needsLeader(call)) return void (await run(call));
    const lost = new AbortController();
    let end!: () => void;
    const ended = new Promise<never>((_, reject) => {
      end = () => {
        lost.abort();
        reject(etcdError("noLeader"));
      };
    });
    ended.catch(() => {}); // A call that is over races no more.
    const left = () => lost.abort(call.signal.reason);
    if (call.signal.aborted) left();
    else call.signal.addEventListener("abort", left, { once: true });
    this.#streams.add(end);
    try {
      await Promise.race([run(withSignal(call, lost.signal)), ended]);
    } finally {
      this.#streams.delete(end);
      call.signal.removeEventListener("abort", left);
      lost.abort(); // Whatever still waits for its end.
    }
  }

  #leaderIs(leader: bigint): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer =
      leader === NONE
        ? this.#clock.after(PATIENCE * this.#member.options.electionTimeoutMs, () => {
            for (const end of this.#streams) end();
          })
        : undefined;
  }
}

function needsLeader({ metadata }: Call): boolean {
  return metadata["hasleader"] === "true";
}
