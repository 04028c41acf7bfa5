import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalMicroTime,
  canonicalTime,
  formatDuration,
  formatMicroTime,
  formatTime,
  parseDuration,
  secondsAndNanos,
} from "./time.ts";

test("times are read in any zone and written in UTC", () => {
  assert.equal(canonicalTime("2024-02-29T12:00:00Z"), "2024-02-29T12:00:00Z");
  assert.equal(canonicalTime("2024-01-01T01:00:00.999+02:00"), "2023-12-31T23:00:00Z");
  assert.equal(canonicalTime("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
  assert.equal(canonicalMicroTime("2024-01-01T01:00:00,123456+01:00"), "2024-01-01T00:00:00.123456Z");
  assert.equal(formatTime(1_700_000_000_999), "2023-11-14T22:13:20Z");
  assert.equal(formatMicroTime(1_700_000_000_000.25), "2023-11-14T22:13:20.000250Z");
});

test("a time that is read digit by digit is the one that is read as a zone's, in every year", () => {
  let seed = 7;
  const next = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const two = (value: number) => String(value).padStart(2, "0");
  for (let i = 0; i < 3000; i++) {
    const year = i < 300 ? i : next(10_000);
    const day = `${String(year).padStart(4, "0")}-${two(1 + next(12))}-${two(1 + next(28))}`;
    const text = `${day}T${two(next(24))}:${two(next(60))}:${two(next(60))}`;
    assert.deepEqual(secondsAndNanos(`${text}Z`), secondsAndNanos(`${text}+00:00`), text);
    assert.equal(formatTime(secondsAndNanos(`${text}Z`).seconds * 1000), `${text}Z`);
  }
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
