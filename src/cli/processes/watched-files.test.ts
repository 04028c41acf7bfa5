import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { watchFiles } from "./watched-files.ts";

/** Files in memory, and a clock that stands until it is told. */
function makeWorld(files: Record<string, string>) {
  const timers = new Map<object, () => void>();
  let hint: () => void = () => {};
  const world = {
    clock: {
      monotonic: () => 0,
      now: () => 0,
      soon: (fn: () => void) => queueMicrotask(fn),
      after(_ms: number, fn: () => void) {
        const handle = { [Symbol.dispose]: () => void timers.delete(handle) };
        timers.set(handle, fn);
        return handle;
      },
    },
    fs: {
      readFile: async (path: string) => Buffer.from(files[path] ?? assert.fail()),
      watch(_folder: string, onChange: () => void) {
        hint = onChange;
        return { [Symbol.dispose]: () => {} };
      },
    },
  };
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return {
    world: world as unknown as World,
    hint: () => hint(),
    settle,
    async pass() {
      for (const [handle, fn] of new Map(timers)) {
        timers.delete(handle);
        fn();
      }
      await settle();
    },
  };
}

test("files that change are applied, once; those that are the same are not", async () => {
  const files: Record<string, string> = { "/a/cert": "1", "/a/key": "1" };
  const { world, hint, pass, settle } = makeWorld(files);
  const applied: string[] = [];
  const stop = new AbortController();
  const apply = async () => {
    if (files["/a/cert"] === "bad") throw new Error("no certificate");
    applied.push(files["/a/cert"]! + files["/a/key"]!);
  };
  const done = watchFiles(
    world,
    [
      { what: "a pair", paths: ["/a/cert", "/a/key"], apply },
      { what: "nothing", paths: [""], apply: () => assert.fail() },
    ],
    silent,
    stop.signal,
  );
  await settle();
  hint();
  await pass();
  assert.deepEqual(applied, []);
  files["/a/cert"] = "2";
  hint();
  files["/a/key"] = "2";
  hint();
  await pass();
  assert.deepEqual(applied, ["22"]);
  files["/a/cert"] = "bad";
  await pass();
  files["/a/cert"] = "3";
  await pass();
  assert.deepEqual(applied, ["22", "32"], "what can't be used is passed over, also where nothing hints at it");
  stop.abort();
  await done;
});
