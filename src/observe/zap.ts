/**
 * etcd's log format, which its own tools and test harnesses parse: JSON with `level`, `ts`, `caller`, `msg` and then the fields, or the same in
 * columns for people.
 * Upstream: go.uber.org/zap/zapcore/json_encoder.go, console_encoder.go
 */
import type { Clock } from "../world/world.ts";
import type { Fields, Logger } from "./log.ts";
import { describe } from "./pino.ts";

export const ZAP_LEVELS = ["debug", "info", "warn", "error", "dpanic", "panic", "fatal"] as const;
export type ZapLevel = (typeof ZAP_LEVELS)[number];

export interface ZapOptions {
  readonly clock: Pick<Clock, "now">;
  readonly format: "json" | "console";
  /** Lines below it are left out. */
  readonly level: ZapLevel;
  readonly write: (line: string) => void;
}

/** Lines of a logger with a verbosity of its own are debug lines. */
export function createZapLogger(options: ZapOptions): Logger {
  return loggerOf(options, {}, "info");
}

function loggerOf(options: ZapOptions, base: Fields, level: "debug" | "info"): Logger {
  const { clock, format, write } = options;
  const least = ZAP_LEVELS.indexOf(options.level);
  const say = (severity: ZapLevel, msg: string, fields: Fields | undefined) => {
    const head = { level: severity, ts: timestamp(clock.now()), caller: callerOf(new Error().stack ?? "") };
    const all = { ...base, ...fields };
    write(format === "json" ? jsonLine({ ...head, msg, ...all }) : consoleLine(head, msg, all));
  };
  const on = (severity: ZapLevel) => ZAP_LEVELS.indexOf(severity) >= least;
  return {
    info(message, fields) {
      if (on(level)) say(level, message, fields);
    },
    warn(message, fields) {
      const severity = level === "debug" ? "debug" : "warn";
      if (on(severity)) say(severity, message, fields);
    },
    error(message, error, fields) {
      if (on("error")) say("error", message, { ...fields, error: describe(error) });
    },
    v: (verbosity) => loggerOf(options, base, verbosity > 0 ? "debug" : "info"),
    with: (fields) => loggerOf(options, { ...base, ...fields }, level),
  };
}

const timestamp = (ms: number): string => new Date(ms).toISOString();

function jsonLine(record: Fields): string {
  return `${JSON.stringify(record, plainValue)}\n`;
}

function consoleLine(head: { level: string; ts: string; caller: string }, msg: string, fields: Fields): string {
  const rest = Object.keys(fields).length === 0 ? "" : `\t${JSON.stringify(fields, plainValue)}`;
  return `${head.ts}\t${head.level}\t${head.caller}\t${msg}${rest}\n`;
}

/** Numbers of 64 bits keep all their digits, as texts: a reader's JSON would round them. */
function plainValue(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? describe(value) : value;
}

/** The folder, file and line that logs: the first frame outside of this file. */
function callerOf(stack: string): string {
  for (const line of stack.split("\n").slice(1)) {
    const match = /([^/\\(]+[/\\][^/\\]+\.[cm]?[jt]s:\d+):\d+\)?$/.exec(line);
    if (match !== null && !match[1]!.startsWith("observe/zap.ts")) return match[1]!;
  }
  return "";
}
