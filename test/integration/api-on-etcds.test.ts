/** What the API server's tests see on a stand-in for etcd, they see on etcds, too: on ours in process and over gRPC, and on Debian's. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";

const root = join(import.meta.dirname, "../..");

for (const etcd of ["process", "grpc", "/usr/bin/etcd"])
  test(`storage, reads, encryption and allocation keep what they promise on ${etcd}`, () => {
    // Without what tells a test that it is one of another's.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["tools/suite.ts", "--short", etcd], {
      cwd: root,
      encoding: "utf8",
      env,
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /\.{20}/, "dots of tests that passed");
  });
