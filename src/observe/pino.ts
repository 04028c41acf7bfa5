/** The real logger: pino writes the records, in the format that `--logging-format` names (upstream's klog text, or its JSON). */
import { pino } from "pino";
import type { Clock } from "../world/world.ts";
import type { Fields, Logger } from "./log.ts";

export interface LogOptions {
  readonly clock: Pick<Clock, "now">;
  readonly format: "text" | "json";
  /** As `-v`. */
  readonly verbosity: number;
  readonly write: (line: string) => void;
}

export function createLogger(options: LogOptions): Logger {
  const root = pino(
    {
      base: null,
      messageKey: "msg",
      level: "trace",
      timestamp: () => `,"ts":${options.clock.now()}`,
      formatters: { level: (label) => ({ severity: label }) },
    },
    {
      write:
        options.format === "json"
          ? options.write
          : (line: string) => options.write(toText(JSON.parse(line) as LogRecord)),
    },
  );
  return wrap(root, options.verbosity, 0);
}

type Pino = Pick<ReturnType<typeof pino>, "info" | "warn" | "error" | "child">;

function wrap(sink: Pino, verbosity: number, level: number): Logger {
  const on = level <= verbosity;
  return {
    info(message, fields) {
      if (on) sink.info({ v: level, ...plain(fields) }, message);
    },
    warn(message, fields) {
      if (on) sink.warn({ v: level, ...plain(fields) }, message);
    },
    error(message, error, fields) {
      sink.error({ err: describe(error), ...plain(fields) }, message);
    },
    v: (next) => wrap(sink, verbosity, next),
    with: (fields) => wrap(sink.child(plain(fields)), verbosity, level),
  };
}

/** Objects appear as `namespace/name`, errors as their chain of messages. */
function plain(fields: Fields = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      if (value instanceof Error) return [key, describe(value)];
      const metadata =
        typeof value === "object" && value !== null && "metadata" in value
          ? (value.metadata as { name?: string; namespace?: string })
          : undefined;
      if (metadata?.name !== undefined)
        return [key, metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`];
      return [key, typeof value === "bigint" ? String(value) : value];
    }),
  );
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describe(error.cause)}`;
}

interface LogRecord {
  readonly ts: number;
  readonly v?: number;
  readonly severity?: string;
  readonly msg: string;
  readonly err?: string;
  readonly component?: string;
  readonly [field: string]: unknown;
}

/** `I1123 05:57:11.123000       1 kubelet] "Message" key="value"`: klog's shape, with the component where Go has a file and line. */
function toText({ ts, v: _, severity, msg, component = "t8s", ...fields }: LogRecord): string {
  const time = new Date(ts).toISOString();
  const stamp = `${time.slice(5, 7)}${time.slice(8, 10)} ${time.slice(11, 23)}000`;
  const pairs = Object.entries(fields).map(
    ([key, value]) =>
      ` ${key}=${typeof value === "number" || typeof value === "boolean" ? value : JSON.stringify(value)}`,
  );
  const letter = severity === "warn" ? "W" : severity === "error" ? "E" : "I";
  return `${letter}${stamp}       1 ${component}] ${JSON.stringify(msg)}${pairs.join("")}\n`;
}
