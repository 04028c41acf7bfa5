/**
 * Flags are a table: parsing, `--help`, the reference page and the typed options all come from it. The syntax is pflag's, as upstream's
 * components and scripts write it: `--name=value`, `--name value`, `--bool`, `--bool=false`, `-v=2`, `-v 2`, `--map a=1,b=2`, repeated lists.
 * (No parser on npm reads that: they take `-v=2` for the value `=2`, and a boolean's `=false` for an error.)
 */
import { formatDuration as formatGoDuration, parseDuration as parseGoDuration } from "../machinery/meta/time.ts";
export type Flag = {
  readonly help: string;
  readonly short?: string;
  readonly hidden?: boolean;
  readonly deprecated?: string;
  /** Known and harmless without effect, and why: whoever sets it is told so in the log. */
  readonly ignored?: true | string;
  /** Known, and to go on without it would be unsafe: whoever sets it is told why not. */
  readonly refused?: string;
} & (
  | { readonly type: "string"; readonly default: string }
  | { readonly type: "int"; readonly default: number }
  | { readonly type: "float"; readonly default: number }
  | { readonly type: "bool"; readonly default: boolean }
  /** Milliseconds; written as Go writes durations (`1m30s`). */
  | { readonly type: "duration"; readonly default: number }
  /** Comma separated and repeatable; `whole` ones are repeatable only, because they may hold commas. */
  | { readonly type: "list"; readonly default: readonly string[]; readonly whole?: true }
  /** `separator` stands between name and value, `=` unless it is given. */
  | { readonly type: "map"; readonly default: Readonly<Record<string, string>>; readonly separator?: "<" }
);
export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F extends { type: "string" }
  ? string
  : F extends { type: "int" | "float" | "duration" }
    ? number
    : F extends { type: "bool" }
      ? boolean
      : F extends { type: "list" }
        ? readonly string[]
        : Readonly<Record<string, string>>;
export type Values<T extends Flags> = { readonly [K in keyof T]: ValueOf<T[K]> };

/**
 * Adds flags that have no effect here to a table, as words `name`, `name:type` or `name:type=default`. They are known, so that unit files and scripts that set them run,
 * but no code reads them: the type stays that of the table.
 */
export function withIgnored<const T extends Flags>(flags: T, words: string): T {
  const help = "Accepted, without effect here.";
  return {
    ...flags,
    ...Object.fromEntries(
      pairsOf(words).map(([name, type, standard]) => [name, plainFlag(type, { help, ignored: true }, standard)]),
    ),
  };
}

/** As `withIgnored`, each with the reason. */
export function withIgnoredFor<const T extends Flags>(flags: T, reasons: Readonly<Record<string, string>>): T {
  const ignored = Object.entries(reasons).map(([word, why]) => {
    const [[name, type, standard]] = pairsOf(word) as [[string, string, string | undefined]];
    return [name, plainFlag(type, { help: `Accepted, without effect: ${why}.`, ignored: why }, standard)];
  });
  return { ...flags, ...Object.fromEntries(ignored) };
}

/** Adds flags that are refused, each with the reason. A name may carry its type, as in `withIgnored`. */
export function withRefused<const T extends Flags>(flags: T, reasons: Readonly<Record<string, string>>): T {
  const refused = Object.entries(reasons).map(([word, why]) => {
    const [[name, type]] = pairsOf(word) as [[string, string, string | undefined]];
    return [name, plainFlag(type, { help: `Not supported: ${why}.`, refused: why })];
  });
  return { ...flags, ...Object.fromEntries(refused) };
}

const pairsOf = (words: string): [name: string, type: string, standard: string | undefined][] =>
  words
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [declared = "", standard] = word.split(/=(.*)/s);
      const [name = "", type = "string"] = declared.split(":");
      return [name, type, standard];
    });

const EMPTY: Readonly<Record<string, unknown>> = {
  string: "",
  int: 0,
  float: 0,
  bool: false,
  duration: 0,
  list: [],
  map: {},
};
const plainFlag = (type: string, rest: object, standard?: string): Flag => {
  const flag = { type, default: EMPTY[type], ...rest } as Flag;
  return standard === undefined ? flag : ({ ...flag, default: read("", flag, standard, undefined) } as Flag);
};

/** What is wrong with a command line, in pflag's words. Exit code 1 goes with it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Parsed<T extends Flags> {
  readonly values: Values<T>;
  /** Names that the command line set, so that a configuration file can fill the others. */
  readonly set: ReadonlySet<string>;
  /** Those of `set` that have no effect. */
  readonly ignored: readonly string[];
  readonly positional: readonly string[];
}

export function parseFlags<T extends Flags>(flags: T, args: readonly string[]): Parsed<T> {
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) values[name] = flag.default;
  const shorts = new Map(
    Object.entries(flags).flatMap(([name, flag]) => (flag.short === undefined ? [] : [[flag.short, name]])),
  );
  const set = new Set<string>();
  const positional: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      positional.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      positional.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const word = equals < 0 ? arg : arg.slice(0, equals);
    const long = word.startsWith("--");
    // Go's flag package, which etcd uses, takes one dash for a long name; pflag takes one letter and its value together (`-v2`).
    let name = long ? word.slice(2) : (shorts.get(word.slice(1)) ?? word.slice(1));
    let text = equals < 0 ? undefined : arg.slice(equals + 1);
    if (!long && !(name in flags) && shorts.has(word[1]!)) {
      name = shorts.get(word[1]!)!;
      text ??= word.slice(2);
    }
    const flag = flags[name];
    if (flag === undefined)
      throw new UsageError(long ? `unknown flag: ${word}` : `unknown shorthand flag: '${word[1]}' in ${arg}`);
    if (text === undefined) {
      if (flag.type === "bool") text = "true";
      else {
        text = args[++i];
        if (text === undefined) throw new UsageError(`flag needs an argument: ${word}`);
      }
    }
    values[name] = read(name, flag, text, set.has(name) ? values[name] : undefined);
    set.add(name);
  }
  const ignored = [...set].filter((name) => flags[name]!.ignored !== undefined);
  return { values: values as Values<T>, set, ignored, positional };
}

function read(name: string, flag: Flag, text: string, before: unknown): unknown {
  const bad = (why: string) => new UsageError(`invalid argument ${JSON.stringify(text)} for "--${name}" flag: ${why}`);
  switch (flag.type) {
    case "string":
      return text;
    case "bool":
      if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
      if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
      throw bad(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
    case "int":
      if (!/^[+-]?\d+$/.test(text)) throw bad(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    case "float":
      if (text === "" || Number.isNaN(Number(text)))
        throw bad(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    case "duration": {
      const ms = parseDuration(text);
      if (ms === undefined) throw bad(`time: invalid duration ${JSON.stringify(text)}`);
      return ms;
    }
    case "list":
      return [
        ...((before as readonly string[] | undefined) ?? []),
        ...(text === "" ? [] : flag.whole ? [text] : text.split(",")),
      ];
    case "map": {
      const separator = flag.separator ?? "=";
      const parts = separator === "<" ? /<(.*)/s : /=(.*)/s;
      const entries = text === "" ? [] : text.split(",").map((pair) => pair.split(parts).slice(0, 2));
      if (entries.some((entry) => entry.length < 2)) throw bad(`${text} must be formatted as key${separator}value`);
      return { ...(before as object | undefined), ...Object.fromEntries(entries as [string, string][]) };
    }
  }
}

/** Go's duration text in milliseconds; undefined where it isn't one. */
export function parseDuration(text: string): number | undefined {
  try {
    return parseGoDuration(text) / 1e6;
  } catch {
    return undefined; // Its caller has words of its own.
  }
}

export const formatDuration = (ms: number): string => formatGoDuration(Math.round(ms * 1e6));

/** The `--help` text, as pflag lays it out. */
export function helpText(usage: string, about: string, flags: Flags): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => flag.hidden !== true)
    .map(([name, flag]) => {
      const kind = kindOf(flag) === "" ? "" : ` ${kindOf(flag)}`;
      return [
        `${flag.short === undefined ? "      " : `  -${flag.short}, `}--${name}${kind}`,
        `${flag.help}${defaultText(flag) === "" ? "" : ` (default ${defaultText(flag)})`}`,
      ] as const;
    });
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 3;
  return `${about}\n\nUsage:\n  ${usage}\n\nFlags:\n${rows.map(([left, right]) => `${left.padEnd(width)}${right}`).join("\n")}\n`;
}

/** How each flag stands, as pflag writes it; those of this project alone are left out. */
export function flagTexts<T extends Flags>(flags: T, values: Values<T>): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [name, flag] of Object.entries(flags)) {
    if (name.startsWith("t8s-")) continue;
    const value: unknown = values[name];
    if (flag.type === "duration") texts[name] = formatDuration(value as number);
    else if (Array.isArray(value)) texts[name] = `[${value.join(",")}]`;
    else if (flag.type === "map") texts[name] = mapText(value as object, flag.separator);
    else texts[name] = String(value);
  }
  return texts;
}

const mapText = (map: object, separator = "="): string =>
  Object.entries(map)
    .map(([key, one]) => `${key}${separator}${one}`)
    .sort()
    .join(",");

/** The name of its type, as pflag shows it; a bool needs none. */
export function kindOf({ type }: Flag): string {
  const names = {
    string: "string",
    int: "int",
    float: "float",
    duration: "duration",
    list: "strings",
    map: "mapStringString",
  };
  return type === "bool" ? "" : names[type];
}

/** What a flag is when nobody sets it; empty for nothing. */
export function defaultText(flag: Flag): string {
  switch (flag.type) {
    case "string":
      return flag.default === "" ? "" : JSON.stringify(flag.default);
    case "duration":
      return flag.default === 0 ? "" : formatDuration(flag.default);
    case "list":
      return flag.default.length === 0 ? "" : `[${flag.default.join(",")}]`;
    case "map":
      return mapText(flag.default, flag.separator);
    default:
      return flag.default === 0 || flag.default === false ? "" : String(flag.default);
  }
}
