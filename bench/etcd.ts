/**
 * What does each kind of request cost, ours beside Debian's etcd? Both servers are processes of their own on the same disk, loaded in short turns by the
 * same client, so that whatever else the machine does hits both. Each row has requests a second, the 99th percentile, and CPU per request of the
 * whole server process, with the ratios; then starts, memory, compaction, and puts to clusters of three.
 *
 *     sh tools/node.sh bench/etcd.ts [part of a row's name]…
 *
 * BENCH_SECONDS is the time a turn takes (0.6), BENCH_ROUNDS the turns of each server (2), BENCH_KEYS the keys of the large store (200,000),
 * BENCH_DIR where data goes (/var/tmp), BENCH_ONLY=t8s leaves Debian's out, BENCH_PROFILE=FOLDER leaves CPU profiles of ours there.
 */
import { existsSync } from "node:fs";
import { etcdCodec } from "../src/protocols/etcd/connect.ts";
import {
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchRequest,
} from "../src/protocols/etcd/generated.ts";
import { framed, PREFIX_BYTES } from "../src/wire/rpc/frames.ts";
import type { Init, MessageType } from "../src/wire/rpc/service.ts";
import { type EtcdServer, type Kind, placeAt, startEtcd } from "./kit/etcd-servers.ts";
import { type Call, type Client, drive, grpcHeaders, GrpcConnection } from "./kit/grpc-load.ts";
import { quantile } from "./kit/report.ts";

const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 0.6);
const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 2);
const LARGE_KEYS = Number(process.env["BENCH_KEYS"] ?? 200_000);
const LARGE_VALUE_BYTES = Number(process.env["BENCH_VALUE_BYTES"] ?? 256);
const PORT = Number(process.env["BENCH_PORT"] ?? 22_500);
const only = process.argv.slice(2);
const KINDS: readonly Kind[] =
  process.env["BENCH_ONLY"] !== undefined
    ? [process.env["BENCH_ONLY"] as Kind]
    : existsSync("/usr/bin/etcd")
      ? ["etcd", "t8s"]
      : ["t8s"];

/** Keys that puts and ranges go to, all there before ranges are asked for. */
const KEYS = 20_000;
const VALUE = Buffer.alloc(256, "v");
const CLIENTS_A_CONNECTION = 10;

const codec = etcdCodec();
function message<T>(type: MessageType<T>, value: Init<T>): Buffer {
  const bytes = framed(codec.encode(type, value, PREFIX_BYTES));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const PUT = grpcHeaders("/etcdserverpb.KV/Put");
const RANGE = grpcHeaders("/etcdserverpb.KV/Range");
const TXN = grpcHeaders("/etcdserverpb.KV/Txn");
const WATCH = grpcHeaders("/etcdserverpb.Watch/Watch");
const GRANT = grpcHeaders("/etcdserverpb.Lease/LeaseGrant");
const REVOKE = grpcHeaders("/etcdserverpb.Lease/LeaseRevoke");

const keyOf = (number: number) => String(number % KEYS).padStart(8, "0");

/** The same message with another key each time, written over in its place: what is sent is copied. */
function walking(headers: Call["headers"], bytes: Buffer, client: number): Client {
  const at = bytes.indexOf("00000000");
  const call: Call = { headers, message: bytes };
  let number = client * 7919;
  return {
    next() {
      number += 31;
      bytes.write(keyOf(number), at, 8, "latin1");
      return call;
    },
  };
}

const putter = (client: number): Client =>
  walking(PUT, message(PutRequest, { key: Buffer.from("00000000"), value: VALUE }), client);
const getter = (client: number): Client =>
  walking(RANGE, message(RangeRequest, { key: Buffer.from("00000000") }), client);
const lister = (): Client => {
  const all = { key: Buffer.from(keyOf(0)), range_end: Buffer.from(keyOf(1000)) };
  const call: Call = { headers: RANGE, message: message(RangeRequest, all) };
  return { next: () => call };
};
/** Three reads a write. */
const mixer = (client: number): Client => {
  const [get, put] = [getter(client), putter(client)];
  let calls = client;
  return { next: () => (calls++ % 4 === 0 ? put : get).next() };
};
/** Each has a key of its own and swaps it for the revision that it put there last; now and then it has to learn that one first. */
const swapper = (client: number): Client => {
  const key = Buffer.from(`swap${client}`);
  let revision = 0;
  return {
    next: () => ({
      headers: TXN,
      message: message(TxnRequest, {
        compare: [{ key, target: "MOD", result: "EQUAL", mod_revision: revision }],
        success: [{ request_put: { key, value: VALUE } }],
        failure: [{ request_put: { key, value: VALUE } }],
      }),
    }),
    learn: (buffer, start, end) => {
      revision = revisionIn(buffer, start + PREFIX_BYTES, end);
    },
  };
};
let lastLease = BigInt(Date.now()) << 20n;
/** Grants a lease, hangs a key on it, and revokes both. */
const leaser = (client: number): Client => {
  let lease = 0n;
  let step = 2;
  const key = Buffer.from(`lease${client}`);
  return {
    next() {
      step = (step + 1) % 3;
      if (step === 0) {
        lease = ++lastLease;
        return { headers: GRANT, message: message(LeaseGrantRequest, { ID: lease, TTL: 600 }) };
      }
      return step === 1
        ? { headers: PUT, message: message(PutRequest, { key, value: VALUE, lease }) }
        : { headers: REVOKE, message: message(LeaseRevokeRequest, { ID: lease }) };
    },
  };
};

/** The revision in an answer's header, which comes first in it. */
function revisionIn(buffer: Buffer, start: number, end: number): number {
  let at = start + 2;
  const headerEnd = Math.min(end, at + buffer[start + 1]!);
  while (at < headerEnd) {
    const field = buffer[at++]! >> 3;
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = buffer[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 128) break;
    }
    if (field === 3) return value;
  }
  throw new Error("the answer has no revision");
}

interface Case {
  readonly name: string;
  readonly clients: readonly number[];
  readonly client: (number: number) => Client;
  readonly kinds?: readonly Kind[];
}

const CASES: readonly Case[] = [
  { name: "put 256 B", clients: [1, 64, 1000], client: putter },
  { name: "range of 1 key", clients: [1, 64, 1000], client: getter },
  { name: "range of 1,000 keys", clients: [1, 64], client: lister },
  { name: "mixed, 3 ranges a put", clients: [1, 64, 1000], client: mixer },
  { name: "txn, compare and swap", clients: [1, 64, 1000], client: swapper },
  { name: "lease: grant, put, revoke", clients: [1, 64, 1000], client: leaser },
];
const WATCHERS = [1, 100, 1000];

interface Sum {
  requests: number;
  seconds: number;
  cpu: number;
  errors: number;
  loadCores: number;
  readonly latencies: number[];
}

/** By a part of the row's name, the number of clients included. */
const wanted = (name: string, counts: readonly number[] = []) =>
  only.length === 0 ||
  only.some((part) => name.includes(part) || counts.some((count) => `${name} x ${count}`.includes(part)));

async function connected(port: number, count: number): Promise<GrpcConnection[]> {
  const all = Array.from({ length: count }, () => new GrpcConnection(port));
  await Promise.all(all.map(({ ready }) => ready));
  return all;
}

/** Turns for each server, there and back, so that neither always comes first. */
async function inTurn(
  servers: readonly EtcdServer[],
  rounds: number,
  turn: (server: EtcdServer, sum: Sum) => Promise<void>,
): Promise<Map<Kind, Sum>> {
  const sums = new Map(servers.map(({ kind }) => [kind, newSum()]));
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) await turn(server, sums.get(server.kind)!);
  return sums;
}

const newSum = (): Sum => ({ requests: 0, seconds: 0, cpu: 0, errors: 0, loadCores: 0, latencies: [] });

/** CPU is counted of all `members`; what comes shortly after the last answer (commits, collections) belongs to it. */
async function measure(
  port: number,
  members: readonly EtcdServer[],
  clients: number,
  client: Case["client"],
  sum: Sum,
  seconds = SECONDS,
): Promise<void> {
  const connections = await connected(port, Math.ceil(clients / CLIENTS_A_CONNECTION));
  const all = Array.from({ length: clients }, (_, i) => client(i));
  const cpu = () => members.reduce((total, member) => total + member.cpu(), 0);
  const before = cpu();
  const { latencies, ...turn } = await drive(connections, all, seconds);
  sum.cpu += cpu() - before;
  sum.requests += latencies.length;
  sum.seconds += turn.seconds;
  sum.errors += turn.errors;
  sum.loadCores = Math.max(sum.loadCores, turn.loadCores);
  for (const latency of latencies) sum.latencies.push(latency);
  for (const connection of connections) connection.close();
}

/** A change, until the last of so many watchers has heard of it; then the next. Requests are events here. */
async function fanOut(server: EtcdServer, watchers: number, sum: Sum): Promise<void> {
  const connections = await connected(server.port, Math.ceil(watchers / CLIENTS_A_CONNECTION));
  const [writer] = await connected(server.port, 1);
  const create = message(WatchRequest, { create_request: { key: Buffer.from("watched") } });
  const put: Call = { headers: PUT, message: message(PutRequest, { key: Buffer.from("watched"), value: VALUE }) };
  let lacking = watchers;
  let all!: () => void;
  const allHeard = () => new Promise<void>((resolve) => (all = resolve));
  const created = allHeard();
  const heard = {
    onData() {
      if (--lacking === 0) all();
    },
    onEnd() {
      throw new Error("a watch has ended");
    },
  };
  for (let i = 0; i < watchers; i++) connections[i % connections.length]!.call(WATCH, create, heard, true);
  await created;
  const [before, load] = [server.cpu(), process.cpuUsage()];
  const started = performance.now();
  let now = started;
  while (now < started + SECONDS * 1000) {
    lacking = watchers;
    const told = allHeard();
    const answered = new Promise<boolean>((onEnd) => writer!.call(put.headers, put.message, { onEnd }));
    await told;
    const last = performance.now();
    if (!(await answered)) sum.errors++;
    sum.latencies.push(last - now);
    sum.requests += watchers;
    now = performance.now();
  }
  const { user, system } = process.cpuUsage(load);
  sum.loadCores = Math.max(sum.loadCores, (user + system) / 1000 / (now - started));
  sum.seconds += (now - started) / 1000;
  sum.cpu += server.cpu() - before;
  for (const connection of [...connections, writer!]) connection.close();
}

const number = (value: number, digits = value >= 100 ? 0 : value >= 10 ? 1 : 2) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

const short: string[] = [];
const HEAD = `${"".padEnd(34)}${"etcd/s".padStart(9)}${"t8s/s".padStart(9)}${"ratio".padStart(7)}${"p99 ms".padStart(9)}${"t8s".padStart(9)}${"ratio".padStart(7)}${"CPU µs".padStart(9)}${"t8s".padStart(9)}${"ratio".padStart(7)}${"load".padStart(6)}`;

function row(name: string, sums: ReadonlyMap<Kind, Sum>, ours: Kind = "t8s"): void {
  const [a, b] = [sums.get("etcd"), sums.get(ours)];
  const rate = (sum: Sum | undefined) => (sum === undefined ? Number.NaN : sum.requests / sum.seconds);
  const slowest = (sum: Sum | undefined) => (sum === undefined ? Number.NaN : quantile(sum.latencies, 0.99));
  const cpu = (sum: Sum | undefined) => (sum === undefined ? Number.NaN : (sum.cpu * 1e6) / sum.requests);
  const ratios = [rate(b) / rate(a), slowest(b) / slowest(a), cpu(b) / cpu(a)];
  const cells = [rate, slowest, cpu].flatMap((of, i) => [
    number(of(a)).padStart(9),
    number(of(b)).padStart(9),
    number(ratios[i]!, 2).padStart(7),
  ]);
  const load = Math.max(a?.loadCores ?? 0, b?.loadCores ?? 0);
  const errors = (a?.errors ?? 0) + (b?.errors ?? 0);
  console.log(
    `${name.padEnd(34)}${cells.join("")}${number(load, 2).padStart(6)}${errors > 0 ? `  ERRORS: ${a?.errors}, ${b?.errors}` : ""}`,
  );
  const missed = [
    ...(ratios[0]! < 1 ? [`throughput ${number(ratios[0]!, 2)}`] : []),
    ...(ratios[1]! > 1 ? [`p99 ${number(ratios[1]!, 2)}`] : []),
    ...(ratios[2]! > 1 ? [`CPU ${number(ratios[2]!, 2)}`] : []),
  ];
  if (missed.length > 0) short.push(`${name}: ${missed.join(", ")}`);
}

/** One figure of each, less being better. */
function figures(name: string, unit: string, values: ReadonlyMap<Kind, number>): void {
  const [a = Number.NaN, b = Number.NaN] = [values.get("etcd"), values.get("t8s")];
  console.log(
    `${name.padEnd(52)}${number(a).padStart(10)}${number(b).padStart(10)} ${unit.padEnd(4)}${number(b / a, 2).padStart(8)}`,
  );
  if (b > a) short.push(`${name}: ${number(b / a, 2)}`);
}

const begun = performance.now();
await requests();
await cluster();
await large();
console.log(`\n${number((performance.now() - begun) / 1000, 0)} s in all. load: cores that the client kept busy.`);
if (short.length > 0) console.log(`Short of the aim:\n${short.map((line) => `  ${line}`).join("\n")}`);
process.exit();

async function requests(): Promise<void> {
  const cases = CASES.map((each) => ({
    ...each,
    clients: each.clients.filter((count) => wanted(each.name, [count])),
  })).filter(({ clients }) => clients.length > 0);
  const watches = wanted("watch fan-out");
  if (cases.length === 0 && !watches) return;
  await using stack = new AsyncDisposableStack();
  const servers: EtcdServer[] = [];
  for (const [i, kind] of KINDS.entries()) servers.push(stack.use(await startEtcd(kind, placeAt(PORT + i * 10))));
  const extra = KINDS.length > 1 ? stack.use(await startEtcd("t8s over node:http2", placeAt(PORT + 20))) : undefined;
  const every = extra === undefined ? servers : [...servers, extra];
  figures(
    "start of an empty member, until it answers",
    "ms",
    new Map(servers.map(({ kind, readyMs }) => [kind, readyMs])),
  );
  figures("  CPU until then", "ms", new Map(servers.map(({ kind, cpu }) => [kind, cpu() * 1000])));
  for (const server of every) await warm(server);
  console.log(`\n${HEAD}`);
  for (const { name, clients, client } of cases)
    for (const count of clients)
      row(
        `${name} x ${count}`,
        await inTurn(servers, ROUNDS, (server, sum) => measure(server.port, [server], count, client, sum)),
      );
  if (watches)
    for (const count of WATCHERS)
      row(
        `watch fan-out to ${count}, events`,
        await inTurn(servers, ROUNDS, (server, sum) => fanOut(server, count, sum)),
      );
  if (extra === undefined) return;
  for (const { name, client } of cases.slice(0, 2))
    row(
      `${name} x 64, node:http2`,
      await inTurn([servers[0]!, extra], ROUNDS, (server, sum) => measure(server.port, [server], 64, client, sum)),
      extra.kind,
    );
}

/** All keys there, all paths compiled. */
async function warm(server: EtcdServer): Promise<void> {
  const [connection] = await connected(server.port, 1);
  await fill(connection!, KEYS, VALUE, keyOf);
  connection!.close();
  for (const { client } of CASES) await measure(server.port, [server], 16, client, newSum(), 0.3);
}

/** Puts many keys, some in each transaction. */
async function fill(
  connection: GrpcConnection,
  keys: number,
  value: Buffer,
  key: (i: number) => string,
): Promise<void> {
  const each = Math.max(1, Math.min(100, Math.floor(14_000 / (value.length + 40))));
  let at = 0;
  while (at < keys) {
    const success = Array.from({ length: Math.min(each, keys - at) }, (_, i) => ({
      request_put: { key: Buffer.from(key(at + i)), value },
    }));
    at += success.length;
    const framedMessage = message(TxnRequest, { success });
    const ok = await new Promise<boolean>((onEnd) => connection.call(TXN, framedMessage, { onEnd }));
    if (!ok) throw new Error("a transaction failed");
  }
}

/** Three members on this machine: a put crosses two of them before it is answered. */
async function cluster(): Promise<void> {
  const name = "put 256 B to a cluster of 3";
  if (!wanted(name)) return;
  await using stack = new AsyncDisposableStack();
  const groups = new Map<Kind, { readonly leader: EtcdServer; readonly members: readonly EtcdServer[] }>();
  for (const [i, kind] of KINDS.entries()) {
    const ports = [0, 1, 2].map((member) => PORT + 40 + i * 10 + member * 2);
    const all = ports.map((port, member) => `m${member}=http://127.0.0.1:${port + 1}`).join();
    const members = await Promise.all(ports.map((port, member) => startEtcd(kind, placeAt(port, `m${member}`, all))));
    for (const member of members) stack.use(member);
    const states = await Promise.all(members.map(({ client }) => client.maintenance.Status({})));
    const leader = members[states.findIndex(({ header, leader: id }) => header?.member_id === id)]!;
    for (let i = 0; i < 2; i++) await measure(leader.port, members, 64, putter, newSum());
    groups.set(kind, { leader, members });
  }
  const leaders = [...groups.values()].map(({ leader }) => leader);
  for (const count of [1, 64, 1000])
    row(
      `${name} x ${count}`,
      await inTurn(leaders, ROUNDS, (server, sum) => {
        const { leader, members } = groups.get(server.kind)!;
        return measure(leader.port, members, count, putter, sum);
      }),
    );
}

/** A store with many keys: what it weighs, what a compaction does to those who put meanwhile, how long it takes to start again. */
async function large(): Promise<void> {
  const name = `${number(LARGE_KEYS, 0)} keys of ${LARGE_VALUE_BYTES} B`;
  if (!wanted("large store")) return;
  const value = Buffer.alloc(LARGE_VALUE_BYTES, "w");
  const results = new Map<Kind, number[]>();
  for (const [i, kind] of KINDS.entries()) {
    let server = await startEtcd(kind, placeAt(PORT + 60 + i * 10));
    try {
      const [connection] = await connected(server.port, 1);
      const before = server.cpu();
      await fill(connection!, LARGE_KEYS, value, (key) => `large${String(key).padStart(9, "0")}`);
      const filled = ((server.cpu() - before) * 1e6) / LARGE_KEYS;
      const rss = server.rssMb();
      // Each key once more: then half of all versions can go.
      await fill(connection!, LARGE_KEYS, value, (key) => `large${String(key).padStart(9, "0")}`);
      connection!.close();
      const { header } = await server.client.kv.Range({ key: Buffer.from("x") });
      const sum = newSum();
      const quiet = newSum();
      await measure(server.port, [server], 8, putter, quiet, 1);
      const asked = performance.now();
      const compacted = server.client.kv
        .Compact({ revision: header!.revision, physical: true }, { timeoutMs: 120_000 })
        .then(() => performance.now() - asked);
      await measure(server.port, [server], 8, putter, sum, 2);
      const took = await compacted;
      const rssAfter = server.rssMb();
      server = await server.restart();
      results.set(kind, [
        filled,
        rss,
        rssAfter,
        took,
        quantile(sum.latencies, 0.99),
        quantile(sum.latencies, 1),
        quantile(quiet.latencies, 0.99),
        server.readyMs,
        server.cpu() * 1000,
        server.rssMb(),
      ]);
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
  console.log(`\n${name.padEnd(52)}${"etcd".padStart(10)}${"t8s".padStart(10)}${"ratio".padStart(13)}`);
  const LINES = [
    ["filling it, CPU for each key", "µs"],
    ["memory with each key put once (RSS)", "MB"],
    ["memory after each was put twice and a compaction", "MB"],
    ["the compaction, until all is gone", "ms"],
    ["  p99 of puts meanwhile, 8 clients", "ms"],
    ["  the longest of them", "ms"],
    ["  p99 before it", "ms"],
    ["start with it, until it answers", "ms"],
    ["  CPU until then", "ms"],
    ["  memory then (RSS)", "MB"],
  ] as const;
  LINES.forEach(([line, unit], i) =>
    figures(line, unit, new Map([...results].map(([kind, values]) => [kind, values[i]!]))),
  );
}
