/** Container logs: reads CRI log files for clients. Upstream: pkg/kubelet/kuberuntime/logs/logs.go */
import type { ContainerStatus, Pod } from "../../api/generated/core.v1.ts";
import type { LogLine, LogSource } from "../runtimes/runtime.ts";
import type { World } from "../../world/world.ts";

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  /** Ms since the epoch. */
  readonly sinceMs: number | undefined;
  readonly stream: "stdout" | "stderr" | undefined;
}

/** Undefined where the query is not valid. */
export function logOptions(query: URLSearchParams, nowMs: number): LogOptions | undefined {
  const flag = (name: string) => {
    const value = query.get(name);
    return value === "true" || value === "1" || value === "";
  };
  const number = (name: string): number | undefined | null => {
    const value = query.get(name);
    if (value === null || value === "") return undefined;
    return /^\d+$/.test(value) ? Number(value) : null;
  };
  const tailLines = number("tailLines");
  const limitBytes = number("limitBytes");
  const sinceSeconds = number("sinceSeconds");
  const sinceTime = query.get("sinceTime");
  if (tailLines === null || limitBytes === null || sinceSeconds === null) return undefined;
  if (limitBytes === 0 || sinceSeconds === 0 || (sinceSeconds !== undefined && sinceTime !== null)) return undefined;
  const sinceMs = sinceTime !== null ? Date.parse(sinceTime) : sinceSeconds && nowMs - sinceSeconds * 1000;
  if (Number.isNaN(sinceMs)) return undefined;
  const stream = query.get("stream");
  return {
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    tailLines,
    limitBytes,
    sinceMs,
    stream: stream === "Stdout" ? "stdout" : stream === "Stderr" ? "stderr" : undefined,
  };
}

/** The id of the container whose log is asked for, or the words why there is none. */
export function containerForLogs(
  pod: Pod,
  name: string,
  previous: boolean,
): { readonly id: string } | { readonly error: string } {
  const { status } = pod;
  const all: readonly ContainerStatus[] = [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  const found = all.find((each) => each.name === name);
  const about = `container "${name}" in pod "${pod.metadata.name}"`;
  if (found === undefined) return { error: `${about} is not available` };
  const last = found.lastState.terminated;
  if (previous) {
    if (last?.containerID === undefined) return { error: `previous terminated ${about} not found` };
    return { id: bare(last.containerID) };
  }
  const { running, terminated, waiting } = found.state;
  if (running !== undefined) return { id: bare(found.containerID!) };
  const ended = terminated?.containerID ?? last?.containerID;
  if (ended !== undefined) return { id: bare(ended) };
  if (terminated !== undefined) return { error: `${about} is terminated` };
  if (waiting?.reason === "ErrImagePull") return { error: `${about} is waiting to start: image can't be pulled` };
  if (waiting?.reason === "ImagePullBackOff")
    return { error: `${about} is waiting to start: trying and failing to pull image` };
  return { error: `${about} is waiting to start: ${waiting?.reason ?? ""}` };
}

/** Without the runtime's name. */
const bare = (id: string): string => id.slice(id.indexOf("://") + 3);

/** `TIME STREAM TAGS TEXT`; undefined for a line that is none. Partial lines have no newline of their own. */
function parseCriLine(line: string): (LogLine & { readonly partial: boolean }) | undefined {
  const match = /^(\S+) (stdout|stderr) (\S+) ?(.*)$/s.exec(line);
  if (match === null) return undefined;
  return {
    time: match[1]!,
    stream: match[2] as "stdout" | "stderr",
    partial: match[3]!.split(":")[0] === "P",
    text: match[4]!,
  };
}

const BLOCK = 64 * 1024;
const FOLLOW_CHECK_MS = 1000;

/** A log file as a source of lines. It follows the file over rotation, and ends when the container has ended and all is read. */
export function fileLogs(
  world: Pick<World, "fs" | "clock">,
  isRunning: () => boolean | Promise<boolean>,
): { read(path: string, options: FileLogOptions): AsyncIterable<LogLine & { readonly partial: boolean }> } {
  return { read: (path, options) => readFileLog(world, path, options, isRunning) };
}

export interface FileLogOptions {
  readonly follow: boolean;
  readonly tailLines: number | undefined;
  readonly signal: AbortSignal;
}

async function* readFileLog(
  world: Pick<World, "fs" | "clock">,
  path: string,
  options: FileLogOptions,
  isRunning: () => boolean | Promise<boolean>,
): AsyncGenerator<LogLine & { readonly partial: boolean }> {
  const { fs } = world;
  let file = await fs.open(path, {});
  try {
    let inode = (await fs.stat(path))?.inode;
    let position = options.tailLines === undefined ? 0 : await tailPosition(file, options.tailLines);
    let rest = Buffer.alloc(0);
    for (;;) {
      // Asked before the read: what it wrote as its last is then read for certain.
      const running = options.follow && (await isRunning());
      for (;;) {
        const chunk = await file.read(position, BLOCK);
        if (chunk.length === 0) break;
        position += chunk.length;
        rest = Buffer.concat([rest, chunk]);
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
          const line = parseCriLine(rest.subarray(0, end).toString("utf8"));
          rest = rest.subarray(end + 1);
          if (line !== undefined) yield line;
          if (options.signal.aborted) return;
        }
      }
      if (options.signal.aborted) return;
      const now = (await fs.stat(path))?.inode;
      if (now !== undefined && now !== inode) {
        await file.close(); // Rotated: the rest of the old file has been read.
        file = await fs.open(path, {});
        inode = now;
        position = 0;
        rest = Buffer.alloc(0);
        continue;
      }
      if (!running) return;
      await changedOrLater(world, path.slice(0, path.lastIndexOf("/")), options.signal);
    }
  } finally {
    await file.close();
  }
}

function changedOrLater(world: Pick<World, "fs" | "clock">, dir: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      watch[Symbol.dispose]();
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const watch = world.fs.watch(dir, done);
    const timer = world.clock.after(FOLLOW_CHECK_MS, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Where the last `lines` lines begin. */
async function tailPosition(
  file: { read(position: number, length: number): Promise<Uint8Array>; size(): Promise<number> },
  lines: number,
): Promise<number> {
  const size = await file.size();
  if (lines === 0) return size;
  let found = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const chunk = await file.read(start, end - start);
    for (let i = chunk.length - 1; i >= 0; i--) {
      if (chunk[i] !== 10 || start + i === size - 1) continue;
      if (++found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** Lines of a source as bytes to send: filtered, stamped, cut. */
export async function* renderLog(
  lines: AsyncIterable<LogLine & { readonly partial?: boolean }>,
  options: LogOptions,
): AsyncGenerator<Uint8Array> {
  let left = options.limitBytes ?? Infinity;
  let continues = false;
  for await (const line of lines) {
    if (options.sinceMs !== undefined && Date.parse(line.time) < options.sinceMs) continue;
    if (options.stream !== undefined && line.stream !== options.stream) continue;
    const stamp = options.timestamps && !continues ? `${nineDigits(line.time)} ` : "";
    continues = line.partial === true;
    let bytes: Uint8Array = Buffer.from(`${stamp}${line.text}${continues ? "" : "\n"}`);
    if (bytes.length > left) bytes = bytes.subarray(0, left);
    left -= bytes.length;
    yield bytes;
    if (left <= 0) return;
  }
}

/** The last `count` lines of a source that can't be read from its end. */
async function* lastLines<T>(lines: AsyncIterable<T>, count: number | undefined): AsyncGenerator<T> {
  if (count === undefined) return yield* lines;
  const kept: T[] = [];
  for await (const line of lines) {
    kept.push(line);
    if (kept.length > count) kept.shift();
  }
  yield* kept;
}

export async function* sourceLog(
  source: LogSource,
  containerId: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  if (!options.follow || options.tailLines === undefined)
    return yield* lastLines(source.read(containerId, { follow: options.follow, signal }), options.tailLines);
  const before: LogLine[] = [];
  for await (const line of source.read(containerId, { follow: false, signal })) before.push(line);
  let skip = Math.max(0, before.length - options.tailLines);
  for await (const line of source.read(containerId, { follow: true, signal })) if (skip-- <= 0) yield line;
}

/** Upstream prints nine digits of the fraction, whatever the file has. */
function nineDigits(time: string): string {
  const match = /^(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  return match === null ? time : `${match[1]}.${(match[2] ?? "").padEnd(9, "0")}${match[3]}`;
}
