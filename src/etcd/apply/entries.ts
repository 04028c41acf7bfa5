/**
 * Applies committed entries one after another, and delivers each response to the local caller that is waiting for it.
 * Upstream: server/etcdserver/server.go (apply, applyEntryNormal)
 */
import { assert } from "../../base/assert.ts";
import { InternalRaftRequest } from "../../protocols/etcd/generated.ts";
import { decodeConfChange } from "../../raft/conf-change.ts";
import type { ConfChange, ConfState, Entry } from "../../raft/types.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { fromV2Request } from "../cluster/v2-form.ts";
import type { Failpoints } from "../failpoints.ts";
import type { Proposal, Proposals } from "../proposals.ts";
import type { Request } from "./chain.ts";

/** What the log leads to. All of it happens in the turn in which it is called. */
export interface EntryMachine {
  /** The answer, or an `RpcError` thrown as the answer. Every entry is passed here once, in order. */
  apply(entry: Entry, request: Request): unknown;
  /** The first entry of a leader's term. */
  applyEmpty(entry: Entry): void;
  /** The answer. `intoForce` hands a valid change to raft. */
  applyConfChange(entry: Entry, change: ConfChange, intoForce: () => ConfState): unknown;
}

export interface EntriesDeps {
  readonly machine: EntryMachine;
  readonly proposals: Proposals;
  readonly codec: Codec;
  readonly failpoints: Failpoints;
  /** Hands a change to raft. */
  readonly intoForce: (change: ConfChange) => ConfState;
  readonly onApplied: (entry: Entry) => void;
}

export class Entries {
  readonly #deps: EntriesDeps;

  constructor(deps: EntriesDeps) {
    this.#deps = deps;
  }

  apply(entries: readonly Entry[]): void {
    const { onApplied, proposals } = this.#deps;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      const placed = proposals.takePlaced(entry);
      if (entry.type === 0 && entry.data.length === 0) {
        this.#deps.machine.applyEmpty(entry);
        onApplied(entry);
        // A membership change that raft did not accept. As with upstream, the caller gets no response before its timeout.
        if (placed !== undefined) proposals.sent(placed);
      } else if (entry.type === 0) this.#request(entry, placed);
      else this.#confChange(entry, placed);
    }
  }

  #request(entry: Entry, placed: Proposal | undefined): void {
    const { codec, failpoints, machine, proposals } = this.#deps;
    if (failpoints.beforeApplyOneEntryNormal !== undefined) failpoints.beforeApplyOneEntryNormal.strike();
    const request: Request =
      placed?.request ?? fromV2Request(entry.data) ?? codec.decode(InternalRaftRequest, entry.data);
    const proposal =
      placed === undefined && proposals.hasSent ? proposals.takeSent(request.header?.ID || request.ID || 0n) : placed;
    let answer: unknown;
    try {
      answer = machine.apply(entry, request);
    } catch (error) {
      return this.#failed(entry, proposal, error);
    }
    this.#deps.onApplied(entry);
    if (proposal !== undefined) proposal.resolve(answer);
  }

  #confChange(entry: Entry, placed: Proposal | undefined): void {
    const { failpoints, intoForce, machine, proposals } = this.#deps;
    assert(entry.type === 1, "the log has a change of members in a form that isn't written here");
    if (failpoints.beforeApplyOneConfChange !== undefined) failpoints.beforeApplyOneConfChange.strike();
    const change = decodeConfChange(1, entry.data);
    const proposal = placed ?? proposals.takeSent(change.id ?? 0n);
    let answer: unknown;
    try {
      answer = machine.applyConfChange(entry, change, () => intoForce(change));
    } catch (error) {
      return this.#failed(entry, proposal, error);
    }
    this.#deps.onApplied(entry);
    proposal?.resolve(answer);
  }

  /** A request's failure is its answer. Anything else is a bug, and the state is not to be trusted. */
  #failed(entry: Entry, proposal: Proposal | undefined, error: unknown): void {
    if (error instanceof RpcError) this.#deps.onApplied(entry);
    proposal?.reject(error);
    if (!(error instanceof RpcError)) throw new Error(`applying entry ${entry.index}`, { cause: error });
  }
}
