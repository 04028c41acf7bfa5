/**
 * Our etcd beside upstream's: the same requests through the same client, answers compared field by field; upstream's command line tool against
 * our member; upstream's log through our reader. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { clusterId, memberContext, memberId } from "../../src/etcd/cluster/identity.ts";
import { readWal } from "../../src/etcd/wal/reader.ts";
import { Wal } from "../../src/etcd/wal/wal.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import type { EtcdClient } from "../../src/protocols/etcd/client.ts";
import { connectEtcd, etcdCodec } from "../../src/protocols/etcd/connect.ts";
import {
  InternalRaftRequest,
  Metadata,
  RaftpbConfChange,
  type Compare,
  type RequestOp,
  type TxnRequest,
} from "../../src/protocols/etcd/generated.ts";
import { RpcError, type Init } from "../../src/wire/rpc/service.ts";
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
      if (attempt === 200) throw error;
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

/** What two clusters may differ in is left out; bytes become text. */
function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return s(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([name, item]) =>
          !["cluster_id", "member_id", "raft_term", "hash_revision"].includes(name) && item !== undefined,
      )
      .map(([name, item]) => [name, comparable(item)]),
  );
}

async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return comparable(await work);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { code: error.code, message: error.message };
  }
}

type Step = { readonly name: string; readonly run: (client: EtcdClient, revision: number) => Promise<unknown> };

const key = fc.constantFrom("a", "b", "c", "d", "dd", "e").map(b);
const anyKey = fc.oneof({ weight: 20, arbitrary: key }, { weight: 1, arbitrary: fc.constant(b("")) });
const end = fc.oneof(
  { weight: 4, arbitrary: fc.constant(b("")) },
  { weight: 1, arbitrary: fc.constantFrom("c", "e", "z", "\0").map(b) },
);
const value = fc.constantFrom("", "x", "y", "zz").map(b);
const lease = fc.constantFrom(0n, 0n, 0n, 1n, 2n, 9n);
/** Relative to the present, so that past, compacted and future ones all come up. */
const back = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.integer({ min: -1, max: 12 }) },
);
const revisionOf = (back: number | undefined, revision: number) =>
  back === undefined ? 0 : Math.max(1, revision - back);

const put = fc.record({
  key: anyKey,
  value,
  lease,
  prev_kv: fc.boolean(),
  ignore_value: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  ignore_lease: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
const deletion = fc.record({ key: anyKey, range_end: end, prev_kv: fc.boolean() });
const range = fc.record({
  key: anyKey,
  range_end: end,
  limit: fc.constantFrom(0, 0, 1, 2),
  sort_order: fc.constantFrom("NONE" as const, "NONE" as const, "ASCEND" as const, "DESCEND" as const),
  sort_target: fc.constantFrom("KEY" as const, "KEY" as const, "MOD" as const, "CREATE" as const),
  serializable: fc.boolean(),
  keys_only: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  count_only: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  min_mod_revision: fc.constantFrom(0, 0, 0, 5),
  max_create_revision: fc.constantFrom(0, 0, 0, 20),
});
const compare: fc.Arbitrary<Init<Compare>> = fc
  .record({
    key: anyKey,
    range_end: end,
    result: fc.constantFrom("EQUAL" as const, "NOT_EQUAL" as const, "GREATER" as const, "LESS" as const),
  })
  .chain((base) =>
    fc.oneof(
      fc.constantFrom(0, 1, 2).map((version) => ({ ...base, target: "VERSION" as const, version })),
      fc.constantFrom(0, 3).map((mod_revision) => ({ ...base, target: "MOD" as const, mod_revision })),
      fc.constantFrom(0, 3).map((create_revision) => ({ ...base, target: "CREATE" as const, create_revision })),
      value.map((value) => ({ ...base, target: "VALUE" as const, value })),
      lease.map((lease) => ({ ...base, target: "LEASE" as const, lease })),
    ),
  );
const { txn } = fc.letrec<{ txn: Init<TxnRequest>; op: Init<RequestOp> }>((tie) => ({
  txn: fc.record({
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie("op"), { maxLength: 3 }),
    failure: fc.array(tie("op"), { maxLength: 2 }),
  }),
  op: fc.oneof(
    { maxDepth: 2, depthIdentifier: "txn" },
    put.map((request_put) => ({ request_put })),
    range.map((request_range) => ({ request_range })),
    deletion.map((request_delete_range) => ({ request_delete_range })),
    tie("txn").map((request_txn) => ({ request_txn })),
  ),
}));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: put.map((r): Step => ({ name: "Put", run: ({ kv }) => kv.Put(r) })) },
  { weight: 2, arbitrary: deletion.map((r): Step => ({ name: "DeleteRange", run: ({ kv }) => kv.DeleteRange(r) })) },
  {
    weight: 5,
    arbitrary: fc.tuple(range, back).map(([r, back]): Step => ({
      name: "Range",
      run: ({ kv }, now) => kv.Range({ ...r, revision: revisionOf(back, now) }),
    })),
  },
  { weight: 6, arbitrary: txn.map((r): Step => ({ name: "Txn", run: ({ kv }) => kv.Txn(r) })) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -1, max: 10 }).map((back): Step => ({
      name: "Compact",
      run: ({ kv }, now) => kv.Compact({ revision: revisionOf(back, now), physical: true }),
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(1n, 2n)
      .map((ID): Step => ({ name: "LeaseGrant", run: ({ lease }) => lease.LeaseGrant({ ID, TTL: 1000 }) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(1n, 2n, 9n)
      .map((ID): Step => ({ name: "LeaseRevoke", run: ({ lease }) => lease.LeaseRevoke({ ID }) })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1n, 2n, 9n).map((ID): Step => ({
      name: "LeaseTimeToLive",
      run: async ({ lease }) => {
        const answer = await lease.LeaseTimeToLive({ ID, keys: true });
        return { ...answer, TTL: 0, keys: answer.keys.map(s).sort() }; // Upstream tells the keys in Go's map order.
      },
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>({
      name: "HashKV",
      run: async ({ kv, maintenance }) => {
        // With no key alive, 3.4 hashes what later versions don't: they keep a tombstone that stands at the compaction.
        await kv.Put({ key: b("h") });
        return maintenance.HashKV({});
      },
    }),
  },
);

test("our etcd answers as upstream's, request for request", { skip }, async (context) => {
  await using theirs = await upstream(22100);
  await using own = await ours(22110);
  const counts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      for (const { name, run } of steps) {
        const revision = (await theirs.client.kv.Range({ key: b("x") })).header!.revision;
        const [want, got] = await Promise.all([
          outcome(run(theirs.client, revision)),
          outcome(run(own.client, revision)),
        ]);
        assert.deepEqual(got, want, name);
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }),
    // Both keep their state from run to run, so a failure can't be shrunk.
    { numRuns: 60, endOnFailure: true, seed: Number(process.env["SEED"] ?? 1) },
  );
  context.diagnostic([...counts].map(([name, count]) => `${name} ${count}`).join(", "));
});

test("a watch over the same history tells the same events", { skip }, async () => {
  await using theirs = await upstream(22120);
  await using own = await ours(22130);
  const tell = async ({ kv, watch }: EtcdClient): Promise<unknown[]> => {
    for (let i = 0; i < 10; i++) await kv.Put({ key: b(`k${i % 3}`), value: b(`${i}`) });
    await kv.Compact({ revision: 4 });
    const stream = watch.Watch();
    const range = { key: b("k"), range_end: b("l") };
    stream.send({ create_request: { ...range, start_revision: 6, prev_kv: true } });
    stream.send({ create_request: { ...range, start_revision: 4, filters: ["NOPUT"] } });
    stream.send({ create_request: { ...range, start_revision: 2 } });
    stream.send({ create_request: { key: b("z"), range_end: b("a") } });
    stream.send({ create_request: { key: b("k0"), watch_id: 1n } });
    const responses = stream[Symbol.asyncIterator]();
    const seen: { readonly watch: bigint; readonly what: unknown }[] = [];
    const done = (async () => {
      for (;;) {
        const { value: response } = await responses.next();
        const { watch_id: watch, created, canceled, compact_revision, cancel_reason, events } = response!;
        if (created || canceled) seen.push({ watch, what: { created, canceled, compact_revision, cancel_reason } });
        // How events are cut into answers is each server's own affair.
        for (const event of events) {
          seen.push({ watch, what: comparable(event) });
          if (s(event.kv!.key) === "k9") return;
        }
      }
    })();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (seen.length >= 7) break;
    }
    await kv.Txn({
      success: [
        { request_put: { key: b("k0"), value: b("txn") } },
        { request_put: { key: b("k5"), value: b("txn") } },
        { request_delete_range: { key: b("k1") } },
      ],
    });
    await kv.Put({ key: b("k9"), value: b("end") });
    await done;
    stream.cancel();
    // Of each watcher in order; between watchers there is none.
    return seen.sort((a, b) => Number(a.watch - b.watch));
  };
  const [want, got] = [await tell(theirs.client), await tell(own.client)];
  assert.deepEqual(got, want);
});

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
    for (let attempt = 0; attempt < 200; attempt++) {
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
