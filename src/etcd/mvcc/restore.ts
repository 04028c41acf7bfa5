/**
 * Opens a db file and builds the key index from it in one pass over all rows, of which only keys and numbers stay in memory.
 * Upstream: server/storage/mvcc/kvstore.go (restore)
 */
import type { Backend } from "../backend/backend.ts";
import { DamagedFile } from "../backend/bolt/format.ts";
import { BoltBackend, type BoltBackendDeps, type BoltBackendOptions } from "../backend/bolt-backend.ts";
import { decodeFields, isTombstoneKey, mainOf, subOf } from "../backend/rows.ts";
import { readMarks } from "./compaction-marks.ts";
import { keyText } from "./key-text.ts";
import { RestoredIndex } from "./restored-index.ts";

/** What the file says of the past. */
export interface RestoredRevisions {
  readonly revision: number;
  readonly compactRevision: number;
  /** A compaction that was asked for and has not ended. */
  readonly scheduledCompaction: number | undefined;
}

/** What of the state is in memory, and the file behind it. */
export interface OpenedBackend {
  readonly backend: BoltBackend;
  readonly index: RestoredIndex;
  readonly revisions: RestoredRevisions;
}

export async function openBackend(
  path: string,
  options: BoltBackendOptions,
  deps: BoltBackendDeps,
): Promise<OpenedBackend> {
  const index = new RestoredIndex();
  let last = 1;
  let lastSub = -1;
  const backend = await opened(path, options, deps, (key, value) => {
    const main = mainOf(key);
    const sub = subOf(key);
    if (main > Number.MAX_SAFE_INTEGER) throw new DamagedFile(`a row of revision ${main}`);
    if (main < last || (main === last && sub <= lastSub))
      throw new DamagedFile(`revision ${main}_${sub} comes after ${last}_${lastSub}`);
    last = main;
    lastSub = sub;
    const { created, version, lease, keyStart, keyEnd } = decodeFields(value);
    // A restored snapshot may have a row without a key, which is there for its revision alone.
    if (keyEnd === keyStart) return;
    const text = keyText(value.subarray(keyStart, keyEnd));
    index.add(text, { main, sub, created, version: isTombstoneKey(key) ? 0 : version, lease });
  });
  return { backend, index, revisions: readRevisions(backend, last) };
}

/** Damage is told with the file that has it. */
async function opened(...args: Parameters<typeof BoltBackend.open>): Promise<BoltBackend> {
  try {
    return await BoltBackend.open(...args);
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    throw new DamagedFile(`${args[0]}: ${error.message}`);
  }
}

function readRevisions(backend: Backend, last: number): RestoredRevisions {
  const { scheduled, finished } = readMarks(backend);
  return {
    revision: Math.max(last, finished ?? 0, scheduled ?? 0),
    compactRevision: finished ?? -1,
    scheduledCompaction: scheduled !== undefined && scheduled > (finished ?? 0) ? scheduled : undefined,
  };
}
