/** One service through each of its transports: gRPC, in process, and JSON. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { enums, KV, Maintenance, messages, PutRequest, RangeResponse, Watch } from "../../protocols/etcd/generated.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { http2Engine } from "../http2/engine.ts";
import { createCodec } from "./codec.ts";
import { decodeGrpcMessage, encodeGrpcMessage, formatGrpcTimeout, FrameReader, parseGrpcTimeout } from "./frames.ts";
import { gatewayHandler } from "./gateway.ts";
import { grpcClient } from "./grpc-client.ts";
import { bind, grpcHandler, isGrpc } from "./grpc-server.ts";
import { inProcess } from "./in-process.ts";
import { MessageQueue } from "./message-queue.ts";
import { RpcError, type Call, type Client, type Implementation } from "./service.ts";

const { clock } = nodeWorld();
const codec = createCodec({ messages, enums });
const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const open: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of open.reverse()) await close();
});

const aborted = (call: Call) =>
  new Promise<never>((_, reject) =>
    call.signal.addEventListener("abort", () => reject(call.signal.reason), { once: true }),
  );

/** Told of a call that waits. */
interface Seen {
  begun?: () => void;
  cancelled?: () => void;
}

function kv(seen: Seen = {}): Implementation<typeof KV> {
  const no = () => {
    throw new RpcError("Unimplemented", "no");
  };
  return {
    async Range(request, call) {
      const key = text(request.key);
      if (key === "fail") throw new RpcError("OutOfRange", "etcdserver: mvcc: 50% – gone\n");
      if (key === "bug") throw new TypeError("it is a bug");
      if (key === "wait") {
        seen.begun?.();
        call.signal.addEventListener("abort", () => seen.cancelled?.());
        if (call.signal.aborted) seen.cancelled?.();
        await aborted(call);
      }
      return {
        kvs: [{ key: request.key, value: utf8(String(call.metadata["note"])), lease: -1n }],
        count: request.limit,
        more: true,
      };
    },
    async RangeStream(request, stream, call) {
      for (let i = 0; i < 5; i++) stream.send({ range_response: { count: i + request.limit } });
      if (text(request.key) === "fail") throw new RpcError("Aborted", "halfway");
      if (text(request.key) === "wait") await aborted(call);
    },
    Put: (request) => ({ prev_kv: { value: request.value } }),
    DeleteRange: no,
    Txn: no,
    Compact: no,
  };
}
const watch: Implementation<typeof Watch> = {
  async Watch(stream) {
    for await (const request of stream) {
      if (request.cancel_request) throw new RpcError("FailedPrecondition", "enough");
      stream.send({ watch_id: request.create_request!.watch_id, created: true });
    }
  },
};

test("a queue of many messages keeps their order and tells when it is drained", async () => {
  const queue = new MessageQueue<number>(100);
  for (let i = 0; i < 50_000; i++) assert.equal(queue.push(i), i < 99);
  let drained = false;
  void queue.drained.then(() => (drained = true));
  queue.end(new Error("over"));
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const item of queue) seen.push(item);
  }, /over/);
  assert.deepEqual(
    seen,
    Array.from({ length: 50_000 }, (_, i) => i),
  );
  assert.ok(drained);
});

test("messages are cut from a body whatever its chunks", () => {
  const body = Buffer.concat(
    [1, 0, 300].map((size) => Buffer.concat([Buffer.from([0, 0, 0, size >> 8, size & 255]), Buffer.alloc(size, size)])),
  );
  for (let step = 1; step < body.length; step++) {
    const frames = new FrameReader({ maxBytes: 1000, encoding: undefined });
    const sizes: number[] = [];
    for (let at = 0; at < body.length; at += step) {
      frames.push(body.subarray(at, at + step));
      for (let message = frames.next(); message; message = frames.next()) sizes.push(message.length);
    }
    frames.end();
    assert.deepEqual(sizes, [1, 0, 300]);
  }
});

test("status messages and timeouts are spelled as gRPC does", () => {
  assert.equal(encodeGrpcMessage("50% – \n"), "50%25 %E2%80%93 %0A");
  assert.equal(decodeGrpcMessage("50%25 %E2%80%93 %0A%zz"), "50% – \n%zz");
  assert.deepEqual(["1H", "2M", "3S", "4m", "5u", "6n", "x", "123456789S"].map(parseGrpcTimeout), [
    3_600_000,
    120_000,
    3000,
    4,
    0.005,
    0.000006,
    undefined,
    undefined,
  ]);
  assert.deepEqual([0.5, 1000, 200_000, 1e9].map(formatGrpcTimeout), ["500u", "1000000u", "200000m", "1000000S"]);
  assert.equal(isGrpc({ "content-type": "application/grpc-web" }), false);
});

for (const [implementation, world] of [
  ["node:http2", nodeWorld()],
  ["HTTP/2 of our own", nodeWorld({ http2: http2Engine })],
] as const)
  describe(`services over ${implementation}`, () => {
    interface Clients {
      readonly kv: Client<typeof KV>;
      readonly watch: Client<typeof Watch>;
    }
    async function overGrpc(seen?: Seen): Promise<Clients> {
      const handle = grpcHandler({ services: [bind(KV, kv(seen)), bind(Watch, watch)], codec, clock });
      const listener = await world.net.serveHttp({ host: "127.0.0.1" }, handle);
      const http = world.net.httpClient({ base: `http://127.0.0.1:${listener.address.port}`, version: "2" });
      open.push(
        () => listener.close(),
        () => http.close(),
      );
      return { kv: grpcClient(KV, { http, codec, clock }), watch: grpcClient(Watch, { http, codec, clock }) };
    }
    async function inThisProcess(seen?: Seen): Promise<Clients> {
      return { kv: inProcess(KV, kv(seen), { codec, clock }), watch: inProcess(Watch, watch, { codec, clock }) };
    }

    const fails = (code: string, message: RegExp) => (error: RpcError) => {
      assert.equal(error.name, "RpcError");
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    };

    for (const [name, connect] of [
      ["over gRPC", overGrpc],
      ["in process", inThisProcess],
    ] as const) {
      test(`a unary call's messages are whole ${name}`, async () => {
        const client = await connect();
        const answer = await client.kv.Range({ key: utf8("k"), limit: 3 }, { metadata: { note: "n" } });
        assert.deepEqual(
          answer,
          codec.fill(RangeResponse, { kvs: [{ key: utf8("k"), value: utf8("n"), lease: -1n }], count: 3, more: true }),
        );
      });

      test(`a handler's error keeps its code and words ${name}`, async () => {
        const client = await connect();
        await assert.rejects(
          client.kv.Range({ key: utf8("fail") }),
          fails("OutOfRange", /^etcdserver: mvcc: 50% – gone\n$/),
        );
        await assert.rejects(client.kv.Range({ key: utf8("bug") }), fails("Unknown", /^it is a bug$/));
      });

      test(`a deadline ends a call on both sides ${name}`, async () => {
        const seen = Promise.withResolvers<void>();
        let isBegun = false;
        const client = await connect({ begun: () => (isBegun = true), cancelled: seen.resolve });
        // A busy machine may be too late to begin.
        for (let timeoutMs = 20; !isBegun; timeoutMs *= 2)
          await assert.rejects(
            client.kv.Range({ key: utf8("wait") }, { timeoutMs }),
            fails("DeadlineExceeded", /deadline/),
          );
        await seen.promise;
      });

      test(`a caller's abort ends a call on both sides ${name}`, async () => {
        const seen = Promise.withResolvers<void>();
        const abort = new AbortController();
        const client = await connect({ begun: () => abort.abort(), cancelled: seen.resolve });
        const call = client.kv.Range({ key: utf8("wait") }, { signal: abort.signal });
        await assert.rejects(call, fails("Canceled", /canceled/));
        await seen.promise;
      });

      test(`a server stream ends with the server's status ${name}`, async () => {
        const client = await connect();
        const counts: number[] = [];
        for await (const part of client.kv.RangeStream({ limit: 10 })) counts.push(part.range_response!.count);
        assert.deepEqual(counts, [10, 11, 12, 13, 14]);
        let seen = 0;
        await assert.rejects(
          async () => {
            for await (const _ of client.kv.RangeStream({ key: utf8("fail") })) seen++;
          },
          fails("Aborted", /halfway/),
        );
        assert.equal(seen, 5);
      });

      test(`a reader that leaves cancels the stream ${name}`, async () => {
        const client = await connect();
        for await (const _ of client.kv.RangeStream({ key: utf8("wait") })) break;
      });

      test(`a two-way stream answers as it is asked ${name}`, async () => {
        const client = await connect();
        const stream = client.watch.Watch();
        const answers = stream[Symbol.asyncIterator]();
        for (let i = 1; i <= 3; i++) {
          stream.send({ create_request: { watch_id: BigInt(i) as never } });
          assert.equal(Number((await answers.next()).value.watch_id), i);
        }
        stream.send({ cancel_request: {} });
        await assert.rejects(answers.next(), fails("FailedPrecondition", /enough/));
        const ended = client.watch.Watch();
        ended.end();
        assert.equal((await ended[Symbol.asyncIterator]().next()).done, true);
      });
    }

    test("what no service serves is Unimplemented in gRPC's words", async () => {
      const handle = grpcHandler({ services: [bind(Watch, watch)], codec, clock, maxRequestBytes: 100 });
      const listener = await world.net.serveHttp({ host: "127.0.0.1" }, handle);
      const http = world.net.httpClient({ base: `http://127.0.0.1:${listener.address.port}`, version: "2" });
      open.push(
        () => listener.close(),
        () => http.close(),
      );
      await assert.rejects(
        grpcClient(Maintenance, { http, codec, clock }).Status({}),
        fails("Unimplemented", /^unknown service etcdserverpb.Maintenance$/),
      );
      const other = { name: "etcdserverpb.Watch", methods: { Look: KV.methods.Put } };
      await assert.rejects(
        grpcClient(other, { http, codec, clock }).Look({}),
        fails("Unimplemented", /^unknown method Look for service etcdserverpb.Watch$/),
      );
      assert.equal(
        (await http.request({ method: "POST", path: "/", headers: { "content-type": "text/plain" } })).status,
        415,
      );
    });

    test("a compressed request is inflated, and one too large refused", async () => {
      const handle = grpcHandler({ services: [bind(KV, kv())], codec, clock, maxRequestBytes: 1000 });
      const listener = await world.net.serveHttp({ host: "127.0.0.1" }, handle);
      const http = world.net.httpClient({ base: `http://127.0.0.1:${listener.address.port}`, version: "2" });
      open.push(
        () => listener.close(),
        () => http.close(),
      );
      const zipped = gzipSync(codec.encode(PutRequest, { value: new Uint8Array(500) }));
      const prefix = Buffer.alloc(5);
      prefix[0] = 1;
      prefix.writeUInt32BE(zipped.length, 1);
      const headers = { "content-type": "application/grpc+proto", "grpc-encoding": "gzip" };
      const answer = await http.request({
        method: "POST",
        path: "/etcdserverpb.KV/Put",
        headers,
        body: Buffer.concat([prefix, zipped]),
      });
      let size = 0;
      for await (const chunk of answer.body) size += chunk.length;
      assert.ok(size > 500);
      assert.equal((await answer.trailers)["grpc-status"], "0");
      await assert.rejects(
        grpcClient(KV, { http, codec, clock }).Put({ value: new Uint8Array(2000) }),
        fails("ResourceExhausted", /^grpc: received message larger than max \(2003 vs. 1000\)$/),
      );
    });

    async function gateway(): Promise<(path: string, body: string) => Promise<[number, string]>> {
      const handle = gatewayHandler({
        services: [bind(KV, kv()), bind(Watch, watch)],
        codec,
        clock,
        aliases: { "/v3/other": "/v3/kv/range" },
      });
      const listener = await world.net.serveHttp({ host: "127.0.0.1" }, handle);
      const http = world.net.httpClient({ base: `http://127.0.0.1:${listener.address.port}` });
      open.push(
        () => listener.close(),
        () => http.close(),
      );
      return async (path, body) => {
        const answer = await http.request({ method: "POST", path, body });
        const chunks: Uint8Array[] = [];
        for await (const chunk of answer.body) chunks.push(chunk);
        return [answer.status, Buffer.concat(chunks).toString()];
      };
    }

    test("the gateway speaks protobuf's JSON", async () => {
      const post = await gateway();
      const key = Buffer.from("k").toString("base64");
      const value = Buffer.from("undefined").toString("base64");
      const expected = { kvs: [{ key, value, lease: "-1" }], more: true, count: "9007199254740991" };
      for (const path of ["/v3/kv/range", "/v3beta/kv/range", "/v3/other"]) {
        const [status, body] = await post(
          path,
          JSON.stringify({ key, limit: "9007199254740991", sortOrder: 2, unknown: 1 }),
        );
        assert.deepEqual([status, JSON.parse(body)], [200, expected]);
      }
      const failure = {
        error: 'proto: invalid value for int64 field limit: "x"',
        code: 3,
        message: 'proto: invalid value for int64 field limit: "x"',
      };
      const [status, body] = await post("/v3/kv/range", '{"limit":"x"}');
      assert.deepEqual([status, JSON.parse(body)], [400, failure]);
      assert.equal((await post("/v3/kv/range", "{"))[0], 400);
      assert.equal(
        (await post("/v3/kv/range", JSON.stringify({ key: Buffer.from("fail").toString("base64") })))[0],
        400,
      );
      assert.equal((await post("/v3/nothing", ""))[0], 404);
    });

    test("the gateway's streams are lines of results", async () => {
      const post = await gateway();
      const [status, body] = await post(
        "/v3/watch",
        '{"create_request":{"watch_id":"1"}} {"create_request":{"watchId":"2"}}\n{"cancel_request":{}}',
      );
      assert.equal(status, 200);
      assert.deepEqual(
        body
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
        [
          { result: { watch_id: "1", created: true } },
          { result: { watch_id: "2", created: true } },
          { error: { error: "enough", code: 9, message: "enough" } },
        ],
      );
    });
  });
