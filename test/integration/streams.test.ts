/**
 * exec, attach, port-forward, logs and proxies: what both ends of a conversation through our API server hear is what they hear through upstream's.
 * `genuine.json` was recorded with a kube-apiserver 1.36.2: `T8S_KUBE_APISERVER=/path/to/it T8S_ETCD=/path/to/etcd`, in a network namespace whose
 * loopback has the addresses of the rows, records it anew.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { selfSigned, signed } from "../../src/cli/certificates.ts";
import { machineWorld } from "../../src/cli/world.ts";
import type { ByteStream, ConnectOptions, HttpClientOptions } from "../../src/world/net.ts";
import type { World } from "../../src/world/world.ts";
import type { SpdyConnection, SpdyStream } from "../../src/wire/spdy/connection.ts";
import { End } from "./streams/play.ts";
import { KUBELET, OBJECTS, request, ROWS, SECURE_WEB, spdy, WEB, webSocket, type Row } from "./streams/rows.ts";

const RECORDED = join(import.meta.dirname, "streams/genuine.json");
const genuine = process.env["T8S_KUBE_APISERVER"];
const LATE_MS = genuine === undefined ? 30_000 : 6_000;

interface Heard {
  readonly client: readonly string[];
  readonly backend: readonly string[];
}

const world = machineWorld();
const ca = await selfSigned(world, "ca");
const serving = await signed(world, ca, {
  commonName: "server",
  names: ["localhost"],
  addresses: ["127.0.0.1", KUBELET.host, WEB.host],
  usages: ["server"],
});

/** What stands behind the API server: whose turn it is decides what it says. */
let turn:
  | {
      readonly row: Row;
      readonly notes: string[];
      readonly done: () => void;
      left: number;
      readonly streams: ByteStream[];
    }
  | undefined;
async function onStream(stream: ByteStream): Promise<void> {
  const now = turn;
  if (now?.row.backend === undefined || now.left === 0) return stream.destroy();
  now.left--;
  now.streams.push(stream);
  await now.row
    .backend(new End(stream, now.notes, world.random))
    .catch((error: unknown) => now.notes.push(String(error)));
  now.done();
}
const led = new Map<string, number>();
for (const { host, port, tls } of [
  { ...KUBELET, tls: serving },
  { ...SECURE_WEB, tls: serving },
  { ...WEB, tls: undefined },
]) {
  const at = genuine === undefined ? { host: "127.0.0.1", port: 0 } : { host, port };
  const listener = await world.net.listen({ ...at, ...(tls && { tls }) }, (stream) => void onStream(stream));
  led.set(`${host}:${port}`, listener.address.port);
  after(() => listener.close());
}

/** Addresses of the rows lead to this machine. */
const leading: World = {
  ...world,
  net: {
    ...world.net,
    httpClient: (options: HttpClientOptions) => {
      const url = new URL(options.base);
      if (!url.hostname.startsWith("192.0.2.")) return world.net.httpClient(options);
      const port = led.get(`${url.hostname}:${url.port}`) ?? 1;
      const client = world.net.httpClient({ ...options, base: `${url.protocol}//127.0.0.1:${port}` });
      const fail = (error: object) => {
        // Who refuses is the one that was called.
        if ("address" in error) Object.assign(error, { address: url.hostname, port: Number(url.port) });
        throw error;
      };
      return {
        request: (request) => client.request(request).catch(fail),
        upgrade: (request) => client.upgrade(request).catch(fail),
        close: () => client.close(),
        [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
      };
    },
    connect: (options: ConnectOptions) => world.net.connect(options),
  },
};

const { port } = genuine === undefined ? await startOurs() : await startGenuine(genuine);

async function startOurs(): Promise<{ port: number }> {
  const harness = await startServer(leading, {
    secure: { bindAddress: "127.0.0.1", port: 0, ...serving },
    staticTokens: new Map([
      ["secret", { name: "admin", groups: ["system:masters"] }],
      ["other", { name: "someone", groups: [] }],
      ["getter", { name: "getter", groups: [] }],
    ]),
    disableAdmissionPlugins: ["ServiceAccount"],
  });
  after(() => harness[Symbol.asyncDispose]());
  return { port: harness.server.address!.port };
}

async function startGenuine(program: string): Promise<{ port: number }> {
  const scratch = mkdtempSync(join(tmpdir(), "t8s-streams-"));
  const running: ChildProcess[] = [];
  const start = (command: string, ...args: string[]) =>
    running.push(
      spawn(command, args, { stdio: ["ignore", "ignore", process.env["T8S_VERBOSE"] ? "inherit" : "ignore"] }),
    );
  after(() => {
    for (const child of running.toReversed()) child.kill("SIGKILL");
    rmSync(scratch, { recursive: true, force: true });
  });
  writeFileSync(
    join(scratch, "tokens.csv"),
    "secret,admin,admin,system:masters\nother,someone,someone\ngetter,getter,getter\n",
  );
  execFileSync("openssl", ["genrsa", "-out", join(scratch, "sa.key"), "2048"], { stdio: "ignore" });
  const etcd = "http://127.0.0.1:23610";
  start(
    process.env["T8S_ETCD"] ?? "etcd",
    `--data-dir=${join(scratch, "etcd")}`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    "--listen-peer-urls=http://127.0.0.1:23611",
  );
  start(
    program,
    `--etcd-servers=${etcd}`,
    `--cert-dir=${join(scratch, "certs")}`,
    "--secure-port=23620",
    "--bind-address=127.0.0.1",
    `--advertise-address=${KUBELET.host}`,
    `--token-auth-file=${join(scratch, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-signing-key-file=${join(scratch, "sa.key")}`,
    `--service-account-key-file=${join(scratch, "sa.key")}`,
    "--disable-admission-plugins=ServiceAccount",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--allow-privileged",
  );
  return { port: 23620 };
}

const http = world.net.httpClient({
  base: `https://127.0.0.1:${port}`,
  tls: { insecureSkipVerify: true },
  version: "1.1",
});
after(() => http.close());
async function put(method: string, path: string, body: object): Promise<number> {
  const headers = {
    authorization: "Bearer secret",
    "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
  };
  const response = await http.request({ method, path, headers, body: JSON.stringify(body) });
  let text = "";
  for await (const chunk of response.body) text += Buffer.from(chunk).toString();
  if (response.status >= 400 && method !== "GET") assert.fail(text);
  return response.status;
}

const begun = Date.now();
while (genuine !== undefined) {
  const status = await put("GET", "/api/v1/namespaces/default", {}).catch(() => 0);
  if (status === 200) break;
  assert.ok(Date.now() - begun < 60_000, "the API server never came up");
  await sleep(200);
}
for (const { path, body, status } of OBJECTS) {
  assert.equal(await put("POST", path, body), 201);
  const { name } = (body as { metadata: { name: string } }).metadata;
  if (status !== undefined) assert.equal(await put("PATCH", `${path}/${name}/status`, { status }), 200);
}

if (genuine !== undefined) await sleep(3000); // Until its caches know all of them.

async function play(row: Row, lateMs = LATE_MS): Promise<Heard> {
  const notes: string[] = [];
  const behind: string[] = [];
  const finished = Promise.withResolvers<void>();
  if (row.backend === undefined) finished.resolve();
  turn = { row, notes: behind, done: finished.resolve, left: row.connections ?? 1, streams: [] };
  const { streams } = turn;
  const stream = await world.net.connect({ host: "127.0.0.1", port, tls: { insecureSkipVerify: true } });
  const giveUp = Promise.withResolvers<void>();
  const late = setTimeout(() => giveUp.resolve(), lateMs);
  let isOver = false;
  void giveUp.promise.then(() => !isOver && notes.push("<nothing more>"));
  await Promise.race([
    row.client(new End(stream, notes, world.random)).catch((error: unknown) => notes.push(String(error))),
    giveUp.promise,
  ]);
  // Who was never spoken to has nothing to wait for.
  if (turn.left === 0 || row.connections !== undefined) await Promise.race([finished.promise, giveUp.promise]);
  isOver = true;
  clearTimeout(late);
  stream.destroy();
  turn = undefined;
  // None is to be used again by the next row.
  for (const one of streams) one.destroy();
  if (genuine !== undefined) await sleep(50);
  return { client: notes, backend: behind };
}

/** Go's clients say what they are and that they can unpack, and its servers when it is: ours don't. */
const known = ({ client, backend }: Heard): Heard => ({
  client: client
    .filter((line) => line !== "")
    .map((line) => line.replaceAll(/\n(date: .*|content-length: .*|transfer-encoding: chunked)/g, "")),
  backend: backend
    .filter((line) => line !== "")
    .map((line) =>
      line.replaceAll(
        /\n(user-agent: Go-http-client\/1.1|accept-encoding: gzip|content-length: .*|connection: close|connection: keep-alive)(?=\n|$)/g,
        "",
      ),
    ),
});

/** Where ours differs, and how. */
const DIFFERENT: readonly (readonly [which: RegExp, how: (heard: string) => string])[] = [
  // Upstream may keep a client waiting whose kubelet has gone: who closes waits for who reads.
  [
    /^tunnel: (the kubelet goes away|several protocols|the kubelet chooses)/,
    (line) => (line === "<nothing more>" ? "" : line),
  ],
  // Upstream gets lost where the path it was asked for isn't the one that it asks for.
  [/: a path that is escaped$/, (line) => line.replace("/a/b c/ä/d/a/", "/a/")],
  // HTTP/1.1's trailers end here.
  [/: chunks and trailers$/, (line) => line.replace("\ntrailer: X-Sum", "").replace("<X-Sum: 1>", "")],
  // Upstream has not yet sent the beginning when it learns that there is no end.
  [
    /: an answer cut short$/,
    (line) =>
      line === "<end>"
        ? 'HTTP/1.1 200 OK\naudit-id: *\ncache-control: no-cache, private\ncontent-type: text/plain\0"all" <cut>'
        : line,
  ],
  // Upstream guesses what it is that has no type.
  [/ proxy: (400|401|404|500)$/, (line) => line.replace("\ncontent-type: text/plain; charset=utf-8", "")],
  // Upstream loses the query of an upgrade.
  [/ proxy: an upgrade to /, (line) => line.replace("GET /a HTTP", "GET /a?b=c HTTP")],
];

function expected(name: string, { client, backend }: Heard): Heard {
  const how = DIFFERENT.find(([which]) => which.test(name))?.[1] ?? ((line: string) => line);
  const changed = (lines: readonly string[]) =>
    lines.flatMap((line) => how(line).split("\0")).filter((line) => line !== "");
  return known({ client: changed(client), backend: changed(backend) });
}

if (genuine === undefined) {
  const recorded = JSON.parse(readFileSync(RECORDED, "utf8")) as Readonly<Record<string, Heard>>;
  test("every conversation was taken down", () =>
    assert.deepEqual(
      Object.keys(recorded),
      ROWS.map(({ name }) => name),
    ));
  for (const row of ROWS)
    test(row.name, async () => assert.deepEqual(known(await play(row)), expected(row.name, recorded[row.name]!)));
  /** A back end that says this much on a command's output, or a port's, with nobody to hold it up but who should. */
  const TOTAL = 128 << 20;
  const hoarding =
    (path: string, headers: readonly string[], read: (end: End, until: () => Promise<void>) => Promise<void>) =>
    async () => {
      let written = 0;
      /** Until nothing has moved for a while. */
      const still = async () => {
        for (let before = -1; before !== written || written === 0; await sleep(300)) before = written;
        assert.ok(written < TOTAL / 2, `${written} bytes were taken`);
      };
      const { client } = await play(
        {
          name: "",
          async client(end) {
            end.send(request(path, headers));
            await end.head();
            await read(end, still);
          },
          async backend(end) {
            const asked = await end.head();
            const protocol = asked.includes("portforward.k8s.io") ? "portforward.k8s.io" : "v4.channel.k8s.io";
            end.send(
              `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
            );
            const incoming = end.spdy("server").streams[Symbol.asyncIterator]();
            const error = (await incoming.next()).value!;
            const output = (await incoming.next()).value!;
            const piece = Buffer.alloc(64 << 10, "x");
            for (; written < TOTAL; written += piece.length) await output.write(piece);
            output.end();
            error.end();
          },
        },
        250_000,
      );
      return client.slice(1).join();
    };
  const POD = "/api/v1/namespaces/default/pods/p";
  const inStreams =
    (spdyOf: (end: End) => SpdyConnection, headers: readonly Record<string, string>[]) =>
    async (end: End, still: () => Promise<void>) => {
      const connection = spdyOf(end);
      const streams: SpdyStream[] = [];
      for (const one of headers) streams.push(await connection.open(one));
      await still();
      let length = 0;
      for await (const chunk of streams[1]!) length += chunk.length;
      end.note(`${length} bytes`);
      connection.close();
    };
  const port80 = { port: "80", requestid: "0" };
  for (const [name, play, heard] of [
    [
      "WebSocket, v5",
      hoarding(`${POD}/exec?command=c&stdout=1`, webSocket("v5.channel.k8s.io"), async (end, still) => {
        await still();
        await end.channels();
      }),
      new RegExp(`^channel 1: .*, ${TOTAL} bytes,channel 3: .*Success`),
    ],
    [
      "SPDY",
      hoarding(
        `${POD}/exec?command=c&stdout=1`,
        spdy("v4.channel.k8s.io"),
        inStreams((end) => end.spdy("client"), [{ streamtype: "error" }, { streamtype: "stdout" }]),
      ),
      new RegExp(`^${TOTAL} bytes$`),
    ],
    [
      "SPDY in a WebSocket",
      hoarding(
        `${POD}/portforward?ports=80`,
        webSocket("SPDY/3.1+portforward.k8s.io"),
        inStreams(
          (end) => end.tunnel(),
          [
            { ...port80, streamtype: "error" },
            { ...port80, streamtype: "data" },
          ],
        ),
      ),
      new RegExp(`^${TOTAL} bytes$`),
    ],
  ] as const)
    test(`what a client does not read is not hoarded: ${name}`, { timeout: 300_000 }, async () =>
      assert.match(await play(), heard),
    );
} else
  test("taking down what upstream says", async () => {
    const heard: Record<string, Heard> = {};
    for (const row of ROWS) {
      assert.ok(!(row.name in heard), row.name);
      const from = Date.now();
      heard[row.name] = await play(row);
      if (Date.now() - from > 5000) console.log(`${row.name}: ${Date.now() - from} ms`);
    }
    writeFileSync(RECORDED, `${JSON.stringify(heard, undefined, 1)}\n`);
  });
