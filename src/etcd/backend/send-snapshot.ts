/**
 * Streams the db file to a client: pieces, each with the number of bytes that remain, and at last a hash of the whole. Writes continue meanwhile;
 * the file has the state as of the beginning.
 * Upstream: server/etcdserver/api/v3rpc/maintenance.go (Snapshot)
 */
import { createHash } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import type { SnapshotResponse } from "../../protocols/etcd/generated.ts";
import type { ServerStream } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import { duration } from "../duration.ts";
import type { BackendSnapshot } from "./backend.ts";

const PIECE_BYTES = 32 * 1024;

export async function sendSnapshot(
  snapshot: BackendSnapshot,
  stream: ServerStream<never, SnapshotResponse>,
  { clock, log, version, signal }: { clock: World["clock"]; log: Logger; version: string; signal?: AbortSignal },
): Promise<void> {
  const total = snapshot.sizeBytes;
  const started = clock.monotonic();
  log.info("sending database snapshot to client", { "total-bytes": total, "storage-version": version });
  const hash = createHash("sha256");
  let sent = 0;
  for await (const blob of snapshot.read(PIECE_BYTES)) {
    signal?.throwIfAborted();
    hash.update(blob);
    sent += blob.length;
    if (!stream.send({ remaining_bytes: total - sent, blob, version })) await stream.drained;
  }
  const digest = hash.digest();
  log.info("sending database sha256 checksum to client", { "total-bytes": total, "checksum-size": digest.length });
  stream.send({ remaining_bytes: 0, blob: digest, version });
  log.info("successfully sent database snapshot to client", {
    "total-bytes": total,
    took: duration(clock.monotonic() - started),
    "storage-version": version,
  });
}
