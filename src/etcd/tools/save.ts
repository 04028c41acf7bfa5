/**
 * Saves a snapshot of a running member into a file.
 *
 * Upstream: client/v3/snapshot/v3_snapshot.go (Save)
 */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { Fs } from "../../world/fs.ts";

const HASH_BYTES = 32;
const SECTOR = 512;

/** Gives the version of the storage that the member told; empty before 3.6. */
export async function saveSnapshot(fs: Fs, client: Pick<EtcdClient, "maintenance">, path: string): Promise<string> {
  const part = `${path}.part`;
  let version = "";
  try {
    await using file = await fs.open(part, { write: true, create: true, truncate: true, mode: 0o600 });
    let size = 0;
    for await (const response of client.maintenance.Snapshot({})) {
      if (response.version !== "") version = response.version;
      await file.write(size, [response.blob]);
      size += response.blob.length;
    }
    if (size % SECTOR !== HASH_BYTES) throw new Error(`sha256 checksum not found [bytes: ${size}]`);
    await file.sync();
  } catch (error) {
    await fs.remove(part);
    throw error;
  }
  await fs.rename(part, path);
  return version;
}
