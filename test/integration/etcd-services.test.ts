/**
 * The services around the store, beside upstream's: the JSON gateway path by path, locks and elections with upstream's command line tool and
 * npm's client, WebSockets, health, and the process itself. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Etcd3 } from "etcd3";
import WebSocket from "ws";
import { freePorts } from "../../src/testing/free-ports.ts";

const run = promisify(execFile);
const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";
const root = join(import.meta.dirname, "../..");
const base64 = (text: string) => Buffer.from(text).toString("base64");

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly readyMs: number;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

const started: { readonly child: ChildProcess; readonly dataDir: string | undefined }[] = [];
after(async () => {
  for (const { child, dataDir } of started) {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    }
    if (dataDir !== undefined) await rm(dataDir, { recursive: true, force: true });
  }
});

/** One member of ours or upstream's in a process of its own. */
async function start(
  program: string,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Running> {
  const [client, peer] = await freePorts(2);
  const dataDir = await mkdtemp(join(tmpdir(), "etcd-services-"));
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const begun = performance.now();
  const child = spawn(
    program,
    [
      "--data-dir",
      dataDir,
      "--listen-client-urls",
      url,
      "--advertise-client-urls",
      url,
      "--listen-peer-urls",
      peerUrl,
      "--initial-advertise-peer-urls",
      peerUrl,
      "--initial-cluster",
      `default=${peerUrl}`,
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env } },
  );
  started.push({ child, dataDir });
  let log = "";
  const exited = new Promise<Awaited<Running["exited"]>>((resolve) =>
    // With all that it has said.
    child.once("close", (code, signal) => resolve({ code, signal })),
  );
  await new Promise<void>((resolve, reject) => {
    const onData = (data: Buffer) => {
      log += data.toString();
      if (log.includes("serving client traffic")) resolve();
    };
    child.stdout!.on("data", onData);
    child.stderr!.on("data", onData);
    void exited.then((how) =>
      reject(new Error(`${program} ended before it was ready: ${JSON.stringify(how)}\n${log}`)),
    );
  });
  return { url, child, log: () => log, readyMs: performance.now() - begun, exited };
}

const ours = (flags?: readonly string[], env?: Record<string, string>) => start(join(root, "bin/etcd"), flags, env);
const upstream = () => start("/usr/bin/etcd", ["--logger", "zap"]);

async function post(url: string, path: string, body: unknown): Promise<{ status: number; json: unknown }> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, json: text === "" ? undefined : JSON.parse(text) };
}

/** The first line of an answer that doesn't end. */
async function firstLine(url: string, path: string, body: unknown): Promise<unknown> {
  const stop = new AbortController();
  const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), signal: stop.signal });
  let text = "";
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  stop.abort();
  return JSON.parse(text.slice(0, text.indexOf("\n")));
}

/** What two members may differ in is left out; what must only be there is marked. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !["cluster_id", "member_id", "raft_term"].includes(name))
      .map(([name, item]) => [name, VARYING.has(name) ? "there" : comparable(item)])
      .sort(([a], [b]) => (a! < b! ? -1 : 1)),
  );
}
const VARYING = new Set([
  "hash",
  "dbSize",
  "dbSizeInUse",
  "raftIndex",
  "raftAppliedIndex",
  "raftTerm",
  "leader",
  "version",
]);

const GATEWAY: readonly (readonly [path: string, body: unknown])[] = [
  ["/v3/kv/put", { key: base64("a"), value: base64("1") }],
  ["/v3/kv/put", { key: base64("b"), value: base64("2"), prev_kv: true }],
  ["/v3/kv/put", { key: base64("b"), value: base64("3"), prev_kv: true }],
  ["/v3/kv/put", {}],
  ["/v3/kv/put", { key: base64("a"), lease: "404" }],
  ["/v3beta/kv/range", { key: base64("a") }],
  ["/v3/kv/range", { key: base64("a"), range_end: base64("c"), limit: "1" }],
  ["/v3/kv/range", { key: base64("a"), rangeEnd: base64("c"), sort_order: "DESCEND", sort_target: "KEY" }],
  ["/v3/kv/range", { key: base64("a"), range_end: base64("c"), count_only: true }],
  ["/v3/kv/range", { key: base64("a"), revision: "99" }],
  ["/v3/kv/range", { key: base64("a"), nobody: "knows this" }],
  [
    "/v3/kv/txn",
    {
      compare: [{ key: base64("a"), target: "VALUE", result: "EQUAL", value: base64("1") }],
      success: [{ request_put: { key: base64("c"), value: base64("4") } }, { request_range: { key: base64("c") } }],
      failure: [{ request_delete_range: { key: base64("a") } }],
    },
  ],
  ["/v3/kv/txn", { success: [{ requestDeleteRange: { key: base64("c"), prev_kv: true } }] }],
  ["/v3/kv/txn", { success: [1, 2].map(() => ({ request_put: { key: base64("x"), value: base64("1") } })) }],
  ["/v3/kv/deleterange", { key: base64("b"), prev_kv: true }],
  ["/v3/kv/compaction", { revision: "3" }],
  ["/v3/kv/compaction", { revision: "2" }],
  ["/v3/kv/compaction", { revision: 77 }],
  ["/v3/kv/range", { key: base64("a"), revision: 1 }],
  ["/v3/lease/grant", { ID: "700", TTL: "60" }],
  ["/v3/lease/grant", { ID: "700", TTL: "60" }],
  ["/v3/lease/grant", { ID: "701", TTL: "99999999999" }],
  ["/v3/kv/put", { key: base64("leased"), value: base64("v"), lease: "700" }],
  ["/v3/lease/timetolive", { ID: "404" }],
  ["/v3/kv/lease/timetolive", { ID: "404" }],
  ["/v3/lease/leases", {}],
  ["/v3/kv/lease/leases", {}],
  ["/v3/lease/revoke", { ID: "700" }],
  ["/v3/kv/lease/revoke", { ID: "700" }],
  ["/v3/maintenance/hash", {}],
  ["/v3/maintenance/defragment", {}],
  ["/v3/maintenance/transfer-leadership", { targetID: "404" }],
  ["/v3/cluster/member/remove", { ID: "404" }],
  ["/v3/cluster/member/promote", { ID: "404" }],
  ["/v3/cluster/member/update", { ID: "404", peerURLs: ["http://127.0.0.1:1"] }],
  ["/v3/lock/lock", { name: base64("l"), lease: "404" }],
  ["/v3/lock/unlock", { key: base64("l/404") }],
  ["/v3/lease/grant", { ID: "702", TTL: "600" }],
  ["/v3/lock/lock", { name: base64("l"), lease: "702" }],
  ["/v3/election/leader", { name: base64("e") }],
  ["/v3/election/campaign", { name: base64("e"), value: base64("me"), lease: "702" }],
  ["/v3/election/leader", { name: base64("e") }],
  ["/v3/election/proclaim", { value: base64("x") }],
  ["/v3/election/proclaim", { leader: { name: base64("e"), key: base64("e/1"), rev: "1", lease: "1" } }],
  ["/v3/election/resign", {}],
  ["/v3/election/resign", { leader: { name: base64("e"), key: base64("e/2be"), rev: "1", lease: "702" } }],
  ["/v3/auth/role/add", { name: "r" }],
  ["/v3/auth/role/add", { name: "r" }],
  ["/v3/auth/role/grant", { name: "r", perm: { permType: "READWRITE", key: base64("a"), range_end: base64("b") } }],
  ["/v3/auth/role/get", { role: "r" }],
  ["/v3/auth/role/list", {}],
  ["/v3/auth/role/revoke", { role: "r", key: base64("a"), range_end: base64("b") }],
  ["/v3/auth/role/delete", { role: "r" }],
  ["/v3/auth/role/delete", { role: "r" }],
  ["/v3/auth/user/add", { name: "u", password: "p" }],
  ["/v3/auth/user/get", { name: "u" }],
  ["/v3/auth/user/list", {}],
  ["/v3/auth/user/changepw", { name: "u", password: "q" }],
  ["/v3/auth/user/grant", { user: "u", role: "root" }],
  ["/v3/auth/user/delete", { name: "u" }],
  ["/v3/auth/enable", {}],
  ["/v3/auth/disable", {}],
  ["/v3/auth/authenticate", { name: "u", password: "p" }],
];
/** Codes whose status has changed since the gateway of 3.4: FailedPrecondition was 412. */
const NEW_STATUS: Readonly<Record<number, number>> = { 412: 400 };

test("the gateway answers each path as upstream's does", { skip }, async (t) => {
  const [mine, theirs] = await Promise.all([ours(), upstream()]);
  for (const [path, body] of GATEWAY) {
    const expected = await post(theirs.url, path, body);
    const actual = await post(mine.url, path, body);
    await t.test(`${path} ${JSON.stringify(body).slice(0, 60)}`, () => {
      assert.deepEqual(comparable(actual.json), comparable(expected.json));
      assert.equal(actual.status, NEW_STATUS[expected.status] ?? expected.status);
    });
  }
  for (const [path, body] of [
    ["/v3/watch", { create_request: { key: base64("a"), start_revision: "4" } }],
    ["/v3/watch", { create_request: { key: base64("c"), start_revision: "1" } }],
    ["/v3/lease/keepalive", { ID: "404" }],
    ["/v3/election/observe", { name: base64("e") }],
  ] as const) {
    await t.test(`${path} ${JSON.stringify(body)}`, async () => {
      if (path.endsWith("observe"))
        for (const { url } of [mine, theirs])
          assert.equal((await post(url, "/v3/kv/put", { key: base64("e/1"), value: base64("v") })).status, 200);
      assert.deepEqual(
        comparable(await firstLine(mine.url, path, body)),
        comparable(await firstLine(theirs.url, path, body)),
      );
    });
  }
  await t.test("pages and methods", async () => {
    for (const [method, path] of [
      ["GET", "/health"],
      ["PUT", "/health"],
      ["PUT", "/version"],
      ["GET", "/nosuch"],
      ["GET", "/"],
      ["OPTIONS", "/v3/kv/range"],
    ] as const) {
      const [actual, expected] = await Promise.all([mine, theirs].map(({ url }) => fetch(`${url}${path}`, { method })));
      assert.equal(actual!.status, expected!.status, `${method} ${path}`);
      for (const header of ["content-type", "allow", "access-control-allow-origin", "access-control-allow-methods"])
        assert.equal(actual!.headers.get(header), expected!.headers.get(header), `${method} ${path}: ${header}`);
      await Promise.all([actual!.text(), expected!.text()]);
    }
    for (const path of ["/livez", "/readyz?verbose", "/readyz/linearizable_read"])
      assert.equal((await fetch(`${mine.url}${path}`)).status, 200, path);
  });
});

test("a watch goes through the gateway over a WebSocket, and so does a single question", { skip }, async () => {
  const { url } = await ours();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v3/watch`);
  const messages: { result: { created?: boolean; events?: { kv: { value: string } }[] } }[] = [];
  const arrived = () => new Promise((resolve) => socket.once("message", resolve));
  socket.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString())));
  await new Promise((resolve) => socket.once("open", resolve));
  let next = arrived();
  socket.send(JSON.stringify({ create_request: { key: base64("w") } }));
  await next;
  assert.equal(messages[0]!.result.created, true);
  next = arrived();
  await post(url, "/v3/kv/put", { key: base64("w"), value: base64("seen") });
  await next;
  assert.equal(messages[1]!.result.events![0]!.kv.value, base64("seen"));
  socket.close();

  const single = new WebSocket(`${url.replace("http", "ws")}/v3/kv/range`);
  await new Promise((resolve) => single.once("open", resolve));
  const answer = new Promise<string>((resolve) => single.once("message", (data: Buffer) => resolve(data.toString())));
  single.send(JSON.stringify({ key: base64("w") }));
  assert.equal(JSON.parse(await answer).count, "1");
  single.close();
});

test("etcdctl's lock and elect work, and stand in one queue with the server's own", { skip }, async () => {
  const { url } = await ours();
  const env = { ...process.env, ETCDCTL_API: "3" };
  const etcdctl = (...args: string[]) => {
    const child = spawn("/usr/bin/etcdctl", ["--endpoints", url, ...args], {
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    started.push({ child, dataDir: undefined });
    return child;
  };
  const says = (child: ChildProcess, what: RegExp) =>
    new Promise<void>((resolve) => {
      let text = "";
      child.stdout!.on("data", (data: Buffer) => {
        text += data.toString();
        if (what.test(text)) resolve();
      });
    });
  const holder = etcdctl("lock", "both");
  await says(holder, /^both\/[0-9a-f]+\n/);
  let mineHas = false;
  const mine = post(url, "/v3/lock/lock", { name: base64("both") }).then((answer) => {
    mineHas = true;
    return answer;
  });
  const waiting = async () =>
    (await post(url, "/v3/kv/range", { key: base64("both/"), range_end: base64("both0") })).json;
  while (((await waiting()) as { count?: string }).count !== "2");
  assert.equal(mineHas, false);
  holder.kill("SIGINT");
  const { status, json } = await mine;
  assert.equal(status, 200);
  const inside = run("/usr/bin/etcdctl", ["--endpoints", url, "lock", "both", "echo", "inside"], { env });
  while (((await waiting()) as { count?: string }).count !== "2");
  await post(url, "/v3/lock/unlock", { key: (json as { key: string }).key });
  assert.equal((await inside).stdout.trim(), "inside");

  const leader = etcdctl("elect", "e", "first");
  await says(leader, /^e\/[0-9a-f]+\nfirst\n/);
  const listener = etcdctl("elect", "e", "--listen");
  await says(listener, /^e\/[0-9a-f]+\nfirst\n/);
  listener.kill("SIGINT");
  leader.kill("SIGINT");
});

test("npm's etcd3 locks, elects, leases and watches", { skip }, async () => {
  const { url } = await ours();
  const client = new Etcd3({ hosts: url });
  const lock = await client.lock("l").acquire();
  await assert.rejects(client.lock("l").acquire());
  await lock.release();
  await (await client.lock("l").acquire()).release();

  const election = client.election("e");
  const campaign = election.campaign("candidate");
  await new Promise((resolve) => campaign.once("elected", resolve));
  assert.equal(await election.leader(), "candidate");
  const observer = await election.observe();
  assert.equal(observer.leader(), "candidate");
  await observer.cancel();
  await campaign.resign();

  const watcher = await client.watch().prefix("w/").create();
  const seen = new Promise<string>((resolve) => watcher.once("put", ({ key }) => resolve(key.toString())));
  const lease = client.lease(10);
  await lease.put("w/1").value("v");
  assert.equal(await seen, "w/1");
  await lease.revoke();
  assert.equal(await client.get("w/1").string(), null);
  await watcher.cancel();
  client.close();
});

test("a member is ready soon, tells its log in JSON, and dies of SIGTERM in order", { skip }, async () => {
  const member = await ours(["--max-request-bytes", "1000000"], { ETCD_SNAPSHOT_COUNT: "50", ETCD_NO_SUCH: "1" });
  const lines = member
    .log()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const line of lines) {
    assert.match(String(line["ts"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(String(line["level"]), /^(info|warn)$/);
    assert.match(String(line["caller"]), /^[\w-]+\/[\w-]+\.ts:\d+$/);
  }
  const messages = lines.map(({ msg }) => msg);
  assert.ok(messages.some((message) => String(message).startsWith("serving client traffic")));
  assert.ok(
    lines.some(
      (line) => line["msg"] === "unrecognized environment variable" && line["environment-variable"] === "ETCD_NO_SUCH",
    ),
  );
  member.child.kill("SIGTERM");
  assert.deepEqual(await member.exited, { code: null, signal: "SIGTERM" });
});

test("a flag and its variable together are refused", { skip }, async () => {
  await assert.rejects(
    ours(["--snapshot-count", "10"], { ETCD_SNAPSHOT_COUNT: "50" }),
    /conflicting environment variable \\?"ETCD_SNAPSHOT_COUNT\\?" is shadowed by corresponding command-line flag/,
  );
});

test(
  "failpoints are listed, set and cleared over HTTP, and a panic ends the member at its place",
  { skip },
  async () => {
    const [control] = await freePorts(1);
    const member = await ours([], { GOFAIL_HTTP: `127.0.0.1:${control}`, GOFAIL_FAILPOINTS: "walAfterSync=print" });
    const at = `http://127.0.0.1:${control}`;
    assert.match(await (await fetch(`${at}/`)).text(), /^walAfterSync=print$/m);
    assert.ok(Number(await (await fetch(`${at}/walAfterSync/count`)).text()) > 0);
    const slow = "sleep(100)";
    assert.equal((await fetch(`${at}/raftBeforeSave`, { method: "PUT", body: slow })).status, 204);
    const begun = performance.now();
    assert.equal((await post(member.url, "/v3/kv/put", { key: base64("k") })).status, 200);
    assert.ok(performance.now() - begun >= 100);
    assert.equal((await fetch(`${at}/raftBeforeSave`, { method: "DELETE" })).status, 204);
    assert.equal((await fetch(`${at}/raftAfterSave`, { method: "PUT", body: "panic" })).status, 204);
    await assert.rejects(post(member.url, "/v3/kv/put", { key: base64("k") }));
    assert.deepEqual(await member.exited, { code: 2, signal: null });
    assert.match(member.log(), /panic: failpoint panic: \{\}/);
  },
);

test("pages have ports of their own, and hosts and origins are checked where the flags say so", { skip }, async () => {
  const [pages] = await freePorts(1);
  const { url } = await ours([
    "--listen-metrics-urls",
    `http://127.0.0.1:${pages}`,
    "--host-whitelist",
    "etcd.example",
    "--cors",
    "http://good.example",
    "--enable-grpc-gateway=false",
    "--metrics",
    "extensive",
  ]);
  const ask = async (path: string, headers: string[] = []) => {
    const { stdout } = await run("curl", ["-s", "-i", ...headers.flatMap((header) => ["-H", header]), `${url}${path}`]);
    return stdout;
  };
  assert.match(await ask("/version"), /^HTTP\/1\.1 421 /);
  const allowed = await ask("/version", ["Host: etcd.example:1", "Origin: http://good.example"]);
  assert.match(allowed, /^HTTP\/1\.1 200 /);
  assert.match(allowed, /access-control-allow-origin: http:\/\/good\.example/i);
  assert.doesNotMatch(await ask("/version", ["Host: etcd.example", "Origin: http://bad.example"]), /allow-origin/i);
  assert.match(await ask("/v3/kv/range", ["Host: etcd.example"]), /^HTTP\/1\.1 404 /);
  const metrics = await (await fetch(`http://127.0.0.1:${pages}/metrics`)).text();
  assert.match(metrics, /^etcd_server_has_leader 1$/m);
  assert.match(metrics, /^process_resident_memory_bytes \d+/m);
  assert.equal((await fetch(`http://127.0.0.1:${pages}/v3/kv/range`, { method: "POST" })).status, 404);
});
