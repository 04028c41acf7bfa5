/** HTTP/2 of our own against others' programs: h2spec, curl, etcdctl, gRPC's JavaScript client, Node, genuine etcd. */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectNode, type ClientHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Etcd3 } from "etcd3";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { ensurePki } from "../../src/cli/pki.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { connectEtcd } from "../../src/protocols/etcd/connect.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";
import { http2Engine } from "../../src/wire/http2/engine.ts";
import type { Exchange, HttpClient, HttpHandler } from "../../src/world/net.ts";
import { nodeWorld } from "../../src/world/node/index.ts";
import { h2spec } from "../../tools/h2spec.ts";
import { freePorts } from "../../src/testing/free-ports.ts";

const run = promisify(execFile);
const ours = nodeWorld({ http2: http2Engine });
const nodes = nodeWorld();
const scratch = mkdtempSync(join(tmpdir(), "typernetes-http2-"));
const opened: AsyncDisposable[] = [];
after(async () => {
  for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const pki = await ensurePki({ ...simulatedWorld(1), clock: ours.clock }, "/pki", [], []);
const tls = { cert: pki.apiserver.cert, key: pki.apiserver.key };
const lacks = (program: string): string | false =>
  spawnSync("which", [program]).status === 0 ? false : `${program} is not installed`;

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
const echo: HttpHandler = async (exchange: Exchange) => {
  const { method, url, httpVersion, headers } = exchange.request;
  const body = await bytesOf(exchange.request.body);
  exchange.respond(200, { "x-saw": `${method} ${url} ${httpVersion} ${String(headers["x-asked"])}` }, body);
};
async function serve(handle: HttpHandler, world = ours, secure = false): Promise<number> {
  const listener = await world.net.serveHttp({ host: "127.0.0.1", ...(secure && { tls }) }, handle);
  opened.push(listener);
  return listener.address.port;
}

const program = h2spec();
const specSkip =
  program === undefined && "h2spec is not here: sh tools/node.sh tools/h2spec.ts builds it, where there is Go";

test("h2spec finds nothing wrong without TLS", { skip: specSkip }, async () => {
  // A port that speaks nothing else: on one that sniffs, whoever doesn't begin with the preface gets HTTP/1.1.
  const engine = http2Engine(ours.clock);
  const listener = await ours.net.listen({ host: "127.0.0.1" }, (stream) => {
    engine.serve(stream, { encrypted: false, handle: echoLong, onError() {} });
  });
  opened.push(listener);
  await conforms(["-p", String(listener.address.port)]);
});

test("h2spec finds nothing wrong with TLS", { skip: specSkip }, async () => {
  await conforms(["-p", String(await serve(echoLong, ours, true)), "-t", "-k"]);
});

const echoLong: HttpHandler = async (exchange) => {
  await bytesOf(exchange.request.body);
  exchange.respond(200, {}, Buffer.alloc(1000, "x"));
};
async function conforms(where: readonly string[]): Promise<void> {
  const { stdout } = await run(program!, [...where, "--strict", "-o", "1"]).catch((error) => error);
  assert.match(stdout, /\d+ tests, \d+ passed, 0 skipped, 0 failed/, stdout.slice(stdout.indexOf("Failures:")));
}

test("curl speaks to one port with prior knowledge, without, and by ALPN", { skip: lacks("curl") }, async () => {
  const plain = `http://127.0.0.1:${await serve(echo)}/a?b=c`;
  const secure = `https://127.0.0.1:${await serve(echo, ours, true)}/a?b=c`;
  const big = join(scratch, "big");
  writeFileSync(big, Buffer.alloc(5_000_000, "x"));
  for (const [flags, url, version] of [
    [["--http2-prior-knowledge"], plain, "2.0"],
    [["--http2"], plain, "1.1"],
    [[], plain, "1.1"],
    [["--insecure"], secure, "2.0"],
    [["--insecure", "--http1.1"], secure, "1.1"],
  ] as const) {
    const args = ["--silent", "--show-error", "--include", ...flags, "--header", "x-asked: yes"];
    const { stdout } = await run("curl", [...args, "--header", "expect:", "--data", "hello", url]);
    assert.match(stdout, new RegExp(`^x-saw: POST /a\\?b=c ${version} yes`, "m"));
    assert.match(stdout, /hello$/);
    const upload = await run("curl", [
      ...flags,
      "--silent",
      "--data-binary",
      `@${big}`,
      "--output",
      join(scratch, "back"),
      "--write-out",
      "%{size_download}",
      url,
    ]);
    assert.equal(upload.stdout, "5000000");
  }
});

for (const [server, client] of [
  ["ours", "Node's"],
  ["Node's", "ours"],
] as const)
  test(`a server of ${server} and a client of ${client} understand each other`, async () => {
    const port = await serve(
      async (exchange) => {
        if (exchange.request.url === "/cut") {
          const out = exchange.stream(200, {});
          out.write("half");
          return void setTimeout(() => out.destroy(), 10);
        }
        if (exchange.request.url === "/hang")
          return new Promise((resolve) => exchange.request.signal.addEventListener("abort", () => resolve()));
        const out = exchange.stream(200, { trailer: "x-sum", "x-asked": exchange.request.headers["x-asked"] });
        let sum = 0;
        for await (const chunk of exchange.request.body) {
          sum += chunk.length;
          if (!out.write(chunk)) await out.drained;
        }
        out.end({ "x-sum": String(sum) });
      },
      server === "ours" ? ours : nodes,
    );
    const http: HttpClient = (client === "ours" ? ours : nodes).net.httpClient({
      base: `http://127.0.0.1:${port}`,
      version: "2",
    });
    opened.push(http);
    const sizes = [0, 1, 16_384, 100_000, 3_000_000];
    await Promise.all(
      [...sizes, ...sizes].map(async (size, i) => {
        const body = Buffer.alloc(size, i);
        const answer = await http.request({
          method: "POST",
          path: "/",
          body,
          headers: { "x-asked": `${i}${"y".repeat(i * 3000)}` },
        });
        assert.equal(String(answer.headers["x-asked"]).length, String(i).length + i * 3000);
        assert.ok((await bytesOf(answer.body)).equals(body));
        assert.equal((await answer.trailers)["x-sum"], String(size));
      }),
    );
    const cut = await http.request({ method: "GET", path: "/cut" });
    await assert.rejects(bytesOf(cut.body));
    const abort = new AbortController();
    const hanging = http.request({ method: "GET", path: "/hang", signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 10);
    await assert.rejects(hanging, /enough/);
    assert.equal((await http.request({ method: "POST", path: "/", body: "after" })).status, 200);
  });

test("a connection of Node's hears the goodbye, ends its work and closes", async () => {
  let finish!: () => void;
  const listener = await ours.net.serveHttp({ host: "127.0.0.1" }, (exchange) => {
    finish = () => exchange.respond(200, {}, "late");
  });
  const session: ClientHttp2Session = connectNode(`http://127.0.0.1:${listener.address.port}`);
  const stream = session.request({ ":path": "/" });
  const text = bytesOf(stream);
  const goaway = new Promise((resolve) => session.once("goaway", resolve));
  const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
  while (finish === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  const closing = listener.close(5000);
  await goaway;
  finish();
  assert.equal(String(await text), "late");
  await closed;
  await closing;
});

test(
  "etcd's gRPC clients, etcdctl with whole URLs among them, work on our HTTP/2",
  { skip: lacks("etcdctl") },
  async () => {
    const endpoint = `http://127.0.0.1:${(await freePorts(1))[0]}`;
    await using group = new ComponentGroup();
    const options = { dataDir: join(scratch, "etcd"), listenClientUrls: [endpoint] };
    await group.start(createEtcd(options, { ...ours, log: silent, metrics: new Metrics() }));
    const etcdctl = async (...args: string[]) => {
      const env = { ...process.env, ETCDCTL_API: "3" };
      const { stdout, stderr } = await run("etcdctl", [`--endpoints=${endpoint}`, ...args], { env });
      return stdout + stderr; // Health is told on the latter.
    };
    assert.equal(await etcdctl("put", "k", "v"), "OK\n");
    assert.equal(await etcdctl("get", "k"), "k\nv\n");
    assert.match(await etcdctl("endpoint", "status"), new RegExp(`^${endpoint}, `));
    assert.match(await etcdctl("endpoint", "health"), /is healthy/);

    const client = new Etcd3({ hosts: endpoint });
    await client.put("node").value("x".repeat(500_000));
    assert.equal((await client.get("node").string())!.length, 500_000);
    const watcher = await client.watch().key("watched").create();
    const seen = new Promise<string>((resolve) => void watcher.once("put", ({ value }) => resolve(String(value))));
    await client.put("watched").value("seen");
    assert.equal(await seen, "seen");
    await watcher.cancel();
    const lease = client.lease(60);
    await lease.put("leased").value("1");
    await lease.keepaliveOnce();
    await lease.revoke();
    client.close();
  },
);

test("our client works with a genuine etcd over TLS, which is Go's net/http", { skip: lacks("etcd") }, async () => {
  const [port, peer] = await freePorts(2);
  const endpoint = `https://127.0.0.1:${port}`;
  const [cert, key] = [join(scratch, "cert.pem"), join(scratch, "key.pem")];
  writeFileSync(cert, tls.cert);
  writeFileSync(key, tls.key);
  const child = spawn(
    "etcd",
    [
      ["--data-dir", join(scratch, "genuine"), "--log-level", "error", "--cert-file", cert, "--key-file", key],
      ["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint],
      ["--listen-peer-urls", `http://127.0.0.1:${peer}`, "--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
      ["--initial-cluster", `default=http://127.0.0.1:${peer}`],
    ].flat(),
    { stdio: "ignore" },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const client = connectEtcd(ours, { endpoints: [endpoint], tls: { insecureSkipVerify: true } });
  const http = ours.net.httpClient({ base: endpoint, tls: { insecureSkipVerify: true }, version: "2" });
  try {
    for (let attempt = 0; ; attempt++) {
      const ready = await client.kv.Range({ key: Buffer.from("x") }, { timeoutMs: 1000 }).then(
        () => true,
        () => false,
      );
      if (ready) break;
      assert.ok(attempt < 400, "etcd doesn't come up");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const value = Buffer.alloc(1_000_000, "v");
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.kv.Put({ key: Buffer.from(`k${i}`), value })));
    const { kvs } = await client.kv.Range({ key: Buffer.from("k"), range_end: Buffer.from("l") });
    assert.equal(kvs.length, 8);
    assert.ok(Buffer.from(kvs[7]!.value).equals(value));
    const version = await http.request({ method: "GET", path: "/version" });
    assert.match(String(await bytesOf(version.body)), /etcdserver/);
  } finally {
    await client.close();
    await http.close();
    child.kill("SIGTERM");
    await exited;
  }
});
