/** A checksum over what readers can meet, equal on members that hold the same. Upstream: server/storage/mvcc/hash.go */
import { encodeRow, revisionKey } from "../backend/rows.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { Store } from "./store.ts";

/** Over every row up to `revision` (0 for now) that compaction doesn't drop, in upstream's form: key bucket, revision, value. */
export function hashKV(store: Store, revision: number): number {
  const last = revision > 0 ? revision : store.revision;
  // Of rows that a compaction has passed, dropped yet or not, only those count that are a key's present at the hashed revision.
  const kept = store.keptAt(last);
  const { compactRevision } = store;
  let crc = crc32c(Buffer.from("key"));
  store.backend.scan(0, last, (row, sub) => {
    const main = row.mod_revision;
    if (main <= compactRevision && kept.size > 0 && !kept.has(`${main}_${sub}`)) return;
    const isTombstone = row.version === 0;
    // Some versions of etcd drop a tombstone at the compacted revision, some don't.
    if (isTombstone && main === compactRevision) return;
    crc = crc32c(encodeRow(row), crc32c(revisionKey(main, sub, isTombstone), crc));
  });
  return crc;
}
