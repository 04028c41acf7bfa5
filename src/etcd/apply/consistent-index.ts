/**
 * How far the backend's state goes in the log. Told before each entry is applied and in the same turn of the event loop, so that a backend which
 * commits between turns has an entry's data and its index together or neither.
 *
 * Upstream: server/etcdserver/cindex
 */
import type { ConfState } from "../../raft/types.ts";

export interface ConsistentIndex {
  /** Entries up to here are in the backend: replaying them changes nothing. */
  readonly index: number;
  readonly term: number;
  advance(index: number, term: number): void;
  /** Who belonged when the entry at `index` had been applied. */
  setConfState(confState: ConfState): void;
}

/** Of a backend that remembers nothing over a restart. */
export class VolatileIndex implements ConsistentIndex {
  index = 0;
  term = 0;
  confState: ConfState | undefined;

  advance(index: number, term: number): void {
    this.index = index;
    this.term = term;
  }

  setConfState(confState: ConfState): void {
    this.confState = confState;
  }
}
