import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import { parseAutoCompaction, runAutoCompaction, type AutoCompaction } from "./auto-compaction.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A revision a minute; tells at which minute what was compacted. */
async function run(
  settings: AutoCompaction,
  minutes: number,
  isLeader: (minute: number) => boolean = () => true,
  answer: (attempt: number) => void = () => {},
): Promise<[minute: number, revision: number][]> {
  const clock = new Simulation();
  const minute = () => Math.floor(clock.monotonic() / MINUTE);
  const done: [number, number][] = [];
  const stop = new AbortController();
  let attempts = 0;
  let ended = false;
  const running = runAutoCompaction(
    settings,
    {
      clock,
      log: silent,
      revision: () => 1 + minute(),
      isLeader: () => isLeader(minute()),
      compact: async (revision) => {
        answer(attempts++);
        done.push([minute(), revision]);
      },
    },
    stop.signal,
  ).finally(() => (ended = true));
  clock.after(minutes * MINUTE, () => stop.abort());
  await clock.until(() => ended, (minutes + 1) * MINUTE);
  await running;
  return done;
}

test("what is older than the period goes, first after one period and then each hour at most", async () => {
  assert.deepEqual(await run({ mode: "periodic", periodMs: 2 * HOUR }, 5 * 60), [
    [120, 1],
    [180, 55],
    [240, 115],
  ]);
  assert.deepEqual(await run({ mode: "periodic", periodMs: 10 * MINUTE }, 35), [
    [10, 1],
    [20, 10],
    [30, 20],
  ]);
});

test("a follower watches the time and compacts nothing, so that it knows when it comes to lead", async () => {
  assert.deepEqual(await run({ mode: "periodic", periodMs: 10 * MINUTE }, 25, (minute) => minute >= 13), [
    [13, 3],
    [23, 13],
  ]);
});

test("a failed compaction is tried again a step later, and one that was done already counts", async () => {
  const failing = (attempt: number) => {
    if (attempt === 0) throw etcdError("timeout");
    if (attempt === 1) throw etcdError("compacted");
  };
  assert.deepEqual(await run({ mode: "periodic", periodMs: 10 * MINUTE }, 25, undefined, failing), [[21, 11]]);
});

test("all but so many revisions go, each five minutes", async () => {
  assert.deepEqual(await run({ mode: "revision", keep: 7 }, 16), [
    [10, 4],
    [15, 9],
  ]);
});

test("the retention is hours, a duration, or a number of revisions", () => {
  const parse = (mode: string, retention: string) =>
    parseAutoCompaction(mode, retention, (text) => (text === "90s" ? 90_000 : undefined));
  assert.deepEqual(parse("periodic", "2"), { mode: "periodic", periodMs: 2 * HOUR });
  assert.deepEqual(parse("", "90s"), { mode: "periodic", periodMs: 90_000 });
  assert.deepEqual(parse("revision", "1000"), { mode: "revision", keep: 1000 });
  assert.equal(parse("periodic", "0"), undefined);
  assert.equal(parse("revision", "0"), undefined);
  assert.throws(() => parse("sometimes", "1"), /undefined auto-compaction-mode/);
  assert.throws(() => parse("periodic", "soon"), /error parsing CompactionRetention/);
  assert.throws(() => parse("revision", "90s"), /error parsing CompactionRetention/);
});
