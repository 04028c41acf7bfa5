/** After a crash: the db file is whole, and holds what the log says up to the entry that it says it goes to. */
import { readIndex } from "../../../etcd/apply/consistent-index.ts";
import { BoltBackend } from "../../../etcd/backend/bolt-backend.ts";
import { decodeRow, mainOf, subOf } from "../../../etcd/backend/rows.ts";
import { readMarks } from "../../../etcd/mvcc/compaction-marks.ts";
import type { KeyValue } from "../../../etcd/backend/backend.ts";
import type { Clock } from "../../../world/world.ts";
import type { SimulatedFs } from "../fs.ts";
import { isSame, type Ledger } from "./ledger.ts";

export async function checkDb(who: string, fs: SimulatedFs, path: string, clock: Clock, ledger: Ledger): Promise<void> {
  const size = (await fs.stat(path))?.sizeBytes ?? 0;
  if (size === 0) return;
  const rows = new Map<string, KeyValue>();
  const { faults } = fs;
  fs.faults = {};
  const options = { batchIntervalMs: 1e9, batchLimit: 1e9, cacheBytes: 1 << 20, isReadOnly: true };
  let backend: BoltBackend;
  try {
    backend = await BoltBackend.open(path, options, { fs, clock, onFailure() {} }, (key, value) => {
      const row = decodeRow(Buffer.from(key), Buffer.from(value));
      rows.set(`${mainOf(key)}_${subOf(key)}`, row);
    });
  } catch (error) {
    fs.faults = faults;
    return ledger.fail(`the db file of ${who} can't be opened: ${String(error)}`);
  }
  try {
    const problems = await backend.check();
    if (problems.length > 0) return ledger.fail(`the db file of ${who} is damaged: ${problems.join("; ")}`);
    const { index } = readIndex(backend);
    const state = ledger.stateAt(index);
    if (index === 0 || state === undefined) return;
    const { scheduled = 0, finished = 0 } = readMarks(backend);
    const compacted = Math.max(scheduled, finished);
    for (const row of rows.values())
      if (row.mod_revision > state.revision)
        return ledger.fail(
          `consistent index: the db file of ${who} has revision ${row.mod_revision}, and entry ${index}, where it ends, led to ${state.revision}`,
        );
    for (let revision = 2; revision <= state.revision; revision++)
      for (const [sub, written] of ledger.at(revision).entries()) {
        const row = rows.get(`${revision}_${sub}`);
        const isLive = revision > compacted || ledger.keyAt(written.key, compacted) === written;
        if (row === undefined ? isLive : !isSame(written, row))
          return ledger.fail(
            `consistent index: the db file of ${who} goes up to entry ${index} and ${row === undefined ? "lacks" : "has another"} ${written.key} of revision ${revision} (compacted ${compacted})`,
          );
      }
  } finally {
    await backend.abandon();
    fs.faults = faults;
  }
}
