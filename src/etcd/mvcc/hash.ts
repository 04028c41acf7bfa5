/** A checksum over what readers can meet, equal on members that hold the same. Upstream: server/storage/mvcc/hash.go */
import { MvccpbKeyValue } from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { Store } from "./store.ts";

/** Over every row up to `revision` (0 for now) that compaction doesn't drop, in upstream's form: key bucket, revision, value. */
export function hashKV(store: Store, revision: number, codec: Codec): number {
  const last = revision > 0 ? revision : store.revision;
  // Of rows that a compaction has passed, dropped yet or not, only those count that are a key's present at the hashed revision.
  const kept = store.keptAt(last);
  let crc = crc32c(Buffer.from("key"));
  store.backend.scan(0, last, (row, sub) => {
    const main = row.mod_revision;
    if (main <= store.compactRevision && kept.size > 0 && !kept.has(`${main}_${sub}`)) return;
    const tombstone = row.version === 0;
    const name = Buffer.alloc(tombstone ? 18 : 17);
    name.writeBigUInt64BE(BigInt(main), 0);
    name[8] = 0x5f; // "_"
    name.writeBigUInt64BE(BigInt(sub), 9);
    if (tombstone) name[17] = 0x74; // "t"
    crc = crc32c(name, crc);
    crc = crc32c(codec.encodeTransient(MvccpbKeyValue, tombstone ? { key: row.key } : row), crc);
  });
  return crc;
}
