/** Offline work on a db file: its hash, its defragmentation. Upstream: etcdutl/etcdutl/{hashkv,defrag}_command.go */
import type { World } from "../../world/world.ts";
import { hashKV } from "../mvcc/hash.ts";
import { openBackend } from "../mvcc/restore.ts";
import { Store } from "../mvcc/store.ts";
import { BoltBackend, type BoltBackendDeps, type BoltBackendOptions } from "../backend/bolt-backend.ts";

export interface OfflineHash {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

type Deps = Pick<World, "fs" | "clock">;

const OPTIONS: BoltBackendOptions = { batchIntervalMs: 100, batchLimit: 10_000, cacheBytes: 64 * 1024 * 1024 };

export async function offlineHash(deps: Deps, path: string, revision: number): Promise<OfflineHash> {
  const opened = await openBackend(path, { ...OPTIONS, isReadOnly: true }, fatal(deps));
  const store = new Store(opened.backend, { attach() {}, detach() {}, leaseOf: () => 0n });
  store.restore(opened.index, opened.revisions.revision, opened.revisions.compactRevision);
  store.checkReadable(revision);
  const result = {
    hash: hashKV(store, revision),
    hashRevision: revision > 0 ? revision : store.revision,
    compactRevision: store.compactRevision,
  };
  await opened.backend.close();
  return result;
}

export async function offlineDefragment(deps: Deps, path: string): Promise<{ before: number; after: number }> {
  const backend = await BoltBackend.open(path, OPTIONS, fatal(deps));
  try {
    const before = backend.sizeBytes;
    await backend.defragment();
    return { before, after: backend.sizeBytes };
  } finally {
    await backend.close();
  }
}

/** Whoever asked is told by the call that fails. */
function fatal(deps: Deps): BoltBackendDeps {
  return { ...deps, onFailure: () => {} };
}
