/**
 * A checksum over what readers can meet, equal on members that hold the same.
 *
 * Upstream: server/storage/mvcc/hash.go
 */
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
const ROWS_A_SLICE = 300;
/** Compactions may come in between, and make it begin anew. */
const ATTEMPTS = 5;

/** As `hashKV`, in slices between which `pause` lets others go on. */
export async function hashKeys(store: Store, revision: number, pause: () => Promise<void>): Promise<KeysHash> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    store.checkReadable(revision);
    const steps = hashSteps(store, revision);
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done !== true) await pause();
      else if (step.value !== undefined) return step.value;
      else break;
    }
  }
  throw etcdError("compacted");
}

export function hashKV(store: Store, revision: number): number {
  const steps = hashSteps(store, revision);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value!.hash;
  }
}

/**
 * Over every row up to `revision` (0 for now) that compaction doesn't drop, in upstream's form: key bucket, revision, value. Gives nothing where a
 * compaction or another state came in between.
 */
function* hashSteps(store: Store, revision: number): Generator<void, KeysHash | undefined> {
  const hashRevision = revision > 0 ? revision : store.revision;
  const { backend, compactRevision } = store;
  // Of rows that a compaction has passed, dropped yet or not, only those count that are a key's present at the hashed revision.
  const keepsAny = store.keepsAny(hashRevision);
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
    if (store.compactRevision !== compactRevision || store.backend !== backend) return undefined;
  }
  return { hash, hashRevision, compactRevision };
}
