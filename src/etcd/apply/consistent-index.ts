/**
 * Records which entry of the log the backend's state includes. It is set before an entry is applied and in the same turn of the event loop, so that
 * a backend which commits between turns stores an entry's data and its index together or neither.
 * Upstream: server/etcdserver/cindex
 */
import type { ConfState } from "../../raft/types.ts";
import type { Backend } from "../backend/backend.ts";
import { putBigEndian, storedNumber } from "../backend/rows.ts";
import { confStateJson, parseConfState } from "../snap/conf-state.ts";

export interface ConsistentIndex {
  /** Entries up to here are in the backend: replaying them changes nothing. */
  readonly index: number;
  readonly term: number;
  advance(index: number, term: number): void;
  /** Who belonged when the entry at `index` had been applied. */
  setConfState(confState: ConfState): void;
}

const INDEX = "consistent_index";
const TERM = "term";
const CONF_STATE = "confState";

type Buckets = Pick<Backend, "bucket">;

/** What the bucket `meta` says: all zeros in a new file. */
export function readIndex(backend: Buckets): {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState | undefined;
} {
  const meta = backend.bucket("meta");
  const number = (key: string) => {
    const value = meta.get(key);
    return value === undefined ? 0 : storedNumber(value, key);
  };
  const confState = meta.get(CONF_STATE);
  return {
    index: number(INDEX),
    term: number(TERM),
    confState: confState && parseConfState(Buffer.from(confState).toString()),
  };
}

/** Kept in the bucket `meta`, written where a batch ends. */
export class StoredIndex implements ConsistentIndex {
  index = 0;
  term = 0;
  confState: ConfState | undefined;
  #backend: Buckets;
  #savedIndex = 0;
  #savedConfState: ConfState | undefined;

  constructor(backend: Buckets) {
    this.#backend = backend;
    this.follow(backend);
  }

  /** Goes on from what a backend holds: at the start, and when a snapshot has replaced the state. */
  follow(backend: Buckets): void {
    this.#backend = backend;
    const { index, term, confState } = readIndex(backend);
    this.index = this.#savedIndex = index;
    this.term = term;
    this.confState = this.#savedConfState = confState;
  }

  advance(index: number, term: number): void {
    this.index = index;
    this.term = term;
  }

  setConfState(confState: ConfState): void {
    this.confState = confState;
  }

  /** To be called where a batch ends. */
  save(): void {
    const meta = this.#backend.bucket("meta");
    if (this.index !== this.#savedIndex) {
      this.#savedIndex = this.index;
      meta.put(INDEX, bytesOf(this.index));
      meta.put(TERM, bytesOf(this.term));
    }
    if (this.confState === this.#savedConfState || this.confState === undefined) return;
    this.#savedConfState = this.confState;
    meta.put(CONF_STATE, Buffer.from(confStateJson(this.confState)));
  }
}

function bytesOf(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putBigEndian(bytes, 0, value);
  return bytes;
}
