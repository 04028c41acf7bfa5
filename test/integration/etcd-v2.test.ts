/**
 * The v2 API beside upstream's: the same requests over HTTP and the same command lines of `ETCDCTL_API=2 etcdctl`, answers compared. Both
 * members are new, so the indexes must be equal too.
 */
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";

interface Running extends AsyncDisposable {
  readonly endpoint: string;
  readonly peer: string;
}

async function ours(port: number): Promise<Running> {
  const dataDir = await mkdtemp(join(tmpdir(), "t8s-etcd-v2-"));
  const endpoint = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  const group = new ComponentGroup();
  await group.start(
    createEtcd(
      {
        dataDir,
        listenClientUrls: [endpoint],
        advertiseClientUrls: [endpoint],
        initialAdvertisePeerUrls: [peer],
        bcryptCost: 4,
      },
      { ...nodeWorld(), log: silent, metrics: new Metrics() },
    ),
  );
  return {
    endpoint,
    peer,
    async [Symbol.asyncDispose]() {
      await group[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true });
    },
  };
}

async function upstream(port: number): Promise<Running> {
  const dataDir = await mkdtemp(join(tmpdir(), "upstream-etcd-v2-"));
  const endpoint = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  const words = ["--enable-v2", "--data-dir", dataDir, "--listen-client-urls", endpoint];
  words.push("--advertise-client-urls", endpoint, "--listen-peer-urls", peer);
  words.push("--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`);
  const child = spawn("/usr/bin/etcd", words, { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (let attempt = 0; ; attempt++) {
    const index = await fetch(`${endpoint}/v2/keys`)
      .then((response) => response.headers.get("x-etcd-index"))
      .catch(() => undefined);
    if (index === "3") break; // Its own entries are applied.
    assert.ok(attempt < 4000, "upstream's etcd didn't start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    endpoint,
    peer,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await rm(dataDir, { recursive: true });
    },
  };
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
}

interface Outcome {
  readonly status: number | "waits";
  readonly headers?: unknown;
  readonly body?: unknown;
}

const WAITS_MS = 150;

async function ask(
  { endpoint }: Running,
  { method, path, query, form }: Request,
  waitsMs = WAITS_MS,
): Promise<Outcome> {
  const search = new URLSearchParams(query).toString();
  const abort = new AbortController();
  const timer = "wait" in query ? setTimeout(() => abort.abort(), waitsMs) : undefined;
  try {
    const response = await fetch(`${endpoint}${path}${search === "" ? "" : `?${search}`}`, {
      method,
      redirect: "manual",
      signal: abort.signal,
      ...(form !== undefined && { body: new URLSearchParams(form) }),
    });
    const text = await response.text();
    const headers = Object.fromEntries(
      ["content-type", "x-etcd-index", "allow", "location"].map((name) => [name, response.headers.get(name)]),
    );
    return { status: response.status, headers, body: readable(text, query["sorted"] === "true") };
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return { status: "waits" };
  } finally {
    clearTimeout(timer);
  }
}

/** Times of the clock are left out; so is the order of lists that nobody asked to have sorted. */
function readable(text: string, sorted = false): unknown {
  if (!text.startsWith("{")) return text;
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      const items = value.map(clean);
      return sorted ? items : items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    }
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        name === "expiration" ? "a time" : name === "ttl" ? Math.ceil((item as number) / 100) : clean(item),
      ]),
    );
  };
  // As text, so that the order of fields counts as well.
  return JSON.stringify(clean(JSON.parse(text)));
}

const name = fc.constantFrom("a", "b", "a-b", "c", "_h", "ü x");
const path = fc.array(name, { minLength: 0, maxLength: 3 }).map((names) => names.map((part) => `/${part}`).join(""));
const truth = fc.constantFrom("true", "true", "false", "1", "maybe", "");
const value = fc.constantFrom("1", "2", "<&>", "");
const ttl = fc.constantFrom("1000", "1000", "", "x", "-1");

function optional<T>(entries: Readonly<Record<string, [number, fc.Arbitrary<T>]>>): fc.Arbitrary<Record<string, T>> {
  return fc
    .tuple(
      ...Object.entries(entries).map(([field, [percent, arbitrary]]) =>
        fc
          .tuple(fc.nat(99), arbitrary)
          .map(([chance, drawn]) => (chance < percent ? ([[field, drawn]] as [string, T][]) : [])),
      ),
    )
    .map((drawn) => Object.fromEntries(drawn.flat()));
}

const read = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "HEAD"),
  path,
  query: optional({
    recursive: [50, truth],
    sorted: [50, fc.constantFrom("true", "false")],
    quorum: [10, truth],
    wait: [6, fc.constantFrom("true", "false")],
    waitIndex: [8, fc.constantFrom("4", "10", "30", "x")],
  }),
});
const write = fc.record({
  method: fc.constantFrom("PUT", "PUT", "PUT", "PUT", "POST"),
  path,
  query: optional({
    dir: [20, truth],
    prevExist: [30, truth],
    prevValue: [15, value],
    prevIndex: [10, fc.constantFrom("4", "7", "12", "0", "x", "18446744073709551616")],
    refresh: [10, truth],
    noValueOnSuccess: [8, truth],
    recursive: [4, truth],
  }),
  form: optional({ value: [85, value], ttl: [15, ttl] }),
});
const removal = fc.record({
  method: fc.constant("DELETE"),
  path,
  query: optional({
    dir: [40, truth],
    recursive: [30, truth],
    prevValue: [15, value],
    prevIndex: [10, fc.constantFrom("5", "9", "0")],
  }),
});
const odd: fc.Arbitrary<Request> = fc.constantFrom<Request[]>(
  { method: "PATCH", path: "/v2/keys/a", query: {} },
  { method: "GET", path: "/v2/keys//a/./b", query: { recursive: "true" } },
  { method: "PUT", path: "/v2/keys//a", query: {}, form: { value: "1" } },
  { method: "GET", path: "/v2/nothing", query: {} },
  { method: "GET", path: "/v2/keysandmore", query: {} },
  { method: "PUT", path: "/v2/keys/a", query: { wait: "true", value: "1" } },
  { method: "POST", path: "/v2/stats/store", query: {} },
  { method: "DELETE", path: "/v2/machines", query: {} },
  { method: "GET", path: "/v2/auth/enable", query: {} },
  { method: "GET", path: "/v2/auth/other", query: {} },
);

/** Bodies for `/v2/members`, and what they are said to be. */
const MEMBER_REQUESTS: readonly (readonly [method: string, path: string, body?: string, type?: string])[] = [
  ["GET", ""],
  ["GET", "/"],
  ["GET", "/leader"],
  ["GET", "/other"],
  ["PATCH", ""],
  ["POST", "", '{"peerURLs":["http://127.0.0.1:1"]}', "text/plain"],
  ["POST", "", '{"peerURLs":["http://127.0.0.1:1"]}', "Text/Plain; charset=utf-8"],
  ["POST", "", "", "application/json"],
  ["POST", "", '{"peerURLs":[]}', "application/json"],
  ["POST", "", '{"peerURLs":["ftp://127.0.0.1:1"]}', "application/json"],
  ["POST", "", '{"peerURLs":["http://127.0.0.1"]}', "application/json"],
  ["POST", "", '{"peerURLs":["http://127.0.0.1:1/path"]}', "application/json; charset=utf-8"],
  ["POST", "", '{"peerURLs":["PEER"]}', "application/json"],
  ["PUT", "", '{"peerURLs":["PEER"]}', "application/json"],
  ["PUT", "/zzz", '{"peerURLs":["PEER"]}', "application/json"],
  ["PUT", "/1234", '{"peerURLs":["http://127.0.0.1:1"]}', "application/json"],
  ["DELETE", ""],
  ["DELETE", "/zzz"],
  ["DELETE", "/12345678901234567"],
  ["DELETE", "/1234"],
];

/** Of `/v2/auth`, one after the other: what etcdctl would never send, too. */
const AUTH_REQUESTS: readonly (readonly [method: string, path: string, body?: string, user?: string])[] = [
  ["GET", "/users"],
  ["GET", "/users/"],
  ["POST", "/users"],
  ["GET", "/users/a/b"],
  ["PUT", "/enable"],
  ["PUT", "/users/root", "{"],
  ["PUT", "/users/root", '{"user":1}'],
  ["PUT", "/users/root", '{"user":"other","password":"x"}'],
  ["PUT", "/users/root", '{"user":"root"}'],
  ["PUT", "/users/root", '{"USER":"root","Password":"pw"}'],
  ["PUT", "/users/root", '{"user":"root","password":"pw2"}'],
  ["PUT", "/users/root", '{"user":"root"}'],
  ["PUT", "/users/ann", '{"user":"ann","password":"pw","roles":["r1","gone"]}'],
  ["PUT", "/users/ann", '{"user":"ann","password":"pw","roles":["r1"]}'],
  ["PUT", "/users/ann", '{"user":"ann","roles":["r1"],"grant":["r2"]}'],
  ["GET", "/users/ann"],
  ["PUT", "/roles/r1", '{"role":"r1","permissions":{"kv":{"read":["/a*"],"write":["/a/b"]}}}'],
  ["PUT", "/roles/r2", '{"role":"r2"}'],
  ["PUT", "/roles/r2", '{"role":"r2","grant":{"kv":{}}}'],
  ["PUT", "/roles/r3", '{"role":"r3","grant":{"kv":{}},"permissions":{"kv":{"read":[]}}}'],
  ["PUT", "/roles/other", '{"role":"r2"}'],
  ["PUT", "/roles/r2", "nothing"],
  ["PUT", "/roles/r1", '{"role":"r1","grant":{"kv":{"read":["/a*"]}}}'],
  ["PUT", "/roles/r1", '{"role":"r1","grant":{"kv":{"write":["/a/b"]}}}'],
  ["PUT", "/roles/r1", '{"role":"r1","revoke":{"kv":{"write":["/never"]}}}'],
  ["PUT", "/roles/r1", '{"role":"r1","grant":{"kv":{"read":["/z","/c"]}},"revoke":{"kv":{"write":["/a/b"]}}}'],
  ["PUT", "/roles/r1", '{"role":"r1","permissions":{"kv":{"read":["/"]}},"grant":{"kv":{"read":["/y"]}}}'],
  ["PUT", "/roles/missing", '{"role":"missing","grant":{"kv":{"read":["/y"]}}}'],
  ["PUT", "/roles/root", '{"role":"root","grant":{"kv":{"read":["/y"]}}}'],
  ["DELETE", "/roles/root"],
  ["GET", "/roles/r1"],
  ["GET", "/roles/missing"],
  ["GET", "/roles"],
  ["GET", "/users"],
  ["PUT", "/users/ann", '{"user":"ann","revoke":["gone"],"grant":["r2"]}'],
  ["GET", "/users/ann"],
  ["DELETE", "/enable"],
  ["PUT", "/enable"],
  ["GET", "/users"],
  ["GET", "/users", undefined, "ann:pw"],
  ["GET", "/users", undefined, "root:pw2"],
  ["GET", "/users", undefined, "root:pw"],
  ["GET", "/enable"],
  ["DELETE", "/enable"],
  ["PUT", "/enable", undefined, "root:pw2"],
  ["DELETE", "/users/root", undefined, "root:pw2"],
  ["DELETE", "/roles/guest", undefined, "root:pw2"],
  ["DELETE", "/enable", undefined, "root:pw2"],
  ["PATCH", "/enable"],
];

/** Each line is run on both after the ones above it; `E` is etcdctl with its endpoint. */
const COMMANDS = `
E ls
E get /missing
E set /app/port 80
E set /app/port 81 --swap-with-value 80
E set /app/port 82 --swap-with-value 80
E set /app/port 82 --swap-with-index 5
E set /app/port 83 --swap-with-index 2
E set /app/session x --ttl 1000
echo from-stdin | E set /app/text
E -o extended get /app/port
E -o json get /app/port
E -o simple get /app/port --quorum
E get --sort /app
E mk /app/port 1
E mk /app/new 1
E mk --in-order /queue first
E mk --in-order /queue second
E mk /app/with-ttl 1 --ttl 1000
E mkdir /app
E mkdir /dir
E mkdir /dir-with-ttl --ttl 1000
E ls --sort --recursive
E ls --sort -p /
E ls --sort -p --recursive /queue
E -o json ls /app --sort
E ls /missing
E ls /app/port
E update /app/port 90
E update /missing 1
E update /app/port 91 --ttl 1000
E updatedir /dir --ttl 1000
E updatedir /missing --ttl 10
E setdir /dir
E setdir /dir2 --ttl 1000
E setdir /app/port
E get /dir
E rm /dir
E rm --dir /dir
E rm --dir /app
E rm /app/port --with-value 1
E rm /app/port --with-value 91
E rm /app/new --with-index 3
E rm /missing
E rmdir /app
E rmdir /missing
E rmdir /dir2
E rm --recursive /app
E rm --recursive /
E set / 1
E set /_hidden/a 1
E ls --sort
E ls /_hidden
E get /_hidden/a
E set /empty ""
E get /empty
E watch /queue --recursive --after-index 3
E -o extended watch / --recursive --after-index 10
E cluster-health
E member list
E member
E member remove zzz
E user list
E role list
E auth enable
E user add alice:secret
E user add alice:secret
E user add root:rootpw
E user get alice
E user get nobody
E user get root
E user list
E role add reader
E role add reader
E role add root
E role get reader
E role grant reader --path '/app/*' --read
E role grant reader --path '/app/*' --read
E role grant reader --path '/own' --readwrite
E role grant missing --path '/own' --readwrite
E role get reader
E role list
E user grant alice --roles reader
E user grant alice --roles reader
E user grant nobody --roles reader
E user get alice
E set /app/port 1
E auth enable
E auth enable
E -u root:rootpw auth enable
E role get guest
E -u root:rootpw role get guest
E -u root:rootpw role revoke guest --path '/*' --readwrite
E get /app/port
E set /app/port 2
E -u alice:secret get /app/port
E -u alice:secret set /app/port 2
E -u alice:secret set /own 2
E -u alice:secret ls /
E -u alice:secret ls --recursive /app
E -u alice:wrong get /app/port
E -u nobody:wrong get /app/port
E -u root:rootpw set /app/port 3
E -u alice:secret user list
E -u alice:secret member list
E -u root:rootpw user list
E -u root:rootpw user remove root
E -u root:rootpw user revoke alice --roles reader
E -u root:rootpw user revoke alice --roles reader
E -u alice:secret get /app/port
printf 'changed\\nchanged\\n' | E -u root:rootpw user passwd alice
E -u root:rootpw role remove reader
E -u root:rootpw role remove reader
E -u root:rootpw user remove alice
E -u root:rootpw user remove alice
E -u root:rootpw auth disable
E auth disable
E user remove root
E get /app/port
E --debug get /app/port
E member update $ID $PEER
E member update $ID http://127.0.0.1:1
E member list
E member update 1234 http://127.0.0.1:1
E member remove 1234
E member add again http://127.0.0.1:1
E member add other http://127.0.0.1:2
E member list
`;

describe("etcdctl of the v2 API on ours and upstream's", { skip, concurrency: false }, () => {
  let us: Running;
  let them: Running;
  before(async () => {
    [us, them] = await Promise.all([ours(21_530), upstream(21_532)]);
  });
  after(async () => {
    await us?.[Symbol.asyncDispose]();
    await them?.[Symbol.asyncDispose]();
  });

  /** Runs `command` while it waits, changes `/live`, and gives what it has printed by the time that `shown` is in it. */
  async function meanwhile(one: Running, command: readonly string[], shown: string): Promise<unknown> {
    const child: ChildProcess = spawn("etcdctl", ["--endpoints", one.endpoint, ...command], {
      env: { PATH: process.env["PATH"], ETCDCTL_API: "2" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const seen = new Promise<void>((resolve) => {
      for (const pipe of [child.stdout!, child.stderr!])
        pipe.on("data", (text: Buffer) => {
          out += text.toString();
          if (out.includes(shown)) resolve();
        });
    });
    await waiters(one, 1);
    await shell(one, "E set /live/a 1; E set /live/_hidden 2");
    await shell(one, "E set /live/b 3 --ttl 1000");
    await Promise.race([seen, exited]);
    child.kill();
    await exited;
    await waiters(one, 0);
    await shell(one, "E rm --recursive /live");
    return out;
  }

  async function waiters(one: Running, wanted: number): Promise<void> {
    for (;;) {
      const { watchers } = (await (await fetch(`${one.endpoint}/v2/stats/store`)).json()) as { watchers: number };
      if (watchers === wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  for (const [command, shown] of [
    [["watch", "--recursive", "/live"], "[set] /live/a\n1\n"],
    [["watch", "--recursive", "--forever", "/live"], "[set] /live/b\n3\n"],
    [["watch", "/live/b"], "3\n"],
    [
      ["exec-watch", "--recursive", "/live/a", "--", "sh", "-c", "env | grep ETCD_WATCH | sort"],
      "ETCD_WATCH_VALUE=1\n",
    ],
    [["exec-watch", "--recursive", "/live/b", "--", "sh", "-c", "echo $ETCD_WATCH_ACTION"], "set\n"],
  ] as const)
    test(`etcdctl ${command.join(" ")}`, { timeout: 300_000 }, async () => {
      const [mine, theirs] = await Promise.all([us, them].map((one) => meanwhile(one, command, shown)));
      assert.ok(String(mine).includes(shown), String(mine));
      assert.deepEqual(mine, theirs);
    });

  for (const [method, path, body, type] of MEMBER_REQUESTS)
    test(`${method} /v2/members${path} ${body ?? ""} ${type ?? ""}`, async () => {
      const [mine, theirs] = await Promise.all(
        [us, them].map(async (one) => {
          const response = await fetch(`${one.endpoint}/v2/members${path}`, {
            method,
            ...(body !== undefined && { body: body.replace("PEER", one.peer), headers: { "content-type": type! } }),
          });
          const { status, headers } = response;
          return common({ status, type: headers.get("content-type"), body: await response.text() }, one);
        }),
      );
      assert.deepEqual(mine, theirs);
    });

  for (const line of COMMANDS.trim().split("\n"))
    test(line, async () => {
      const [mine, theirs] = await Promise.all([us, them].map(async (one) => common(await shell(one, line), one)));
      assert.deepEqual(mine, theirs);
    });
});

describe("the v2 API beside upstream's", { skip, concurrency: false }, () => {
  let us: Running;
  let them: Running;
  /** Their own first entries are counted too. */
  let counted: readonly Counts[];
  before(async () => {
    [us, them] = await Promise.all([ours(21_520), upstream(21_522)]);
    counted = await Promise.all([us, them].map(counts));
  });
  after(async () => {
    await us?.[Symbol.asyncDispose]();
    await them?.[Symbol.asyncDispose]();
  });

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`generated requests get the same answers (seed ${seed})`, { timeout: 300_000 }, async () => {
      const requests = fc.sample<Request>(
        fc.oneof(
          { arbitrary: write, weight: 10 },
          { arbitrary: read, weight: 6 },
          { arbitrary: removal, weight: 3 },
          { arbitrary: odd, weight: 1 },
        ),
        { seed, numRuns: 200 },
      );
      const streams = ["", "/a", "/a/b", "/a/a-b/c", "/_h", "/c"].flatMap((at) =>
        [true, false].map((recursive) => [stream(us, at, recursive), stream(them, at, recursive)] as const),
      );
      await Promise.all(streams.flat().map(({ begun }) => begun));
      for (const [at, drawn] of requests.entries()) {
        const request = drawn.path.startsWith("/v2/") ? drawn : { ...drawn, path: `/v2/keys${encodeURI(drawn.path)}` };
        let [ourAnswer, theirAnswer] = await Promise.all([ask(us, request), ask(them, request)]);
        // On a busy machine one of them may just have been slow: who waits changes nothing, and may wait once more.
        if ("wait" in request.query && (ourAnswer.status === "waits") !== (theirAnswer.status === "waits"))
          [ourAnswer, theirAnswer] = await Promise.all([
            ask(us, request, 100 * WAITS_MS),
            ask(them, request, 100 * WAITS_MS),
          ]);
        assert.deepEqual(ourAnswer, theirAnswer, `request ${at}: ${JSON.stringify(request)}`);
      }
      // The last event of all tells that each stream has seen what it was to see.
      const last: Request = { method: "PUT", path: "/v2/keys/end", query: {}, form: { value: `end ${seed}` } };
      await Promise.all([ask(us, last), ask(them, last)]);
      await Promise.all(streams[0]!.map((one) => one.has(`"value":"end ${seed}"`)));
      for (const [mine, theirs] of streams) {
        // Each comes over a connection of its own.
        for (let i = 0; i < 5000 && mine.events !== theirs.events; i++)
          await new Promise((resolve) => setTimeout(resolve, 20));
        assert.deepEqual(await mine.end(), await theirs.end(), `the stream at ${mine.url}`);
      }
      await Promise.all([us, them].map((one) => clear(one)));
      const [mine, theirs] = (await Promise.all([us, them].map(counts))).map((now, i) =>
        Object.fromEntries(Object.entries(now).map(([field, count]) => [field, count - counted[i]![field]!])),
      );
      assert.deepEqual(mine, theirs, "what /v2/stats/store counted");
    });
  }
});

async function shell({ endpoint, peer }: Running, line: string): Promise<object> {
  const script = `E() { etcdctl --endpoints ${endpoint} "$@"; }; ${line}`;
  const id = line.includes("$ID") ? await idOf(endpoint) : "";
  const environment = { PATH: process.env["PATH"], ETCDCTL_API: "2", ID: id, PEER: peer };
  return new Promise((resolve) => {
    execFile("sh", ["-c", script], { env: environment, timeout: 120_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    ).stdin?.end();
  });
}

async function idOf(endpoint: string): Promise<string> {
  const { members } = (await (await fetch(`${endpoint}/v2/members`)).json()) as { members: { id: string }[] };
  return members[0]!.id;
}

/** Without what is one server's own: addresses, ids, times, and the order of ids. */
function common(value: object, { endpoint, peer }: Running): unknown {
  const clean = (text: string) =>
    text
      .replaceAll(endpoint, "ENDPOINT")
      .replaceAll(peer, "PEER")
      .replace(/\b[0-9a-f]{10,16}\b/g, "ID")
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
      .replace(/(?<=TTL: |ttl":)\d+/g, "SECONDS")
      .replace(/(?<=ETCD_INITIAL_CLUSTER=").*(?=")/, (list) => list.split(",").sort().join())
      .replace(/^(ID(\[|: name=).*\n)+/, (list) => list.split("\n").sort().join("\n"));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, typeof item === "string" ? clean(item) : item]),
  );
}

type Counts = Readonly<Record<string, number>>;

async function counts({ endpoint }: Running): Promise<Counts> {
  const { watchers: _, ...rest } = (await (await fetch(`${endpoint}/v2/stats/store`)).json()) as Record<string, number>;
  return rest;
}

describe("authentication, time and history of the v2 API beside upstream's", { skip, concurrency: false }, () => {
  let us: Running;
  let them: Running;
  before(async () => {
    [us, them] = await Promise.all([ours(21_524), upstream(21_526)]);
  });
  after(async () => {
    await us?.[Symbol.asyncDispose]();
    await them?.[Symbol.asyncDispose]();
  });
  const both = <T>(act: (one: Running) => Promise<T>) => Promise.all([act(us), act(them)]);

  for (const [method, path, body, user] of AUTH_REQUESTS)
    test(`${method} /v2/auth${path} ${body ?? ""} ${user ?? ""}`, async () => {
      const [mine, theirs] = await both(async ({ endpoint }) => {
        const response = await fetch(`${endpoint}/v2/auth${path}`, {
          method,
          ...(body !== undefined && { body }),
          ...(user !== undefined && { headers: { authorization: `Basic ${btoa(user)}` } }),
        });
        const { status, headers } = response;
        return { status, type: headers.get("content-type"), body: await response.text() };
      });
      assert.deepEqual(mine, theirs);
    });

  test("what expires goes with the same events", { timeout: 300_000 }, async () => {
    const streams = [us, them].map((one) => stream(one, "", true));
    await Promise.all(streams.map(({ begun }) => begun));
    const put = (path: string, form: Readonly<Record<string, string>>) =>
      both((one) => ask(one, { method: "PUT", path: `/v2/keys${path}`, query: {}, form }));
    // All of it is there before anything expires, and what goes at once comes last: each takes a number.
    await put("/dir", { dir: "true", ttl: "5" });
    await put("/dir/sub/leaf", { value: "1", ttl: "1000" });
    await put("/dir/_hidden", { value: "1" });
    await put("/kept", { value: "1", ttl: "5" });
    await put("/kept", { value: "2" });
    await put("/now", { value: "1", ttl: "0" });
    for (const one of streams) await one.has('"expire","node":{"key":"/now"');
    for (const one of streams) await one.has('"expire","node":{"key":"/dir"');
    const [mine, theirs] = await Promise.all(streams.map((one) => one.end()));
    assert.deepEqual([...mine!].sort(), [...theirs!].sort());
    const [our, their] = await both((one) =>
      ask(one, { method: "GET", path: "/v2/keys/", query: { recursive: "true" } }),
    );
    assert.deepEqual(our, their);
  });

  test("history ends at the same event", { timeout: 300_000 }, async () => {
    const put = { method: "PUT", path: "/v2/keys/many", query: { noValueOnSuccess: "true" }, form: { value: "1" } };
    for (let i = 0; i < 1010; i += 101)
      await both(async (one) => void (await Promise.all(Array.from({ length: 101 }, () => ask(one, put)))));
    const index = Number(
      (await fetch(`${us.endpoint}/v2/keys/many`).then((response) => response.headers.get("x-etcd-index")))!,
    );
    for (const back of [1, 999, 1000, 1001]) {
      const query = { wait: "true", waitIndex: String(index - back) };
      const [mine, theirs] = await both((one) => ask(one, { method: "GET", path: "/v2/keys/many", query }));
      assert.deepEqual(mine, theirs, `${back} back`);
      assert.equal(mine.status, back < 1000 ? 200 : 400);
    }
  });
});

/** Everything that a stream of events brings. */
function stream({ endpoint }: Running, at: string, recursive: boolean) {
  const abort = new AbortController();
  const url = `${at}${recursive ? " and below" : ""}`;
  let text = "";
  let changed = () => {};
  const response = fetch(`${endpoint}/v2/keys${at}?wait=true&stream=true&recursive=${recursive}`, {
    signal: abort.signal,
  });
  const done = (async () => {
    try {
      for await (const chunk of (await response).body!) {
        text += Buffer.from(chunk).toString();
        changed();
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    }
  })();
  done.catch(() => {});
  return {
    url,
    begun: response.then(() => {}),
    get events(): number {
      return text.split("\n").length - 1;
    },
    async has(part: string): Promise<void> {
      while (!text.includes(part)) await new Promise<void>((resolve) => (changed = resolve));
    },
    async end(): Promise<readonly unknown[]> {
      const said = text;
      abort.abort();
      await done;
      return said
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => readable(line));
    },
  };
}

async function clear(one: Running): Promise<void> {
  const { node } = (await (await fetch(`${one.endpoint}/v2/keys?sorted=true`)).json()) as {
    readonly node: { readonly nodes?: readonly { readonly key: string }[] };
  };
  const keys = (node.nodes ?? []).map(({ key }) => key);
  for (const key of [...keys, "/_h"].sort())
    await fetch(`${one.endpoint}/v2/keys${encodeURI(key)}?recursive=true`, { method: "DELETE" });
}
