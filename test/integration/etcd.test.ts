/**
 * Our etcd beside upstream's: upstream's command line tool against our member, upstream's log through our reader and the other way round. The same
 * requests to both are in `etcd-oracle.test.ts`. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { clusterId, memberContext, memberId } from "../../src/etcd/cluster/identity.ts";
import { readWal } from "../../src/etcd/wal/reader.ts";
import { Wal } from "../../src/etcd/wal/wal.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import type { EtcdClient } from "../../src/protocols/etcd/client.ts";
import { connectEtcd, etcdCodec } from "../../src/protocols/etcd/connect.ts";
import { InternalRaftRequest, Metadata, RaftpbConfChange } from "../../src/protocols/etcd/generated.ts";
import { machineWorld } from "../../src/cli/world.ts";

const run = promisify(execFile);
const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";
const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array) => Buffer.from(bytes).toString();

interface Running extends AsyncDisposable {
  readonly endpoint: string;
  readonly client: EtcdClient;
  readonly dataDir: string;
}

async function ours(port: number): Promise<Running> {
  const world = machineWorld();
  const dataDir = await mkdtemp(join(tmpdir(), "t8s-etcd-"));
  const endpoint = `http://127.0.0.1:${port}`;
  const group = new ComponentGroup();
  await group.start(
    createEtcd({ dataDir, listenClientUrls: [endpoint] }, { ...world, log: silent, metrics: new Metrics() }),
  );
  const client = connectEtcd(world, { endpoints: [endpoint] });
  return {
    endpoint,
    client,
    dataDir,
    async [Symbol.asyncDispose]() {
      await client.close();
      await group[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true });
    },
  };
}

/** `kill` ends it as `kill -9` does and keeps its files. */
async function upstream(port: number, onData?: string): Promise<Running & { kill(): Promise<void> }> {
  const dataDir = onData ?? (await mkdtemp(join(tmpdir(), "upstream-etcd-")));
  const endpoint = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  const child = spawn(
    "/usr/bin/etcd",
    [
      "--data-dir",
      dataDir,
      "--listen-client-urls",
      endpoint,
      "--advertise-client-urls",
      endpoint,
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--initial-cluster",
      `default=${peer}`,
    ],
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const client = connectEtcd(machineWorld(), { endpoints: [endpoint] });
  for (let attempt = 0; ; attempt++) {
    try {
      await client.kv.Range({ key: b("ready") }, { timeoutMs: 1000 });
      break;
    } catch (error) {
      if (attempt === 4000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  return {
    endpoint,
    client,
    dataDir,
    kill,
    async [Symbol.asyncDispose]() {
      await client.close();
      await kill();
      await rm(dataDir, { recursive: true });
    },
  };
}

test("our reader reads the log of an upstream etcd that was killed, and every put is in it", { skip }, async () => {
  await using theirs = await upstream(22140);
  for (let i = 0; i < 50; i++) await theirs.client.kv.Put({ key: b(`key-${i}`), value: b("v".repeat(i * 7)) });
  await theirs.kill();
  const folder = join(theirs.dataDir, "member/wal");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".wal")).sort();
  const files = await Promise.all(names.map(async (name) => ({ name, bytes: await readFile(join(folder, name)) })));
  const { entries, state, metadata, snapshots } = readWal(files, 0);
  assert.ok(metadata && state && state.commit > 50);
  assert.deepEqual(snapshots, [{ index: 0, term: 0 }]);
  const codec = etcdCodec();
  const keys = entries
    .filter(({ type, data }) => type === 0 && data.length > 0)
    .flatMap(({ data }) => {
      try {
        const { put } = codec.decode(InternalRaftRequest, data);
        return put === undefined ? [] : [s(put.key)];
      } catch {
        return []; // Requests of the v2 API, in another form.
      }
    });
  assert.deepEqual(
    keys,
    Array.from({ length: 50 }, (_, i) => `key-${i}`),
  );
});

test("upstream's etcd starts on a log that our writer wrote, and replays it", { skip }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "upstream-etcd-"));
  const codec = etcdCodec();
  const { fs, clock } = machineWorld();
  await fs.mkdir(join(dataDir, "member/snap"), { recursive: true, mode: 0o700 });
  const peerURLs = ["http://127.0.0.1:22191"];
  const id = memberId(peerURLs, "etcd-cluster");
  const folder = join(dataDir, "member/wal");
  const options = { fs, folder, log: silent, monotonic: () => clock.monotonic(), segmentBytes: 20_000 };
  const wal = await Wal.create(options, codec.encode(Metadata, { NodeID: id, ClusterID: clusterId([id]) }));
  const member = { ID: id, name: "default", peerURLs, clientURLs: [], isLearner: false };
  const joining = { id: 0n, type: "ConfChangeAddNode", node_id: id, context: memberContext(member) } as const;
  await wal.append([{ term: 1, index: 1, type: 1, data: codec.encode(RaftpbConfChange, joining) }], {
    term: 1,
    vote: 0n,
    commit: 1,
  });
  for (let index = 2; index < 200; index++) {
    const put = { key: b(`key-${index % 50}`), value: b("v".repeat(index)) };
    const data = codec.encode(InternalRaftRequest, { header: { ID: BigInt(index) }, put });
    await wal.append([{ term: 2, index, type: 0, data }], { term: 2, vote: id, commit: index - 1 });
  }
  await wal.close();
  await using theirs = await upstream(22190, dataDir);
  const { kvs, header } = await theirs.client.kv.Range({ key: b("key-"), range_end: b("key.") });
  assert.equal(header!.revision, 199);
  assert.equal(kvs.length, 50);
  assert.equal(kvs.find(({ key }) => s(key) === "key-49")!.value.length, 199);
});

test("etcdctl puts, gets, deletes, runs transactions, watches, grants and compacts", { skip }, async () => {
  await using own = await ours(22150);
  const environment = { ...process.env, ETCDCTL_API: "3" };
  // Without a scheme: with one, this old tool's `endpoint status` sends the whole URL as HTTP/2 authority, which Node refuses.
  const endpoint = own.endpoint.replace("http://", "");
  const etcdctl = async (...args: string[]) =>
    (await run("/usr/bin/etcdctl", ["--endpoints", endpoint, ...args], { env: environment })).stdout;
  const withInput = (input: string, ...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const child = execFile(
        "/usr/bin/etcdctl",
        ["--endpoints", endpoint, ...args],
        { env: environment },
        (error, out) => (error ? reject(error) : resolve(out)),
      );
      child.stdin!.end(input);
    });
  assert.equal(await etcdctl("put", "a", "1"), "OK\n");
  assert.equal(await etcdctl("get", "a"), "a\n1\n");
  assert.equal(await etcdctl("put", "b", "2", "--prev-kv"), "OK\n");
  assert.equal(await etcdctl("get", "", "--prefix", "--keys-only"), "a\n\nb\n\n");
  assert.equal(await etcdctl("del", "b", "--prev-kv"), "1\nb\n2\n");
  assert.equal(await withInput('mod("a") > "0"\n\nput a 5\nget a\n\nput c 1\n\n', "txn"), "SUCCESS\n\nOK\n\na\n5\n");
  const granted = /lease ([0-9a-f]+) granted with TTL\(60s\)/.exec(await etcdctl("lease", "grant", "60"));
  assert.ok(granted);
  assert.equal(await etcdctl("put", "l", "1", "--lease", granted[1]!), "OK\n");
  assert.match(await etcdctl("lease", "keep-alive", granted[1]!, "--once"), /keepalived with TTL\(60\)/);
  assert.match(
    await etcdctl("lease", "timetolive", granted[1]!, "--keys"),
    /granted with TTL\(60s\).*attached keys\(\[l\]\)/,
  );
  assert.match(await etcdctl("lease", "revoke", granted[1]!), /revoked/);
  assert.equal(await etcdctl("get", "l"), "");
  assert.equal(await etcdctl("compaction", "3"), "compacted revision 3\n");
  await assert.rejects(etcdctl("get", "a", "--rev", "2"), /required revision has been compacted/);
  assert.match(await etcdctl("endpoint", "status"), /8e9e05c52164694d, 3\.7\.\d+, .*true, false/);
  assert.match(await etcdctl("member", "list"), /started, default, http:\/\/localhost:2380/);
  const watching = spawn("/usr/bin/etcdctl", ["--endpoints", endpoint, "watch", "--prefix", "w", "--rev", "3"], {
    env: environment,
  });
  let seen = "";
  const saw = new Promise<void>((resolve) =>
    watching.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.endsWith("DELETE\nw1\n\n")) resolve();
    }),
  );
  await etcdctl("put", "w1", "x");
  await etcdctl("del", "w1");
  await saw;
  watching.kill();
  assert.equal(seen, "PUT\nw1\nx\nDELETE\nw1\n\n");
});

test("the JSON gateway, health and version answer as upstream's", { skip }, async () => {
  await using theirs = await upstream(22160);
  await using own = await ours(22170);
  const ask = async ({ endpoint }: Running, path: string, body: unknown) => {
    const response = await fetch(endpoint + path, { method: "POST", body: JSON.stringify(body) });
    const json = (await response.json()) as { header?: Record<string, unknown> };
    if (json.header) for (const name of ["cluster_id", "member_id", "raft_term"]) delete json.header[name];
    return [response.status, json];
  };
  for (const [path, body] of [
    ["/v3/kv/put", { key: "Zm9v", value: "YmFy" }],
    ["/v3/kv/range", { key: "Zm9v" }],
    [
      "/v3/kv/txn",
      { compare: [{ key: "Zm9v", target: "MOD", mod_revision: "2" }], success: [{ requestRange: { key: "Zm9v" } }] },
    ],
    ["/v3/lease/grant", { ID: "7", TTL: "100" }],
    ["/v3/kv/deleterange", { key: "Zm9v", prev_kv: true }],
    ["/v3/kv/range", { key: "Zm9v", revision: "99" }],
  ] as const)
    assert.deepEqual(await ask(own, path, body), await ask(theirs, path, body), path);
  const health = await fetch(`${own.endpoint}/health`);
  assert.deepEqual([health.status, await health.text()], [200, '{"health":"true","reason":""}']);
  assert.equal((await fetch(`${own.endpoint}/health`, { method: "POST" })).status, 405);
});

test("a member killed at work comes back with every put that it acknowledged, and keeps others off its data", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "t8s-etcd-"));
  const endpoint = "http://127.0.0.1:22180";
  const start = () => {
    const flags = ["--data-dir", dataDir, "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint];
    flags.push("--listen-peer-urls", "http://127.0.0.1:0");
    const child = spawn(process.execPath, ["src/cli/main.ts", "etcd", ...flags], { stdio: "ignore" });
    return { child, exited: new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal))) };
  };
  const client = connectEtcd(machineWorld(), { endpoints: [endpoint] });
  const ready = async () => {
    for (let attempt = 0; attempt < 4000; attempt++) {
      try {
        return await client.kv.Range({ key: b("k"), range_end: b("l") }, { timeoutMs: 1000 });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    throw new Error("the member doesn't come up");
  };
  let running = start();
  try {
    await ready();
    const acknowledged = new Map<string, number>();
    for (let life = 1; life <= 3; life++) {
      let isDead = false;
      const writers = Array.from({ length: 16 }, async (_, writer) => {
        try {
          for (let i = life * 1000; ; i++) {
            await client.kv.Put({ key: b(`k${writer}`), value: b(String(i)) });
            if (isDead) return;
            acknowledged.set(`k${writer}`, i);
          }
        } catch {
          // The kill.
        }
      });
      while ([...acknowledged.values()].filter((i) => i > life * 1000 + 5).length < 16)
        await new Promise((resolve) => setTimeout(resolve, 5));
      running.child.kill("SIGKILL");
      isDead = true;
      await running.exited;
      await Promise.all(writers);
      running = start();
      const { kvs } = await ready();
      assert.equal(kvs.length, 16);
      for (const kv of kvs)
        assert.ok(Number(s(kv.value)) >= acknowledged.get(s(kv.key))!, `${s(kv.key)}: ${s(kv.value)} is there`);
    }
    assert.notEqual(await start().exited, 0);
  } finally {
    running.child.kill("SIGTERM");
    assert.equal(await running.exited, "SIGTERM", "of which it dies in order, as upstream's");
    await client.close();
    await rm(dataDir, { recursive: true });
  }
});
