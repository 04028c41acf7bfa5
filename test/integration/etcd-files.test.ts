/**
 * Our db files in upstream's hands, and theirs in ours: the same history hashes alike, etcdctl saves and looks into our snapshots, each side starts from
 * the other's. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { BoltFile } from "../../src/etcd/backend/bolt/file.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { restoreSnapshot } from "../../src/etcd/tools/restore.ts";
import { saveSnapshot } from "../../src/etcd/tools/save.ts";
import { snapshotStatus } from "../../src/etcd/tools/status.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import type { EtcdClient } from "../../src/protocols/etcd/client.ts";
import { connectEtcd } from "../../src/protocols/etcd/connect.ts";

const run = promisify(execFile);
const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";
const world = machineWorld();
const b = (text: string) => Buffer.from(text);
const PORT = 21_280;

interface Running extends AsyncDisposable {
  readonly client: EtcdClient;
  readonly url: string;
}

async function ours(dataDir: string, port: number): Promise<Running> {
  const url = `http://127.0.0.1:${port}`;
  const group = new ComponentGroup();
  await group.start(
    createEtcd({ dataDir, listenClientUrls: [url] }, { ...world, log: silent, metrics: new Metrics() }),
  );
  return running(url, () => group[Symbol.asyncDispose]());
}

async function theirs(dataDir: string, port: number): Promise<Running> {
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    "/usr/bin/etcd",
    [
      "--data-dir",
      dataDir,
      "--listen-client-urls",
      url,
      "--advertise-client-urls",
      url,
      "--listen-peer-urls",
      `http://127.0.0.1:${port + 1}`,
    ],
    { stdio: "ignore" },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return running(url, async () => {
    child.kill("SIGTERM");
    await exited;
  });
}

async function running(url: string, stop: () => Promise<unknown>): Promise<Running> {
  const client = connectEtcd(world, { endpoints: [url] });
  for (let i = 0; i < 3000; i++) {
    try {
      await client.maintenance.Status({});
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    client,
    url,
    async [Symbol.asyncDispose]() {
      await client.close();
      await stop();
    },
  };
}

/** Puts, transactions, deletions, leases, a compaction. */
async function history({ kv, lease }: EtcdClient): Promise<void> {
  await lease.LeaseGrant({ ID: 77n, TTL: 1000 });
  for (let i = 0; i < 200; i++) {
    const key = b(`key-${(i * 37) % 50}`);
    if (i % 9 === 4) await kv.DeleteRange({ key });
    else if (i % 7 === 3)
      await kv.Txn({
        success: [
          { request_put: { key: b(`txn-${i % 11}`), value: b(`${i}`) } },
          { request_put: { key: b(`other-${i}`), value: Buffer.alloc(i * 20) } },
          { request_delete_range: { key: b("key-1"), range_end: b(`key-1${i % 3}`) } },
        ],
      });
    else await kv.Put({ key, value: b(`${i}`), lease: i % 5 === 0 ? 77n : 0n });
    if (i === 120) await kv.Compact({ revision: 90, physical: true });
  }
}

const keysOf = async ({ kv }: EtcdClient) => {
  const { kvs } = await kv.Range({ key: b("\0"), range_end: b("\0") });
  return kvs.map(({ key, value, ...rest }) => ({ key: `${Buffer.from(key)}`, value: value.length, ...rest }));
};

test(
  "the same history hashes alike; snapshots go both ways, and each side starts from the other's",
  { skip },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "t8s-etcd-files-"));
    const at = (name: string) => join(folder, name);
    const etcdctl = async (...args: string[]) =>
      (await run("/usr/bin/etcdctl", args, { env: { ETCDCTL_API: "3", PATH: "/usr/bin" } })).stdout.trim();
    const restore = (snapshot: string, dataDir: string) =>
      restoreSnapshot(
        world,
        {
          snapshot,
          name: "default",
          dataDir,
          walDir: "",
          peerUrls: ["http://localhost:2380"],
          initialCluster: [{ name: "default", peerUrls: ["http://localhost:2380"] }],
          initialClusterToken: "etcd-cluster",
          skipHashCheck: false,
          bumpRevision: 0,
        },
        silent,
      );
    try {
      let keys: Awaited<ReturnType<typeof keysOf>>;
      {
        await using one = await ours(at("ours"), PORT);
        await using other = await theirs(at("theirs"), PORT + 10);
        await Promise.all([history(one.client), history(other.client)]);
        keys = await keysOf(one.client);
        assert.deepEqual(await keysOf(other.client), keys);
        for (const revision of [0, 91, 100, 150]) {
          const [a, z] = await Promise.all([
            one.client.maintenance.HashKV({ revision }),
            other.client.maintenance.HashKV({ revision }),
          ]);
          assert.deepEqual([a.hash, a.compact_revision], [z.hash, z.compact_revision], `revision ${revision}`);
        }
        // Each tool at the other's server.
        await etcdctl("--endpoints", one.url, "snapshot", "save", at("from-ours"));
        assert.equal(await saveSnapshot(world.fs, other.client, at("from-theirs")), "");
      }
      for (const name of ["from-ours", "from-theirs"]) {
        const { hash, revision } = await snapshotStatus(world.fs, at(name));
        const [theirHash, theirRevision] = (await etcdctl("snapshot", "status", at(name))).split(", ");
        assert.deepEqual([hash.toString(16), String(revision)], [theirHash, theirRevision], name);
      }
      await etcdctl("snapshot", "restore", at("from-ours"), "--data-dir", at("theirs-of-ours"));
      await restore(at("from-theirs"), at("ours-of-theirs"));
      await restore(at("from-theirs"), at("theirs-of-theirs"));
      for (const [name, start] of [
        ["theirs-of-ours", theirs],
        ["ours-of-theirs", ours],
        // A data folder that we made, for upstream's server.
        ["theirs-of-theirs", theirs],
      ] as const) {
        await using restored = await start(at(name), PORT + 20);
        assert.deepEqual(await keysOf(restored.client), keys, name);
        const { keys: leased } = await restored.client.lease.LeaseTimeToLive({ ID: 77n, keys: true });
        assert.equal(leased.length, keys.filter(({ lease }) => lease === 77n).length, name);
        await restored.client.kv.Put({ key: b("more"), value: b("x") });
      }
      for (const name of ["ours", "theirs", "ours-of-theirs", "theirs-of-ours"]) {
        const file = await BoltFile.open(world.fs, at(`${name}/member/snap/db`), { readOnly: true });
        assert.deepEqual(await file.check(), [], name);
        await file.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

test("a snapshot that was changed on its way is refused", { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "t8s-etcd-files-"));
  try {
    {
      await using member = await ours(join(folder, "data"), PORT + 30);
      await member.client.kv.Put({ key: b("a"), value: b("1") });
      await saveSnapshot(world.fs, member.client, join(folder, "snapshot"));
    }
    const bytes = await world.fs.readFile(join(folder, "snapshot"));
    bytes[5000]! ^= 1;
    await world.fs.writeFile(join(folder, "snapshot"), bytes);
    const restored = run(join(import.meta.dirname, "../../bin/etcdutl"), [
      "snapshot",
      "restore",
      join(folder, "snapshot"),
      "--data-dir",
      join(folder, "restored"),
    ]);
    await assert.rejects(restored, /expected sha256/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
