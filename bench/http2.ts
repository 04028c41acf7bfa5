/**
 * What does a request cost the wire? Unary gRPC calls and HTTPS gets with handlers that do next to nothing, over `node:http2` and over HTTP/2 of our
 * own, in turn: requests a second, and microseconds of the server's CPU for each. Prints the ratio.
 *
 *     sh tools/node.sh bench/http2.ts [seconds [case,case…]]
 *     BENCH_PROFILE=/tmp/profile sh tools/node.sh bench/http2.ts   # where the servers' time goes
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { ensurePki } from "../src/cli/pki.ts";
import { etcdCodec } from "../src/protocols/etcd/connect.ts";
import { KV, PutRequest } from "../src/protocols/etcd/generated.ts";
import { simulatedWorld } from "../src/testing/sim/world.ts";
import { http2Engine } from "../src/wire/http2/engine.ts";
import { bind, grpcHandler } from "../src/wire/rpc/grpc-server.ts";
import { framed, PREFIX_BYTES } from "../src/wire/rpc/frames.ts";
import type { HttpHandler } from "../src/world/net.ts";
import { nodeWorld } from "../src/world/node/index.ts";
import { usage } from "./kit/machine.ts";
import { RawConnection, type RawRequest } from "./kit/raw-http2.ts";

const ROUNDS = 4;
const GRPC_PORT = 21_710;
const HTTPS_PORT = 21_711;

if (process.argv[2] === "serve") await serve(process.argv[3]!);
else await compare(Number(process.argv[2] ?? 4), (process.argv[3] ?? "").split(",").filter(Boolean));

async function serve(which: string): Promise<void> {
  const world = nodeWorld(which === "ours" ? { http2: http2Engine } : {});
  const offset = which === "ours" ? 0 : 10;
  const put = (request: { key: Uint8Array }) => ({
    header: { cluster_id: 1n, member_id: 2n, revision: request.key.length, raft_term: 3 },
  });
  const later = (request: { key: Uint8Array }) => Promise.resolve(put(request));
  const no = () => Promise.reject(new Error("no"));
  const services = [
    bind(KV, { Put: put, Range: no, DeleteRange: later as never, Txn: no, Compact: no, RangeStream: no } as never),
  ];
  const grpc = grpcHandler({ services, codec: etcdCodec(), clock: world.clock });
  await world.net.serveHttp({ host: "127.0.0.1", port: GRPC_PORT + offset }, grpc);
  const pki = await ensurePki({ ...simulatedWorld(1), clock: world.clock }, "/pki", [], []);
  const body = Buffer.alloc(2048, "x");
  const get: HttpHandler = async (exchange) => {
    for await (const _ of exchange.request.body);
    exchange.respond(
      200,
      { "content-type": "application/json", "audit-id": String(Math.random()), "cache-control": "no-cache, private" },
      body,
    );
  };
  const { cert, key } = pki.apiserver;
  await world.net.serveHttp({ host: "127.0.0.1", port: HTTPS_PORT + offset, tls: { cert, key } }, get);
  process.send!("ready");
  process.once("SIGTERM", () => process.exit());
}

async function compare(seconds: number, only: readonly string[]): Promise<void> {
  const message = framed(
    etcdCodec().encode(PutRequest, { key: Buffer.from("00000001"), value: Buffer.alloc(256, "v") }, PREFIX_BYTES),
  );
  const grpc = (path: string): RawRequest => ({
    headers: Object.freeze({
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": "127.0.0.1:2379",
      "content-type": "application/grpc",
      "user-agent": "grpc-go/1.60.0",
      te: "trailers",
    }),
    body: message,
  });
  const get: RawRequest = {
    headers: Object.freeze({
      ":method": "GET",
      ":scheme": "https",
      ":path": "/api/v1/namespaces/default/configmaps/a",
      ":authority": "127.0.0.1:6443",
      accept: "application/json",
      "user-agent": "kubectl/v1.36.0 (linux/amd64) kubernetes/abcdef",
      authorization: "Bearer 0123456789abcdef",
    }),
  };
  const put = grpc("/etcdserverpb.KV/Put");
  const later = grpc("/etcdserverpb.KV/DeleteRange");
  await using theirs = await start("node");
  await using ours = await start("ours");
  console.log("case                     node:http2  µs each        ours  µs each    requests     CPU");
  for (const [name, port, tls, connections, streams, request] of [
    ["grpc 1 x 1", GRPC_PORT, false, 1, 1, put],
    ["grpc 1 x 64", GRPC_PORT, false, 1, 64, put],
    ["grpc 8 x 8", GRPC_PORT, false, 8, 8, put],
    ["grpc 8 x 8, by promise", GRPC_PORT, false, 8, 8, later],
    ["get over TLS 1 x 1", HTTPS_PORT, true, 1, 1, get],
    ["get over TLS 8 x 8", HTTPS_PORT, true, 8, 8, get],
  ] as const) {
    if (only.length > 0 && !only.some((part) => name.startsWith(part))) continue;
    const [a, b] = [
      { answers: 0, ms: 0, cpu: 0 },
      { answers: 0, ms: 0, cpu: 0 },
    ];
    for (let round = 0; round <= ROUNDS; round++)
      for (const [sum, server, offset] of [
        [a, theirs, 10],
        [b, ours, 0],
      ] as const) {
        const load = Array.from({ length: connections }, () => new RawConnection(port + offset, tls, streams, request));
        const before = usage(server.pid);
        await Promise.all(load.map((each) => each.run((seconds * 1000) / ROUNDS)));
        const after = usage(server.pid);
        if (round > 0) {
          sum.answers += load.reduce((total, { answers }) => total + answers, 0);
          sum.ms += after.at - before.at;
          sum.cpu += after.cpu - before.cpu;
        } // The first is to warm up.
        for (const each of load) each.close();
      }
    const rate = ({ answers, ms }: typeof a) => (answers / ms) * 1000;
    const cost = ({ answers, cpu }: typeof a) => (cpu * 1e6) / answers;
    const cells = (one: typeof a) => `${rate(one).toFixed(0).padStart(12)}${cost(one).toFixed(1).padStart(9)}`;
    const [requests, cpu] = [rate(b) / rate(a), cost(a) / cost(b)];
    console.log(
      `${name.padEnd(23)}${cells(a)}${cells(b)}${requests.toFixed(2).padStart(11)}x${cpu.toFixed(2).padStart(7)}x`,
    );
  }
}

async function start(which: string) {
  const profile = process.env["BENCH_PROFILE"];
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      ...(profile ? ["--cpu-prof", "--cpu-prof-dir", `${profile}/${which}`] : []),
      import.meta.filename,
      "serve",
      which,
    ],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  await once(child, "message");
  return {
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}
