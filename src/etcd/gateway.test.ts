import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { simulatedWorld, type SimulatedWorld } from "../testing/sim/world.ts";
import { sleep } from "../world/time.ts";
import { createGateway } from "./gateway.ts";

const at = (port: number) => ({ host: "127.0.0.1", port });

/** A server that answers what it hears with its name before it. */
async function echo(world: SimulatedWorld, port: number, name: string): Promise<AsyncDisposable> {
  return world.net.listen(at(port), (stream) => {
    void (async () => {
      for await (const chunk of stream) await stream.write(Buffer.from(`${name}:${Buffer.from(chunk).toString()}`));
      stream.end();
    })().catch(() => {});
  });
}

async function ask(world: SimulatedWorld, text: string): Promise<string> {
  const stream = await world.net.connect(at(2379));
  await stream.write(Buffer.from(text));
  stream.end();
  let answer = "";
  for await (const chunk of stream) answer += Buffer.from(chunk).toString();
  return answer;
}

test("what DNS says of members decides: the best priority that is there, and in that by weight", async () => {
  const world = simulatedWorld(2);
  const stop = new AbortController();
  let done = false;
  const work = (async () => {
    const near = [await echo(world, 1, "heavy"), await echo(world, 2, "light"), await echo(world, 3, "none")];
    await using _far = await echo(world, 4, "far");
    const endpoints = [
      { ...at(4), priority: 20 },
      { ...at(1), priority: 10, weight: 9 },
      { ...at(2), priority: 10, weight: 1 },
      { ...at(3), priority: 10 },
    ];
    const gateway = createGateway({ listen: at(2379), endpoints, retryMs: 60_000 }, { ...world, log: silent });
    await new Promise<void>((resolve) => void gateway.run(stop.signal, resolve));
    const times: Record<string, number> = { heavy: 0, light: 0, none: 0, far: 0 };
    for (let i = 0; i < 1000; i++) times[(await ask(world, "x")).slice(0, -2)]!++;
    assert.ok(
      times["heavy"]! > 850 && times["light"]! > 60 && times["none"]! > 0 && times["none"]! < 30,
      JSON.stringify(times),
    );
    assert.equal(times["far"], 0);
    for (const one of near) await one[Symbol.asyncDispose]();
    assert.equal(await ask(world, "x"), "far:x");
    stop.abort();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
});

test("connections go to the members in turn, past one that is gone, and to it again when it is back", async () => {
  const world = simulatedWorld(1);
  const stop = new AbortController();
  let done = false;
  const work = (async () => {
    const first = await echo(world, 1, "one");
    await using _second = await echo(world, 2, "two");
    const gateway = createGateway(
      { listen: at(2379), endpoints: [at(1), at(2)], retryMs: 60_000 },
      { ...world, log: silent },
    );
    await new Promise<void>((resolve) => void gateway.run(stop.signal, resolve));
    assert.deepEqual(
      [await ask(world, "a"), await ask(world, "b"), await ask(world, "c")],
      ["one:a", "two:b", "one:c"],
    );
    await first[Symbol.asyncDispose]();
    assert.deepEqual(
      [await ask(world, "d"), await ask(world, "e"), await ask(world, "f")],
      ["two:d", "two:e", "two:f"],
    );
    await using _back = await echo(world, 1, "one");
    await sleep(world.clock, 61_000);
    const answers = [await ask(world, "g"), await ask(world, "h")].sort();
    assert.deepEqual(
      answers.map((answer) => answer.slice(0, 3)),
      ["one", "two"],
    );
    stop.abort();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
});
