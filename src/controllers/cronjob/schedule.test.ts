import assert from "node:assert/strict";
import { test } from "node:test";
import { Cron } from "croner";
import { SeededRandom } from "../../testing/sim/random.ts";
import { parseSchedule } from "./schedule.ts";
import { UTC, formatIn, zoneNamed } from "./time-zone.ts";

const next = (schedule: string, at: string, zone = UTC) => {
  const time = parseSchedule(schedule, zone).next(Date.parse(at));
  return time === undefined ? undefined : formatIn(zone, time);
};

test("the next time after", () => {
  const table: [string, string, string | undefined][] = [
    ["*/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"],
    ["*/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"],
    ["20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z"],
    ["5/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T15:50:00Z"],
    ["*/15 * * * *", "2012-12-31T23:59:45Z", "2013-01-01T00:00:00Z"],
    ["0 0 9 apr-oct ?", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z"],
    ["0 0 */5 apr,aug,oct mon", "2012-07-09T23:35:00Z", "2012-08-01T00:00:00Z"],
    ["0 0 1 * 1", "2030-01-02T00:00:00Z", "2030-01-07T00:00:00Z"],
    ["0 0 29 feb ?", "2013-01-01T00:00:00Z", "2016-02-29T00:00:00Z"],
    ["0 0 30 feb ?", "2013-01-01T00:00:00Z", undefined],
    ["@daily", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"],
    ["@weekly", "2030-01-01T00:00:00Z", "2030-01-06T00:00:00Z"],
    ["@every 90s", "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z"],
    ["@every 1h30m", "2030-01-01T00:00:00.7Z", "2030-01-01T01:30:00Z"],
  ];
  for (const [schedule, at, expected] of table) assert.equal(next(schedule, at), expected, `${schedule} after ${at}`);
});

test("clocks that go forward skip, clocks that go back repeat, as in robfig/cron", () => {
  const newYork = zoneNamed("America/New_York");
  const table: [string, string, string][] = [
    ["0 0 * * *", "2012-03-11T00:00:00-05:00", "2012-03-12T00:00:00-04:00"],
    ["0 * * * *", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"],
    ["30 2 11 mar ?", "2012-03-11T00:00:00-05:00", "2013-03-11T02:30:00-04:00"],
    ["0 1 4 nov ?", "2012-11-04T01:00:00-04:00", "2012-11-04T01:00:00-05:00"],
    ["0 * * * *", "2012-11-04T01:00:00-05:00", "2012-11-04T02:00:00-05:00"],
  ];
  for (const [schedule, at, expected] of table)
    assert.equal(next(schedule, at, newYork), expected, `${schedule} after ${at}`);
  const saoPaulo = zoneNamed("America/Sao_Paulo");
  assert.equal(next("0 9 1 * ?", "2018-10-17T00:00:00-03:00", saoPaulo), "2018-11-01T09:00:00-03:00");
  assert.equal(next("0 9 14 feb ?", "2018-02-17T05:00:00-03:00", saoPaulo), "2019-02-14T09:00:00-02:00");
});

test("what is no schedule is refused in robfig's words", () => {
  const table: [string, RegExp][] = [
    ["", /empty spec string/],
    ["* * * *", /expected exactly 5 fields, found 4: \[\* \* \* \*\]/],
    ["60 0 * * *", /end of range \(60\) above maximum \(59\): 60/],
    ["0 0 0 * *", /beginning of range \(0\) below minimum \(1\): 0/],
    ["0 0 * * 7", /end of range \(7\) above maximum \(6\): 7/],
    ["5-1 * * * *", /beginning of range \(5\) beyond end of range \(1\): 5-1/],
    ["*/0 * * * *", /step of range should be a positive number: \*\/0/],
    ["1/2/3 * * * *", /too many slashes: 1\/2\/3/],
    ["1-2-3 * * * *", /too many hyphens: 1-2-3/],
    ["x * * * *", /failed to parse int from x/],
    ["@nope", /unrecognized descriptor: @nope/],
    ["@every x", /failed to parse duration @every x/],
  ];
  for (const [schedule, message] of table) assert.throws(() => parseSchedule(schedule, UTC), message, schedule);
});

test("random schedules agree with another implementation", () => {
  const random = new SeededRandom("cron");
  const pick = (min: number, max: number) => min + Math.floor(random.next() * (max - min + 1));
  const field = (min: number, max: number) => {
    const kind = pick(0, 4);
    if (kind === 0) return String(pick(min, max));
    if (kind === 1) return `*/${pick(2, 7)}`;
    if (kind === 2) return `${min}-${pick(min, max)}`;
    return kind === 3 ? `${pick(min, max)},${pick(min, max)}` : "*";
  };
  for (let i = 0; i < 300; i++) {
    // One day field at most: on steps of two day fields the two programs have different rules.
    const byWeekday = pick(0, 1) === 1;
    const schedule = [
      field(0, 59),
      field(0, 23),
      byWeekday ? "*" : field(1, 28),
      field(1, 12),
      byWeekday ? field(0, 6) : "*",
    ].join(" ");
    const at = Date.UTC(2030, 0, 1) + pick(0, 3e7) * 1000;
    const expected = new Cron(schedule, { timezone: "UTC" }).nextRun(new Date(at))?.getTime();
    assert.equal(parseSchedule(schedule, UTC).next(at), expected, `${schedule} after ${new Date(at).toISOString()}`);
  }
});
