/** The contents of a db file or a saved snapshot in figures, from the file alone. Upstream: etcdutl/snapshot/v3_snapshot.go (Status) */
import type { Fs } from "../../world/fs.ts";
import { BoltFile } from "../backend/bolt/file.ts";
import { decodeFields, isTombstoneKey, mainOf } from "../backend/rows.ts";
import { crc32c } from "../wal/crc32c.ts";

export interface SnapshotStatus {
  readonly hash: number;
  readonly revision: number;
  readonly totalKey: number;
  readonly totalSize: number;
  /** Of the storage; empty before 3.6. */
  readonly version: string;
}

export async function snapshotStatus(fs: Fs, path: string): Promise<SnapshotStatus> {
  const file = await BoltFile.open(fs, path, { readOnly: true });
  try {
    const problems = await file.check();
    if (problems.length > 0)
      throw new Error(`snapshot file integrity check failed. ${problems.length} errors found.\n${problems.join("\n")}`);
    let hash = 0;
    let revision = 0;
    let version = "";
    const keys = new Set<string>();
    for (const name of file.bucketNames()) {
      hash = crc32c(name, hash);
      const bucket = Buffer.from(name).toString("latin1");
      file.scan(file.bucket(name), new Uint8Array(0), (key, value) => {
        hash = crc32c(value, crc32c(key, hash));
        if (bucket === "meta" && Buffer.from(key).toString() === "storageVersion")
          version = Buffer.from(value).toString();
        if (bucket !== "key") return;
        revision = mainOf(key);
        const { keyStart, keyEnd } = decodeFields(value);
        const text = Buffer.from(value.subarray(keyStart, keyEnd)).toString("latin1");
        if (isTombstoneKey(key)) keys.delete(text);
        else keys.add(text);
      });
    }
    return { hash, revision, totalKey: keys.size, totalSize: file.sizeBytes, version };
  } finally {
    await file.close();
  }
}
