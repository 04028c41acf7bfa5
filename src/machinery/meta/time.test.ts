import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalMicroTime,
  canonicalTime,
  formatDuration,
  formatMicroTime,
  formatTime,
  parseDuration,
} from "./time.ts";

test("times are read in any zone and written in UTC", () => {
  assert.equal(canonicalTime("2024-02-29T12:00:00Z"), "2024-02-29T12:00:00Z");
  assert.equal(canonicalTime("2024-01-01T01:00:00.999+02:00"), "2023-12-31T23:00:00Z");
  assert.equal(canonicalTime("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
  assert.equal(canonicalMicroTime("2024-01-01T01:00:00,123456+01:00"), "2024-01-01T00:00:00.123456Z");
  assert.equal(formatTime(1_700_000_000_999), "2023-11-14T22:13:20Z");
  assert.equal(formatMicroTime(1_700_000_000_000.25), "2023-11-14T22:13:20.000250Z");
});

test("what is no time is refused with Go's words", () => {
  for (const [text, words] of [
    ["", 'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"'],
    ["2024-01-01", 'parsing time "2024-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'],
    ["2023-02-29T00:00:00Z", 'parsing time "2023-02-29T00:00:00Z": day out of range'],
    ["2023-02-28T00:00:00Zx", 'parsing time "2023-02-28T00:00:00Zx": extra text: "x"'],
  ] as const)
    assert.throws(() => canonicalTime(text), { message: words });
  for (const [decimals, rest, part] of [
    ["", "Z", ".000000"],
    [".1234567", "7Z", "Z07:00"],
  ])
    assert.throws(() => canonicalMicroTime(`2024-01-01T01:00:00${decimals}Z`), {
      message: `parsing time "2024-01-01T01:00:00${decimals}Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "${rest}" as "${part}"`,
    });
});

test("durations are Go's", () => {
  for (const [text, printed] of [
    ["90m", "1h30m0s"],
    ["1.5s", "1.5s"],
    ["100ms", "100ms"],
    ["0", "0s"],
    ["-1h", "-1h0m0s"],
    ["1m0.25s", "1m0.25s"],
  ] as const)
    assert.equal(formatDuration(parseDuration(text)), printed);
  assert.throws(() => parseDuration("1x"), { message: 'time: unknown unit "x" in duration "1x"' });
  assert.throws(() => parseDuration("x"), { message: 'time: invalid duration "x"' });
  assert.throws(() => parseDuration("1"), { message: 'time: missing unit in duration "1"' });
});
