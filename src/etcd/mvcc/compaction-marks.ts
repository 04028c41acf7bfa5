/**
 * Which compaction was requested last, and which one finished last, in the bucket `meta`: whoever opens the file knows what remains to be done.
 * Upstream: server/storage/mvcc/util.go, store.go
 */
import type { Backend } from "../backend/backend.ts";
import { revisionKey, storedNumber } from "../backend/rows.ts";

const SCHEDULED = "scheduledCompactRev";
const FINISHED = "finishedCompactRev";

export function markScheduled(backend: Backend, revision: number): void {
  backend.bucket("meta").put(SCHEDULED, revisionKey(revision, 0));
}

export function markFinished(backend: Backend, revision: number): void {
  backend.bucket("meta").put(FINISHED, revisionKey(revision, 0));
}

export function readMarks(backend: Backend): {
  readonly scheduled: number | undefined;
  readonly finished: number | undefined;
} {
  const read = (key: string) => {
    const value = backend.bucket("meta").get(key);
    return value === undefined ? undefined : storedNumber(value, key);
  };
  return { scheduled: read(SCHEDULED), finished: read(FINISHED) };
}
