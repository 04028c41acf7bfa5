/**
 * Lines that upstream's test harness and operators' alerts look for are in the code, word for word. When each is written is tested where it happens;
 * this keeps their words.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const WANTED = [
  "ready to serve client requests",
  "serving client traffic",
  "saved snapshot",
  "sent database snapshot",
  "applied snapshot",
  "applySnapshot: opened snapshot backend",
  "Recovering from snapshot backend",
  "finished scheduled compaction",
  "found data inconsistency with peers",
  "finished compaction hash check",
  "the cluster has been downgraded",
  "request stats",
  "apply request took too long",
  "Skipping defragmentation",
  '"snapshot-catchup-entries": options.snapshotCatchupEntries',
  "failed to find database snapshot file (snap: snapshot file doesn't exist)",
  "published local member to cluster through raft",
  "starting an etcd server",
  "finished defragmenting directory",
  "grpc service status changed",
  "starting auto periodic compaction",
  "completed auto periodic compaction",
  "received signal; shutting down",
  "conflicting environment variable",
] as const;

const root = join(import.meta.dirname, "..");
const text = globSync("{etcd,cli}/**/*.ts", { cwd: root })
  .filter((file) => !file.endsWith(".test.ts"))
  .map((file) => readFileSync(join(root, file), "utf8"))
  .join("\n");

test("lines that others look for keep their words", () => {
  assert.deepEqual(
    WANTED.filter((line) => !text.includes(line)),
    [],
  );
});
