/** A hash over everything that readers can see, equal on members that hold the same. Upstream: server/storage/mvcc/hash.go */
import { etcdError } from "../../protocols/etcd/errors.ts";
import { encodeRow, revisionKey } from "../backend/rows.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { Store } from "./store.ts";

export interface KeysHash {
  readonly hash: number;
  /** As of which it is. */
  readonly hashRevision: number;
  readonly compactRevision: number;
}

/** Rows between two pauses: about a millisecond. */
export const ROWS_A_SLICE = 300;
/** Compactions may come in between, and make it begin anew. */
const ATTEMPTS = 5;

/** As `hashKV`, in slices between which `pause` lets others go on. */
export async function hashKeys(store: Store, revision: number, pause: () => Promise<void>): Promise<KeysHash> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    store.checkReadable(revision);
    const steps = hashNow(store, revision);
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done !== true) await pause();
      else if (step.value !== undefined) return step.value;
      else break;
    }
  }
  throw etcdError("compacted");
}

export function hashKV(store: Store, revision: number): number {
  const steps = hashNow(store, revision);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value!.hash;
  }
}

/** Up to `revision`, 0 for now. Gives nothing where a compaction or another state came in between. */
function hashNow(store: Store, revision: number): Generator<void, KeysHash | undefined> {
  const { backend, compactRevision } = store;
  const hashRevision = revision > 0 ? revision : store.revision;
  const isAsItWas = () => store.compactRevision === compactRevision && store.backend === backend;
  return hashSteps(store, hashRevision, compactRevision, store.keepsAny(hashRevision), isAsItWas);
}

/**
 * What a compaction finds, before it drops any of it: all that the compaction before has left, and all since. Each member finds the same, whenever it
 * comes to it. Gives nothing where another state came in between.
 */
export function hashOfCompaction(
  store: Store,
  revision: number,
  compactRevision: number,
): Generator<void, KeysHash | undefined> {
  const { backend } = store;
  let keepsAny = store.keepsAny(revision);
  // A tombstone of that very revision is left, too.
  backend.scan(revision, revision, ({ version }) => (keepsAny ||= version === 0));
  return hashSteps(store, revision, compactRevision, keepsAny, () => store.backend === backend);
}

/** Over every row up to a revision that compaction doesn't drop, in upstream's form: key bucket, revision, value. */
function* hashSteps(
  store: Store,
  hashRevision: number,
  compactRevision: number,
  keepsAny: boolean,
  isAsItWas: () => boolean,
): Generator<void, KeysHash | undefined> {
  const { backend } = store;
  // Of rows that a compaction has passed, dropped yet or not, only those count that are a key's present at the hashed revision.
  let hash = crc32c(Buffer.from("key"));
  for (let from = 0; from <= hashRevision;) {
    let next = hashRevision + 1;
    let rows = 0;
    let previous = -1;
    backend.scan(from, hashRevision, (row, sub) => {
      const main = row.mod_revision;
      if (rows++ >= ROWS_A_SLICE && main !== previous) {
        next = main;
        return false;
      }
      previous = main;
      if (main <= compactRevision && keepsAny && !store.isKept(row, sub, hashRevision)) return true;
      const isTombstone = row.version === 0;
      // Some versions of etcd drop a tombstone at the compacted revision, some don't.
      if (isTombstone && main === compactRevision) return true;
      hash = crc32c(encodeRow(row), crc32c(revisionKey(main, sub, isTombstone), hash));
      return true;
    });
    from = next;
    if (from > hashRevision) break;
    yield;
    if (!isAsItWas()) return undefined;
  }
  return { hash, hashRevision, compactRevision };
}
