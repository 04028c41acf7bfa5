/** HTTP/1.1 connections: what is well made comes through whole, and what isn't is understood in one way, however it is cut into chunks. */
import assert from "node:assert/strict";
import { http1Engine } from "../../wire/http1/engine.ts";
import type { HttpHandler } from "../../world/net.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { Http1Wire } from "../http1-wire.ts";
import { Simulation } from "../sim/simulation.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Conversation {
  readonly bytes: Buffer;
  /** What the handler should hear of it. */
  readonly heard: readonly string[];
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Some requests one behind the other, the last of which may say that it is the last. */
function conversation(random: Random): Conversation {
  const pieces: Buffer[] = [];
  const heard: string[] = [];
  const say = (text: string) => void pieces.push(Buffer.from(text, "latin1"));
  let end = "\r\n";
  let isOver = false;
  for (let left = 1 + randomInt(random, 5); left > 0 && !isOver; left--) {
    if (random.next() < 0.2) end = end === "\n" ? "\r\n" : "\n";
    const method = pick(random, ["GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "x-y"]);
    const url = `/${pick(random, ["respond", "stream", "early", "throw", "late"])}${pick(random, ["", "?a=%20b", "/%C3%A4", "/x/y//z"])}`;
    const target = random.next() < 0.05 ? `https://b.example:1${url}` : url;
    const isOld = random.next() < 0.1;
    const body = random.bytes(random.next() < 0.4 ? 0 : randomInt(random, random.next() < 0.9 ? 100 : 20_000));
    const inChunks = !isOld && random.next() < 0.4;
    const lines = [`${pick(random, ["Host", "host", "HOST"])}:${pick(random, [" ", "", "\t "])}a.example`];
    for (let more = randomInt(random, 5); more > 0; more--)
      lines.push(
        `X-${randomInt(random, 30)}: ${pick(random, ["", "a", "a, b", `a${end} b`, "\xe4", "z".repeat(300)])}`,
      );
    if (inChunks) lines.push("Transfer-Encoding: chunked");
    else if (body.length > 0 || random.next() < 0.3) lines.push(`Content-Length: ${body.length}`);
    if (random.next() < 0.1 && !url.startsWith("/early")) lines.push("Expect: 100-continue");
    isOver = isOld || random.next() < 0.1;
    if (isOver && !isOld) lines.push(`Connection: ${pick(random, ["close", "x, Close"])}`);
    say([`${method} ${target} HTTP/1.${isOld ? 0 : 1}`, ...lines, "", ""].join(end));
    let trailers = "";
    if (inChunks) {
      for (let at = 0; at < body.length;) {
        const size = Math.min(body.length - at, 1 + randomInt(random, 5000));
        say(`${size.toString(16)}${pick(random, ["", "", ";a=b", " "])}\r\n`);
        pieces.push(Buffer.from(body.subarray(at, at + size)));
        say("\r\n");
        at += size;
      }
      trailers = random.next() < 0.3 ? "1" : "";
      say(`0\r\n${trailers === "" ? "" : "X-End: 1\r\n"}\r\n`);
    } else pieces.push(Buffer.from(body));
    heard.push(url.startsWith("/early") ? `${method} ${url}` : `${method} ${url} ${hexOf(body)} ${trailers}`);
    // A handler that failed within an answer has cut the connection.
    if (url.startsWith("/late")) isOver = true;
  }
  return { bytes: Buffer.concat(pieces), heard };
}

/** The handler's log, and all that the client reads. */
async function converse(
  chunks: Iterable<Buffer>,
): Promise<{ heard: readonly string[]; read: string; errors: unknown[] }> {
  const heard: string[] = [];
  const errors: unknown[] = [];
  const handle: HttpHandler = async (exchange) => {
    const { request } = exchange;
    const index = heard.push(`${request.method} ${request.url}`) - 1;
    if (request.url.startsWith("/early")) return exchange.respond(200, { "x-early": "1" }, "early");
    let body: Buffer;
    let trailers = "";
    try {
      if (request.url.startsWith("/stream")) {
        const received: Uint8Array[] = [];
        await new Promise<void>((resolve, reject) =>
          request.receive!({
            onData: (chunk) => void received.push(chunk),
            onEnd: (last) => {
              trailers = String(last["x-end"] ?? "");
              resolve();
            },
            onError: reject,
          }),
        );
        body = Buffer.concat(received);
      } else {
        const received: Uint8Array[] = [];
        for await (const chunk of request.body) received.push(chunk);
        body = Buffer.concat(received);
      }
    } catch (error) {
      heard[index] += ` failed: ${String(error)}`;
      return exchange.respond(400, {}, String(error));
    }
    heard[index] += ` ${hexOf(body)} ${trailers}`;
    if (request.url.startsWith("/throw")) throw new Error("thrown");
    if (request.url.startsWith("/respond")) return exchange.respond(200, { "x-size": String(body.length) }, body);
    const out = exchange.stream(200, { "x-size": String(body.length), trailer: "x-end" });
    out.write(body);
    if (request.url.startsWith("/late")) throw new Error("thrown late");
    out.write("end");
    out.end({ "x-end": "1" });
  };
  const clock = new Simulation();
  const wire = new Http1Wire();
  http1Engine(clock).serve(wire, { encrypted: false, handle, onError: (error) => void errors.push(error) });
  for (const chunk of chunks) {
    wire.sink.onData(chunk);
    if (chunk.length % 3 === 0) await clock.advance(0);
  }
  await clock.advance(0);
  await settled();
  await clock.advance(0);
  const read = wire.text;
  wire.sink.onEnd();
  wire.sink.onClose(undefined);
  await settled();
  return { heard, read, errors };
}

/** Whether the client was asked for its body, and knew beforehand that the connection ends, is a matter of time. */
const timeless = (read: string) =>
  read.replaceAll("HTTP/1.1 100 Continue\r\n\r\n", "").replaceAll(/^Connection: close\r\n/gm, "");

export const http1: Fuzzer = {
  name: "http1",
  about: "requests one behind the other, whole and damaged, in chunks of any size, to a server's connection",
  async run(random) {
    const { bytes, heard } = conversation(random);
    const whole = await converse(chunked(random, bytes));
    // The trailers of a body that is read by iterating are nobody's.
    const known = (line: string) => (line.includes(" /stream") ? line : line.replace(/ 1$/, " "));
    const expected = heard.map(known);
    assert.deepEqual(whole.heard, expected, "the handler hears what was said");
    const answers = whole.read.match(/^HTTP\/1\.[01] (?!100)\d+ |(?<=[\s\S])HTTP\/1\.[01] (?!100)\d+ /g) ?? [];
    assert.equal(answers.length, heard.length, "each has its answer");
    const damaged = mutated(random, bytes);
    // A client that expects `100 Continue` and does not get it may have sent its body by then or not, and that decides whether the connection is kept.
    const text = damaged.toString("latin1");
    if (text.includes("/early") && /expect/i.test(text)) return;
    const once = await converse([damaged]);
    const pieces = await converse(chunked(random, damaged));
    assert.deepEqual(pieces.heard, once.heard, "what is damaged is understood in one way");
    assert.equal(timeless(pieces.read), timeless(once.read), "and answered in one way");
  },
};
