import assert from "node:assert/strict";
import { test } from "node:test";
import { createZapLogger, type ZapOptions } from "./zap.ts";

function lines(options: Partial<ZapOptions>) {
  const written: string[] = [];
  const clock = { now: () => Date.UTC(2026, 10, 23, 8, 40, 36, 589) };
  const log = createZapLogger({
    clock,
    format: "json",
    level: "info",
    write: (line) => written.push(line),
    ...options,
  });
  return { log, written };
}

test("a line of JSON has zap's keys in zap's order, then the fields", () => {
  const { log, written } = lines({});
  log.with({ "member-id": 5n }).info("ready to serve client requests", { urls: ["a"] });
  assert.match(
    written[0]!,
    /^\{"level":"info","ts":"2026-11-23T08:40:36\.589Z","caller":"observe\/zap\.test\.ts:\d+","msg":"ready to serve client requests","member-id":"5","urls":\["a"\]\}\n$/,
  );
});

test("an error is a field, and its causes are told", () => {
  const { log, written } = lines({});
  log.error("failed", new Error("outer", { cause: new Error("inner") }), { path: "/x" });
  const { level, msg, error, path } = JSON.parse(written[0]!);
  assert.deepEqual([level, msg, error, path], ["error", "failed", "outer: inner", "/x"]);
});

test("the console has columns", () => {
  const { log, written } = lines({ format: "console" });
  log.warn("slow", { took: "1s" });
  assert.match(written[0]!, /^2026-11-23T08:40:36\.589Z\twarn\t[^\t]*\tslow\t\{"took":"1s"\}\n$/);
});

test("levels below the one asked for are left out, and details are debug lines", () => {
  for (const [level, expected] of [
    ["debug", ["debug", "info", "warn", "error"]],
    ["info", ["info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["error", ["error"]],
    ["fatal", []],
  ] as const) {
    const { log, written } = lines({ level });
    log.v(1).info("detail");
    log.info("news");
    log.warn("warning");
    log.error("failure", new Error("x"));
    assert.deepEqual(
      written.map((line) => JSON.parse(line).level),
      expected,
    );
  }
});
