/** gRPC bodies: whatever is in them, the call ends with a status, and none that reveals a bug. */
import assert from "node:assert/strict";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { KV, PutRequest, TxnRequest } from "../../protocols/etcd/generated.ts";
import { framed, PREFIX_BYTES } from "../../wire/rpc/frames.ts";
import { bind, grpcHandler } from "../../wire/rpc/grpc-server.ts";
import type { BodySink, Exchange, Headers } from "../../world/net.ts";
import { randomInt } from "../../world/world.ts";
import { Simulation } from "../sim/simulation.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";

const no = () => ({});

export const grpcBodies: Fuzzer = {
  name: "grpc-bodies",
  about: "damaged frames and messages to unary calls",
  async run(random) {
    const codec = etcdCodec();
    const bugs: unknown[] = [];
    const services = [
      bind(KV, { Put: no, Txn: no, Range: no, DeleteRange: no, Compact: no, RangeStream: async () => {} }),
    ];
    const handler = grpcHandler({
      services,
      codec,
      clock: new Simulation(),
      maxRequestBytes: 10_000,
      onError: (error) => void bugs.push(error),
    });
    const bytes = () => random.bytes(randomInt(random, 50));
    const put = { key: bytes(), value: bytes(), lease: BigInt(randomInt(random, 1000)) };
    const method = pick(random, ["Put", "Txn"] as const);
    const message =
      method === "Put"
        ? codec.encode(PutRequest, put, PREFIX_BYTES)
        : codec.encode(
            TxnRequest,
            { compare: [{ key: bytes(), value: bytes() }], success: [{ request_put: put }], failure: [] },
            PREFIX_BYTES,
          );
    const body =
      random.next() < 0.9 ? mutated(random, framed(message)) : Buffer.from(random.bytes(randomInt(random, 100)));
    let ended: Headers | undefined;
    const exchange = {
      request: {
        method: "POST",
        url: `/etcdserverpb.KV/${method}`,
        headers: { "content-type": "application/grpc", ...(random.next() < 0.3 && { "grpc-encoding": "gzip" }) },
        signal: new AbortController().signal,
        async *body() {},
        receive(sink: BodySink) {
          for (const chunk of chunked(random, body)) sink.onData(chunk);
          sink.onEnd({});
        },
      },
      respond(_status: number, headers: Headers, _body: unknown, trailers?: Headers) {
        assert.equal(ended, undefined, "one answer");
        ended = { ...headers, ...trailers };
      },
    } as unknown as Exchange;
    await handler(exchange);
    assert.ok(ended, "an answer");
    const status = Number(ended["grpc-status"]);
    assert.ok([0, 8, 12, 13].includes(status), `status ${status}: ${String(ended["grpc-message"])}`);
    assert.deepEqual(bugs, []);
  },
};
