/** Client and server over the simulator's byte streams, whose chunks end wherever they like: the same code as over sockets, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { ByteStream, Http2Client, HttpHandler, HttpResponse } from "../../world/net.ts";
import { sleep } from "../../world/time.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { http2Engine } from "./engine.ts";

/** What is read of the stream comes in other pieces than it was written in. */
function choppy(stream: ByteStream, random: Random): ByteStream {
  return {
    peer: stream.peer,
    closed: stream.closed,
    write: (data) => stream.write(data),
    end: () => stream.end(),
    destroy: (error) => stream.destroy(error),
    async *[Symbol.asyncIterator]() {
      for await (const chunk of stream)
        for (let at = 0; at < chunk.length;) {
          const size = random.next() < 0.3 ? 1 : 1 + randomInt(random, 3000);
          yield chunk.subarray(at, (at += size));
        }
    },
  };
}

async function pair(seed: number, handle: HttpHandler) {
  const world = simulatedWorld(seed);
  const engine = http2Engine(world.clock);
  const errors: unknown[] = [];
  const serving = { encrypted: false, handle, onError: (error: unknown) => void errors.push(error) };
  await world.net.listen(
    { host: "10.0.0.1", port: 80 },
    (stream) => void engine.serve(choppy(stream, world.random.fork("up")), serving),
  );
  let client: Http2Client | undefined;
  void world.net.connect({ host: "10.0.0.1", port: 80 }).then((stream) => {
    client = engine.dial(choppy(stream, world.random.fork("down")), { encrypted: false, authority: "a" });
  });
  await world.clock.until(() => client !== undefined, 1000);
  return { world, client: client!, errors };
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed) & 255;
  return bytes;
}

for (let seed = 1; seed <= 10; seed++)
  test(`requests of all shapes come through whole, seed ${seed}`, async () => {
    const { world, client, errors } = await pair(seed, async (exchange) => {
      const { request } = exchange;
      if (request.url === "/cut") return exchange.stream(200, {}).destroy();
      const body = await bytesOf(request.body);
      await sleep(world.clock, body.length % 7);
      if (request.url === "/whole") return exchange.respond(200, { "x-length": String(body.length) }, body);
      const out = exchange.stream(200, { "x-long": "y".repeat(body.length % 40_000) });
      for (let at = 0; at < body.length; at += 5000) if (!out.write(body.subarray(at, at + 5000))) await out.drained;
      out.end({ "x-sum": String(body.length) });
    });
    const random = world.random.fork("requests");
    let done = 0;
    const failures: unknown[] = [];
    const ask = async (i: number) => {
      const kind = randomInt(random, 4);
      const sent = pattern(randomInt(random, 10) === 0 ? 2_000_000 : randomInt(random, 50_000), i);
      async function* pieces() {
        for (let at = 0; at < sent.length; at += 7000) yield sent.subarray(at, at + 7000);
      }
      const headers = { "x-i": String(i), "x-some": "z".repeat(randomInt(random, 30_000)) };
      if (kind === 3) {
        const answer = client.request({ method: "GET", path: "/cut", headers });
        return assert.rejects(async () => bytesOf((await answer).body));
      }
      const answer = await client.request({
        method: "POST",
        path: kind === 0 ? "/whole" : "/parts",
        headers,
        body: kind === 2 ? pieces() : sent,
      });
      assert.ok((await bytesOf(answer.body)).equals(sent));
      if (kind !== 0) assert.equal((await answer.trailers)["x-sum"], String(sent.length));
    };
    for (let i = 0; i < 30; i++)
      void ask(i)
        .catch((error: unknown) => failures.push(error))
        .finally(() => done++);
    await world.clock.until(() => done === 30, 600_000);
    assert.deepEqual(failures, []);
    assert.deepEqual(errors, []);
  });

test("a goodbye lets requests under way end, and refuses later ones as unprocessed", async () => {
  const world = simulatedWorld(1);
  const engine = http2Engine(world.clock);
  const handle: HttpHandler = async (exchange) => {
    await sleep(world.clock, 100);
    exchange.respond(200, {}, "slow");
  };
  const connections: ReturnType<typeof engine.serve>[] = [];
  await world.net.listen({ host: "10.0.0.1", port: 80 }, (stream) => {
    connections.push(engine.serve(stream, { encrypted: false, handle, onError() {} }));
  });
  let answer: HttpResponse | undefined;
  let failure: { unprocessed?: boolean } | undefined;
  let over = false;
  void (async () => {
    const client = engine.dial(await world.net.connect({ host: "10.0.0.1", port: 80 }), {
      encrypted: false,
      authority: "a",
    });
    const first = client.request({ method: "GET", path: "/" });
    await sleep(world.clock, 10);
    connections[0]!.close();
    await sleep(world.clock, 10);
    assert.equal(client.finished, true);
    failure = await client.request({ method: "GET", path: "/" }).catch((error) => error);
    answer = await first;
    assert.equal(String(await bytesOf(answer.body)), "slow");
    await client.closed;
    await connections[0]!.closed;
    over = true;
  })();
  await world.clock.until(() => over, 10_000);
  assert.equal(answer!.status, 200);
  assert.equal(failure!.unprocessed, true);
});

test("requests beyond the server's limit wait for their turn", async () => {
  let now = 0;
  let most = 0;
  const world = simulatedWorld(1);
  const engine = http2Engine(world.clock);
  const handle: HttpHandler = async (exchange) => {
    most = Math.max(most, ++now);
    await sleep(world.clock, 10);
    now--;
    exchange.respond(200, {});
  };
  await world.net.listen({ host: "10.0.0.1", port: 80 }, (stream) => {
    engine.serve(stream, { encrypted: false, handle, onError() {}, maxConcurrentStreams: 3 });
  });
  let answers = 0;
  let aborted: unknown;
  void (async () => {
    const stream = await world.net.connect({ host: "10.0.0.1", port: 80 });
    const client = engine.dial(stream, { encrypted: false, authority: "a" });
    await sleep(world.clock, 5);
    for (let i = 0; i < 10; i++) void client.request({ method: "GET", path: "/" }).then(() => answers++);
    const abort = new AbortController();
    void client.request({ method: "GET", path: "/", signal: abort.signal }).catch((error) => (aborted = error));
    abort.abort(new Error("enough"));
  })();
  await world.clock.until(() => answers === 10, 1000);
  assert.equal(most, 3);
  assert.match(String(aborted), /enough/);
});

test("the same seed gives the same run", async () => {
  const run = async (seed: number): Promise<string> => {
    const log: string[] = [];
    const { world, client } = await pair(seed, async (exchange) => {
      let sizes = "";
      for await (const chunk of exchange.request.body) sizes += `${chunk.length} `;
      log.push(`${world.clock.monotonic()} ${exchange.request.url} ${sizes}`);
      exchange.respond(200, {}, sizes);
    });
    let done = 0;
    for (let i = 0; i < 5; i++)
      void client.request({ method: "POST", path: `/${i}`, body: pattern(20_000, i) }).then(() => done++);
    await world.clock.until(() => done === 5, 1000);
    return log.join("\n");
  };
  assert.equal(await run(7), await run(7));
  assert.notEqual(await run(7), await run(8));
});
