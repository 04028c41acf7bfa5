import assert from "node:assert/strict";
import { test } from "node:test";
import { sleep } from "../../world/time.ts";
import { simulatedWorld } from "./world.ts";

test("time passes only when nothing else is left to do", async () => {
  const { clock } = simulatedWorld(1);
  const seen: string[] = [];
  void (async () => {
    await sleep(clock, 3_600_000);
    seen.push(`hour at ${clock.monotonic()}`);
  })();
  void (async () => {
    await sleep(clock, 10);
    seen.push(`ten at ${clock.monotonic()}`);
    await Promise.resolve();
    seen.push(`still ten at ${clock.monotonic()}`);
  })();
  await clock.until(() => seen.length === 3, 4_000_000);
  assert.deepEqual(seen, ["ten at 10", "still ten at 10", "hour at 3600000"]);
});

test("a condition that can never come true fails at once", async () => {
  await assert.rejects(
    simulatedWorld(1).clock.until(() => false, 1000),
    /deadlock at 0 ms/,
  );
});

test("a power cut drops what was not synced and keeps what was", async () => {
  const { fs } = simulatedWorld(7);
  await fs.mkdir("/data", { recursive: true });
  const log = await fs.open("/data/log", { write: true, create: true });
  await log.write(0, [Buffer.from("kept")]);
  await log.sync();
  await fs.syncDir("/data");
  await log.write(4, [Buffer.from("lost")]);
  await fs.writeFile("/data/never-synced", "x");
  fs.powerCut();
  assert.match(Buffer.from(await fs.readFile("/data/log")).toString(), /^kept(l(o(st?)?)?|\0{0,4})$/);
  assert.equal(await fs.stat("/data/never-synced"), undefined);
});

test("a forked random stream does not shift its parent", () => {
  const one = simulatedWorld(3).random;
  const two = simulatedWorld(3).random;
  two.fork("other").next();
  assert.equal(one.next(), two.next());
});

test("an HTTP exchange reaches the handler and streams back", async () => {
  const { net, clock } = simulatedWorld(5);
  await net.serveHttp({ host: "10.0.0.1", port: 80 }, async (exchange) => {
    let sum = "";
    for await (const chunk of exchange.request.body) sum += Buffer.from(chunk).toString();
    const stream = exchange.stream(200, { "content-type": "text/plain" });
    stream.write(`${sum}, `);
    stream.write("world");
    stream.end({ "grpc-status": "0" });
  });
  let text = "";
  let trailers = {};
  void (async () => {
    const response = await net
      .httpClient({ base: "http://10.0.0.1" })
      .request({ method: "POST", path: "/", body: "hello" });
    for await (const chunk of response.body) text += Buffer.from(chunk).toString();
    trailers = await response.trailers;
  })();
  await clock.until(() => "grpc-status" in trailers, 1000);
  assert.equal(text, "hello, world");
});
