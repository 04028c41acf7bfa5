/** Cron schedules by the rules of robfig/cron v3, which upstream uses: five fields, names, steps, `@daily`, `@every 90s`. Pure. */
import { parseDuration } from "../../machinery/meta/time.ts";
import { type Zone, instantOf, wallOf } from "./time-zone.ts";

export interface Schedule {
  /** The first time after `at` (both in ms); undefined when there is none within five years. */
  next(at: number): number | undefined;
}

interface Field {
  readonly values: ReadonlySet<number>;
  /** Written as `*`: then the other of the two day fields decides alone. */
  readonly star: boolean;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const MINUTES: Bounds = { min: 0, max: 59 };
const HOURS: Bounds = { min: 0, max: 23 };
const DAYS: Bounds = { min: 1, max: 31 };
const MONTHS: Bounds = {
  min: 1,
  max: 12,
  names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = { min: 0, max: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

const MACROS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

export function parseSchedule(text: string, zone: Zone): Schedule {
  if (text === "") throw new Error("empty spec string");
  if (text.startsWith("@every ")) return every(text.slice("@every ".length));
  if (text.startsWith("@")) {
    const spec = MACROS[text];
    if (spec === undefined) throw new Error(`unrecognized descriptor: ${text}`);
    return parseSchedule(spec, zone);
  }
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) throw new Error(`expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`);
  return new Cron(
    parseField(fields[0]!, MINUTES),
    parseField(fields[1]!, HOURS),
    parseField(fields[2]!, DAYS),
    parseField(fields[3]!, MONTHS),
    parseField(fields[4]!, WEEKDAYS),
    zone,
  );
}

function every(duration: string): Schedule {
  let ms: number;
  try {
    ms = Number(parseDuration(duration)) / 1e6;
  } catch {
    throw new Error(`failed to parse duration @every ${duration}: time: invalid duration ${JSON.stringify(duration)}`);
  }
  const step = Math.max(1000, Math.floor(ms / 1000) * 1000);
  return { next: (at) => Math.floor(at / 1000) * 1000 + step };
}

function parseField(text: string, bounds: Bounds): Field {
  const values = new Set<number>();
  let star = false;
  for (const part of text.split(",")) {
    if (part === "") continue;
    const range = parseRange(part, bounds);
    star ||= range.star;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return { values, star };
}

function parseRange(text: string, bounds: Bounds): { from: number; to: number; step: number; star: boolean } {
  const [range = "", stepText, ...more] = text.split("/");
  const [low = "", high, ...rest] = range.split("-");
  if (more.length > 0) throw new Error(`too many slashes: ${text}`);
  if (rest.length > 0) throw new Error(`too many hyphens: ${text}`);
  const any = low === "*" || low === "?";
  const from = any ? bounds.min : parseValue(low, bounds.names);
  let to = any ? bounds.max : high === undefined ? from : parseValue(high, bounds.names);
  let step = 1;
  if (stepText !== undefined) {
    step = parseValue(stepText, undefined);
    // `5/15` goes on to the end.
    if (high === undefined && !any) to = bounds.max;
  }
  if (from < bounds.min) throw new Error(`beginning of range (${from}) below minimum (${bounds.min}): ${text}`);
  if (to > bounds.max) throw new Error(`end of range (${to}) above maximum (${bounds.max}): ${text}`);
  if (from > to) throw new Error(`beginning of range (${from}) beyond end of range (${to}): ${text}`);
  if (step === 0) throw new Error(`step of range should be a positive number: ${text}`);
  return { from, to, step, star: any && step === 1 };
}

function parseValue(text: string, names: readonly string[] | undefined): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return names!.length === 12 ? named + 1 : named;
  if (!/^\+?\d+$/.test(text))
    throw new Error(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const YEARS_MAX = 5;

class Cron implements Schedule {
  readonly #minutes: Field;
  readonly #hours: Field;
  readonly #days: Field;
  readonly #months: Field;
  readonly #weekdays: Field;
  readonly #zone: Zone;

  constructor(minutes: Field, hours: Field, days: Field, months: Field, weekdays: Field, zone: Zone) {
    this.#minutes = minutes;
    this.#hours = hours;
    this.#days = days;
    this.#months = months;
    this.#weekdays = weekdays;
    this.#zone = zone;
  }

  /** From the coarse to the fine: a field that doesn't fit moves on, its finer ones start over, and a wrap starts from the top. */
  next(at: number): number | undefined {
    const zone = this.#zone;
    let time = Math.floor(at / 1000) * 1000 + 1000;
    const limit = wallOf(zone, time).getUTCFullYear() + YEARS_MAX;

    for (;;) {
      const wall = wallOf(zone, time);
      if (wall.getUTCFullYear() > limit) return undefined;
      if (!this.#months.values.has(wall.getUTCMonth() + 1)) {
        time = instantOf(zone, Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + 1, 1));
        continue;
      }
      if (!this.#dayFits(wall)) {
        time = this.#midnightAfter(wall);
        continue;
      }
      if (!this.#hours.values.has(wall.getUTCHours())) {
        time += HOUR_MS - this.#past(wall, HOUR_MS);
        continue;
      }
      if (!this.#minutes.values.has(wall.getUTCMinutes())) {
        time += MINUTE_MS - this.#past(wall, MINUTE_MS);
        continue;
      }
      const past = this.#past(wall, MINUTE_MS);
      if (past === 0) return time;
      time += MINUTE_MS - past;
    }
  }

  /** How far the wall clock is into its present hour or minute. */
  #past(wall: Date, unitMs: number): number {
    return wall.getTime() % unitMs;
  }

  #midnightAfter(wall: Date): number {
    const time = instantOf(this.#zone, Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate() + 1));
    // Where midnight falls into a gap the day starts later, and must not start before its eve ends.
    const hour = wallOf(this.#zone, time).getUTCHours();
    if (hour === 0) return time;
    return hour > 12 ? time + (24 - hour) * HOUR_MS : time - hour * HOUR_MS;
  }

  #dayFits(wall: Date): boolean {
    const day = this.#days.values.has(wall.getUTCDate());
    const weekday = this.#weekdays.values.has(wall.getUTCDay());
    return this.#days.star || this.#weekdays.star ? day && weekday : day || weekday;
  }
}
