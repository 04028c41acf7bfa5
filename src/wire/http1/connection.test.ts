/** A server's connection, byte by byte, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http1Wire } from "../../testing/http1-wire.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import type { ByteStream, Exchange, HttpHandler, ResponseStream } from "../../world/net.ts";
import { http1Engine } from "./engine.ts";
import * as limits from "./limits.ts";

function serve(handle: HttpHandler) {
  const clock = new Simulation();
  const wire = new Http1Wire();
  const errors: unknown[] = [];
  const connection = http1Engine(clock).serve(wire, {
    encrypted: false,
    handle,
    onError: (error) => void errors.push(error),
  });
  /** What is heard of it, without dates. */
  const ask = async (bytes: string | Uint8Array) => {
    const from = wire.pieces.length;
    wire.say(bytes);
    await clock.advance(0);
    return wire.pieces
      .slice(from)
      .join("")
      .replaceAll(/^Date: .*\r\n/gm, "");
  };
  return { clock, wire, errors, connection, ask };
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\n";
const ok: HttpHandler = (exchange) => exchange.respond(200, {}, exchange.request.url);
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n/";

async function bodyOf(exchange: Exchange): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of exchange.request.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}
const echo: HttpHandler = async (exchange) => exchange.respond(200, {}, await bodyOf(exchange));

test("head and body leave in one piece, and so does a request that comes a byte at a time", async () => {
  const { wire, ask } = serve(ok);
  assert.equal(await ask(GET), OK);
  assert.equal(wire.pieces.length, 1);
  for (const byte of GET.slice(0, -1)) assert.equal(await ask(byte), "");
  assert.equal(await ask("\n"), OK);
});

test("requests at once are answered one after the other, in their order", async () => {
  const asked: Exchange[] = [];
  const { clock, wire, ask } = serve((exchange) => void asked.push(exchange));
  await ask(["/1", "/2", "/3"].map((url) => GET.replace("/", url)).join(""));
  for (const count of [1, 2, 3]) {
    assert.equal(asked.length, count);
    asked[count - 1]!.respond(200, {}, asked[count - 1]!.request.url);
    await clock.advance(0);
  }
  assert.deepEqual(wire.text.match(/\/\d$|\/\d(?=HTTP)/g), ["/1", "/2", "/3"]);
});

test("a client that asks on and on without waiting has to wait", async () => {
  let first: Exchange | undefined;
  let asked = 0;
  const { clock, wire, ask } = serve((exchange) => {
    asked++;
    if (first === undefined) first = exchange;
    else ok(exchange);
  });
  await ask(GET.repeat(10_000));
  assert.equal(wire.paused, true);
  first!.respond(200, {}, "/");
  await clock.advance(0);
  assert.equal(wire.paused, false);
  assert.equal(asked, 10_000);
});

test("headers that are said again in other bytes are read again", async () => {
  const seen: unknown[] = [];
  const { ask } = serve((exchange) => {
    seen.push(exchange.request.headers["x-a"]);
    exchange.respond(200, {});
  });
  for (const value of ["1", "2", "1", "3", "4", "5", "6", "1", "22"])
    await ask(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${value}\r\n\r\n`);
  await ask(`GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\n\r\n`);
  assert.deepEqual(seen, ["1", "2", "1", "3", "4", "5", "6", "1", "22", "1, 2"]);
});

test("names of users and groups stay apart, of what there is one the first counts, all else is joined", async () => {
  let seen: Record<string, unknown> = {};
  const { ask } = serve((exchange) => {
    seen = { ...exchange.request.headers };
    exchange.respond(200, {});
  });
  const lines = [
    "Impersonate-Group: a",
    "Impersonate-Group: b,c",
    "Authorization: x",
    "Authorization: y",
    "X-A: 1",
    "x-a: 2",
  ];
  await ask(`GET / HTTP/1.1\r\nHost: a\r\n${lines.join("\r\n")}\r\n\r\n`);
  assert.deepEqual(seen, { host: "a", "impersonate-group": ["a", "b,c"], authorization: "x", "x-a": "1, 2" });
});

test("who is slow with a request's head is left after 32 seconds, without a word", async () => {
  for (const begin of ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"]) {
    const { clock, wire, ask } = serve(ok);
    await clock.advance(20_000);
    if (begin === "") await clock.advance(11_999);
    else {
      await ask(begin);
      // A word now and then wins no time.
      for (let i = 0; i < 3; i++) {
        await clock.advance(10_000);
        await ask("X");
      }
      await clock.advance(1999);
    }
    assert.equal(wire.destroyed, false);
    await clock.advance(2);
    assert.equal(wire.destroyed, true);
    assert.equal(wire.text, "");
  }
});

test("between requests a connection may rest for 90 seconds, and not within one however long that takes", async () => {
  let exchange!: Exchange;
  const { clock, wire, ask } = serve((one) => void (exchange = one));
  for (let i = 0; i < 3; i++) {
    await ask(GET);
    await clock.advance(1_000_000);
    exchange.respond(200, {}, "/");
    await clock.advance(89_000);
    assert.equal(wire.destroyed, false);
  }
  await clock.advance(1001);
  assert.equal(wire.destroyed, true);
});

test("a slow body is the handler's to wait for, and the next request comes behind it", async () => {
  const { clock, wire, ask } = serve(echo);
  await ask(`${POST}Content-Length: 10\r\n\r\n`);
  for (let i = 0; i < 10; i++) {
    await clock.advance(100_000);
    assert.equal(wire.text, "");
    await ask(String(i));
  }
  assert.match(wire.text, /0123456789$/);
  assert.match(await ask(GET), /^HTTP\/1.1 200 OK/);
});

test("after its response a client has 32 seconds to finish sending its body", async () => {
  const { clock, wire, ask } = serve(ok);
  assert.equal(await ask(`${POST}Content-Length: 10\r\n\r\n123`), OK);
  await clock.advance(31_999);
  assert.equal(wire.destroyed, false);
  await clock.advance(2);
  assert.equal(wire.destroyed, true);
  const other = serve(ok);
  await other.ask(`${POST}Content-Length: 10\r\n\r\n123`);
  await other.clock.advance(31_000);
  assert.equal(await other.ask(`4567890${GET}`), OK);
});

test("what is long and unwanted ends the connection, after its answer was read", async () => {
  const { clock, wire, ask } = serve(ok);
  assert.match(await ask(`${POST}Content-Length: ${limits.UNWANTED_BODY_BYTES}\r\n\r\n`), /Connection: close/);
  assert.deepEqual([wire.ended, wire.destroyed], [true, false]);
  await ask("x".repeat(100_000));
  await clock.advance(limits.LINGER_MS + 1);
  assert.equal(wire.destroyed, true);
  // In chunks its length shows only as it comes.
  const chunked = serve(ok);
  assert.equal(await chunked.ask(`${POST}Transfer-Encoding: chunked\r\n\r\n`), OK);
  for (let i = 0; i < 5; i++) await chunked.ask(`ffff\r\n${"x".repeat(0xffff)}\r\n`);
  assert.equal(chunked.wire.destroyed, true);
});

test("a body that nobody reads for now stops the client, and goes on where it was", async () => {
  let exchange!: Exchange;
  const { clock, wire, ask } = serve((one) => void (exchange = one));
  const piece = "x".repeat(limits.UNREAD_BYTES);
  await ask(`${POST}Content-Length: ${2 * piece.length}\r\n\r\n${piece}`);
  assert.equal(wire.paused, true);
  const reading = bodyOf(exchange);
  await clock.advance(0);
  assert.equal(wire.paused, false);
  await ask(piece);
  assert.equal((await reading).length, 2 * piece.length);
});

test("a client that expects 100 Continue gets it when the handler reads the body", async () => {
  const { wire, ask } = serve(echo);
  const head = `${POST}Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n`;
  assert.equal(await ask(head), "HTTP/1.1 100 Continue\r\n\r\n");
  assert.equal(await ask("abc"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  // Who didn't wait is not asked.
  assert.equal(await ask(`${head}abc`), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  assert.equal(wire.ended, false);
  // Where nobody reads, it isn't known whether it comes.
  const other = serve(ok);
  assert.match(await other.ask(head), /Connection: close/);
  assert.equal(other.wire.ended, true);
});

test("an answer that goes on is in chunks, with trailers, and its writer is told when the client is slow", async () => {
  let out!: ResponseStream;
  const { clock, wire, ask } = serve((exchange) => void (out = exchange.stream(200, { trailer: "x-sum" })));
  assert.equal(await ask(GET), "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n");
  const before = wire.pieces.length;
  assert.equal(out.write("one"), true);
  assert.equal(out.write(Buffer.from("second")), true);
  await clock.advance(0);
  assert.deepEqual(wire.pieces.slice(before), ["3\r\none\r\n6\r\nsecond\r\n"]);
  wire.stuck = true;
  out.write("x");
  await clock.advance(0);
  assert.equal(out.write("y".repeat(70_000)), false);
  let drained = false;
  void out.drained.then(() => (drained = true));
  await clock.advance(0);
  assert.deepEqual([drained, out.queuedBytes > 70_000], [false, true]);
  wire.stuck = false;
  wire.sink.onDrain();
  await clock.advance(0);
  assert.deepEqual([drained, out.queuedBytes], [true, 0]);
  out.end({ "x-sum": "4" });
  assert.match(wire.text, /y\r\n0\r\nx-sum: 4\r\n\r\n$/);
});

test("an answer of a length that was told ends there, or breaks the connection", async () => {
  for (const [written, end] of [
    ["abc", "abc"],
    ["abcd", "abc"],
    ["ab", "broken"],
  ] as const) {
    const { wire, ask } = serve((exchange) => {
      const out = exchange.stream(200, { "content-length": "3" });
      out.write(written);
      out.end();
    });
    const heard = await ask(GET);
    if (end === "broken") assert.equal(wire.destroyed, true);
    else assert.equal(heard, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${end}`);
  }
});

test("HEAD, 204 and 304 have no body, and HTTP/1.0 has no chunks", async () => {
  const streamed: HttpHandler = (exchange) => {
    const out = exchange.stream(Number(exchange.request.url.slice(1)), {});
    out.write("body");
    out.end();
  };
  const { wire, ask } = serve(streamed);
  assert.equal(await ask("HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 200 OK\r\n\r\n");
  for (const status of [204, 304])
    assert.match(await ask(`GET /${status} HTTP/1.1\r\nHost: a\r\n\r\n`), /^HTTP\/1.1 \d+ [A-Za-z ]+\r\n\r\n$/);
  assert.equal(await ask("GET /200 HTTP/1.0\r\n\r\n"), "HTTP/1.0 200 OK\r\n\r\nbody");
  assert.equal(wire.ended, true);
});

test("an upgrade hands over the bytes behind the request, and all that follow", async () => {
  let stream!: ByteStream;
  const { clock, wire, ask } = serve(async (exchange) => {
    await Promise.resolve();
    stream = exchange.upgrade({ connection: "Upgrade", upgrade: "x" });
  });
  const asked = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n";
  const heard = await ask(`${asked}first`);
  assert.equal(heard, "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: x\r\n\r\n");
  await ask("GET / HTTP/1.1\r\n\r\n");
  const read = stream[Symbol.asyncIterator]();
  assert.equal(String((await read.next()).value), "first");
  assert.equal(String((await read.next()).value), "GET / HTTP/1.1\r\n\r\n");
  await stream.write(Buffer.from("answer"));
  assert.equal(wire.pieces.at(-1), "answer");
  await clock.advance(10_000_000);
  wire.sink.onEnd();
  assert.equal((await read.next()).done, true);
  assert.equal(wire.destroyed, false);
});

test("without the words for it there is no upgrade", async () => {
  const { ask, errors } = serve((exchange) => void exchange.upgrade({}));
  assert.match(await ask(GET), /^HTTP\/1.1 500/);
  assert.equal(errors.length, 1);
});

test("a client that leaves takes its request along", async () => {
  let exchange!: Exchange;
  let aborted = false;
  const { clock, wire, ask } = serve((one) => {
    exchange = one;
    one.request.signal.addEventListener("abort", () => (aborted = true));
  });
  await ask(`${POST}Content-Length: 3\r\n\r\na`);
  const reading = assert.rejects(bodyOf(exchange), { code: "ECONNRESET" });
  wire.sink.onEnd();
  await reading;
  assert.equal(aborted, true);
  exchange.respond(200, {}, "too late");
  await clock.advance(0);
  assert.equal(wire.text, "");
});

test("one that closes takes no more requests, and ends when the one at hand has its answer", async () => {
  let exchange!: Exchange;
  const { clock, wire, connection, ask } = serve((one) => void (exchange = one));
  await ask(GET);
  connection.close();
  await clock.advance(1000);
  assert.equal(wire.ended, false);
  exchange.respond(200, {}, "/");
  assert.match(wire.text, /Connection: close\r\n\r\n\/$/);
  assert.equal(wire.ended, true);
  assert.equal(await ask(GET), "");
  const idle = serve(ok);
  await idle.ask(GET);
  idle.connection.close();
  assert.equal(idle.wire.ended, true);
});

test("no header of an answer begins a line of its own, and names have capitals and an order", async () => {
  const { ask } = serve((exchange) => {
    exchange.respond(200, { "x-b": "a\r\nEvil: 1", "content-type": "text/plain", etag: "ü€", "x-a": ["1", "2"] }, "");
  });
  assert.equal(
    await ask(GET),
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nEtag: ${Buffer.from("ü€").toString("latin1")}\r\nX-A: 1\r\nX-A: 2\r\nX-B: a  Evil: 1\r\nContent-Length: 0\r\n\r\n`,
  );
});

test("chunks that are nearly all extension are refused, and so is a trailer without end", async () => {
  const refused = async (body: string) => {
    let failure: unknown;
    const { ask } = serve(async (exchange) => {
      failure = await bodyOf(exchange).catch((error: unknown) => error);
      exchange.respond(400, {});
    });
    const answer = await ask(`${POST}Transfer-Encoding: chunked\r\n\r\n${body}`);
    assert.match(answer, /Connection: close/);
    return (failure as Error).message;
  };
  assert.equal(
    await refused(`1;${"x".repeat(100)}\r\na\r\n`.repeat(300)),
    "chunked encoding contains too much non-data",
  );
  assert.equal(await refused(`1;${"x".repeat(5000)}\r\n`), "header line too long");
  assert.equal(await refused(`0\r\n${"X: y\r\n".repeat(1000)}`), "http: suspiciously long trailer after chunked body");
});

test("a head of a megabyte that comes in small pieces is read in no time, and not kept when it is too long", async () => {
  const { wire, ask } = serve(ok);
  await ask("GET / HTTP/1.1\r\nHost: a\r\n");
  const piece = `X-A: ${"a".repeat(93)}\r\n`;
  for (let i = 0; i < 10_400; i++) wire.say(piece);
  assert.equal(await ask("\r\n"), OK);
  await ask("GET / HTTP/1.1\r\nHost: a\r\n");
  for (let i = 0; i < 11_000; i++) wire.say(piece);
  assert.match(await ask(""), /^$/);
  assert.match(wire.text, /431 Request Header Fields Too Large$/);
});
