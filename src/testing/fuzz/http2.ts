/** HTTP/2 connections: whatever the other side sends, they answer, cut a stream, or say why they end. */
import assert from "node:assert/strict";
import { http2Engine } from "../../wire/http2/engine.ts";
import { FrameWriter } from "../../wire/http2/frame-writer.ts";
import { HeaderEncoder } from "../../wire/http2/hpack/encoder.ts";
import { GOAWAY, PREFACE } from "../../wire/http2/protocol.ts";
import type { HttpHandler } from "../../world/net.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { Http2Wire } from "../http2-wire.ts";
import { Simulation } from "../sim/simulation.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";
import { randomHeaders } from "./hpack.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

const handle: HttpHandler = async (exchange) => {
  let size = 0;
  for await (const chunk of exchange.request.body) size += chunk.length;
  const out = exchange.stream(200, { "x-size": String(size) });
  out.write("x".repeat(size % 10_000));
  out.end({ "x-end": "1" });
};

/** Frames as a peer might send them, most of them well made. */
function conversation(random: Random, fromServer: boolean): Buffer {
  const writer = new FrameWriter();
  const encoder = new HeaderEncoder();
  const pieces: Buffer[] = [];
  const take = () => void pieces.push(Buffer.concat(writer.take()));
  const request = () => ({ ":method": "POST", ":scheme": "http", ":path": "/", ...randomHeaders(random) });
  const answer = () => ({ ":status": "200", ...randomHeaders(random) });
  let id = 1;
  if (!fromServer) writer.raw(Buffer.from(PREFACE));
  writer.settings(
    random.next() < 0.8 ? [[4, randomInt(random, 100_000)]] : [[randomInt(random, 9), randomInt(random, 2 ** 20)]],
  );
  for (let frames = randomInt(random, 20); frames > 0; frames--) {
    take();
    const of = random.next() < 0.8 ? id : randomInt(random, 20);
    switch (randomInt(random, 10)) {
      case 0:
      case 1:
      case 2:
        id += 2;
        writer.headers(
          fromServer ? of : id,
          encoder.encode(fromServer ? answer() : request()),
          random.next() < 0.4,
          pick(random, [100, 16_384]),
        );
        break;
      case 3:
      case 4:
        writer.data(of, random.bytes(randomInt(random, random.next() < 0.9 ? 100 : 16_384)), random.next() < 0.4);
        break;
      case 5:
        writer.windowUpdate(random.next() < 0.5 ? 0 : of, randomInt(random, random.next() < 0.9 ? 100_000 : 2 ** 31));
        break;
      case 6:
        writer.ping(random.bytes(8), random.next() < 0.3);
        break;
      case 7:
        writer.reset(of, pick(random, ["CANCEL", "NO_ERROR", "REFUSED_STREAM"]));
        break;
      case 8:
        writer.settings([[4, randomInt(random, 2 ** 31)]]);
        break;
      default:
        if (random.next() < 0.2) writer.goaway(of, "NO_ERROR", "bye");
        else writer.headers(of, encoder.encode({ "x-trailer": "1" }), true, 16_384);
    }
  }
  take();
  if (random.next() < 0.6) {
    const at = randomInt(random, pieces.length);
    pieces[at] = mutated(random, pieces[at]!);
  }
  return Buffer.concat(pieces);
}

/** It is over with a last word, or it still answers a ping. */
async function converse(random: Random, wire: Http2Wire, bytes: Buffer): Promise<void> {
  for (const chunk of chunked(random, bytes)) wire.sink.onData(chunk);
  await settled();
  const saidGoodbye = wire.frames.some(({ type }) => type === GOAWAY);
  assert.equal(wire.ended || wire.destroyed, saidGoodbye, "a connection ends with GOAWAY, and after it");
}

export const http2Servers: Fuzzer = {
  name: "http2-servers",
  about: "conversations of clients, whole and damaged, in chunks of any size, to a server's connection",
  async run(random) {
    const wire = new Http2Wire();
    const errors: unknown[] = [];
    http2Engine(new Simulation()).serve(wire, {
      encrypted: false,
      handle,
      onError: (error) => void errors.push(error),
    });
    await converse(random, wire, conversation(random, false));
    for (const error of errors) assert.equal((error as { code?: string }).code, "ECONNRESET");
  },
};

export const http2Clients: Fuzzer = {
  name: "http2-clients",
  about: "conversations of servers, whole and damaged, in chunks of any size, to a client's connection",
  async run(random) {
    const wire = new Http2Wire(PREFACE.length);
    const client = http2Engine(new Simulation()).dial(wire, { encrypted: false, authority: "a" });
    let pending = 5;
    const ask = async () => {
      try {
        const answer = await client.request({ method: "POST", path: "/", body: "x".repeat(randomInt(random, 1000)) });
        for await (const _ of answer.body);
        await answer.trailers;
      } catch (error) {
        assert.equal((error as { code?: string }).code, "ECONNRESET");
      } finally {
        pending--;
      }
    };
    const asking = Promise.all(Array.from({ length: pending }, ask));
    for (const chunk of chunked(random, conversation(random, true))) wire.sink.onData(chunk);
    await settled();
    client.destroy();
    await asking;
    assert.equal(pending, 0);
  },
};
