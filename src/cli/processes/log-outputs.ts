/** Where etcd's log lines go: standard streams or files, with rotation. Upstream: server/embed/config_logging.go, gopkg.in/natefinch/lumberjack.v2 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  readFileSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import { writeWhole } from "../write-whole.ts";

export interface Rotation {
  /** In bytes. */
  readonly maxSize: number;
  /** In days; 0 keeps files of any age. */
  readonly maxAge: number;
  /** 0 keeps all. */
  readonly maxBackups: number;
  readonly localTime: boolean;
  readonly compress: boolean;
}

export function parseRotation(text: string): Rotation {
  let read: Partial<Record<"maxsize" | "maxage" | "maxbackups" | "localtime" | "compress", unknown>>;
  try {
    read = JSON.parse(text) as typeof read;
  } catch (cause) {
    throw new CommandError(`improperly formatted log rotation config: ${(cause as Error).message}`, { cause });
  }
  const number = (value: unknown) => (typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : 0);
  return {
    maxSize: (number(read.maxsize) || 100) * 1024 * 1024,
    maxAge: number(read.maxage),
    maxBackups: number(read.maxbackups),
    localTime: read.localtime === true,
    compress: read.compress === true,
  };
}

/** One function that writes a line to all of `outputs`. */
export function logWriter(
  clock: Pick<World["clock"], "now">,
  outputs: readonly string[],
  rotation: Rotation | undefined,
): (line: string) => void {
  const files = outputs.filter((output) => !["default", "stderr", "stdout", "systemd/journal"].includes(output));
  if (outputs.includes("systemd/journal"))
    throw new CommandError(
      "--log-outputs=systemd/journal is not supported: write to stderr, which a unit's journal takes",
    );
  if (outputs.includes("default") && outputs.length > 1)
    throw new CommandError(`multi logoutput for "default" is not supported yet`);
  if (rotation !== undefined && files.length !== 1)
    throw new CommandError(
      files.length === 0
        ? "log rotation requires a single file target: file target missing"
        : "log rotation requires a single file target",
    );
  const writers = outputs.map((output): ((line: string) => void) => {
    if (output === "stdout") return (line) => writeWhole(1, line);
    if (output === "default" || output === "stderr") return (line) => writeWhole(2, line);
    return rotation === undefined ? (line) => appendFileSync(output, line) : rotating(clock, output, rotation);
  });
  return writers.length === 1 ? writers[0]! : (line) => writers.forEach((write) => write(line));
}

/** When a file is full it is renamed after the time, and old ones go. */
function rotating(clock: Pick<World["clock"], "now">, path: string, rotation: Rotation): (line: string) => void {
  mkdirSync(dirname(path), { recursive: true });
  let size = existsSync(path) ? statSync(path).size : 0;
  const extension = extname(path);
  const stem = basename(path, extension);
  const stamp = () => {
    const at = clock.now();
    const local = rotation.localTime ? at - new Date(at).getTimezoneOffset() * 60_000 : at;
    return new Date(local).toISOString().slice(0, -1).replaceAll(":", "-");
  };
  const rotate = () => {
    let to = join(dirname(path), `${stem}-${stamp()}${extension}`);
    renameSync(path, to);
    if (rotation.compress) {
      writeFileSync(`${to}.gz`, gzipSync(readFileSync(to)));
      rmSync(to);
      to = `${to}.gz`;
    }
    size = 0;
    // Newest first: the time in the name sorts.
    const backups = readdirSync(dirname(path))
      .filter((name) => name.startsWith(`${stem}-`) && (name.endsWith(extension) || name.endsWith(`${extension}.gz`)))
      .sort()
      .reverse()
      .map((name) => join(dirname(path), name));
    const oldest = rotation.maxAge === 0 ? -Infinity : clock.now() - rotation.maxAge * 86_400_000;
    backups.forEach((backup, i) => {
      if ((rotation.maxBackups > 0 && i >= rotation.maxBackups) || statSync(backup).mtimeMs < oldest) rmSync(backup);
    });
  };
  return (line) => {
    const bytes = Buffer.byteLength(line);
    if (size > 0 && size + bytes > rotation.maxSize) rotate();
    appendFileSync(path, line);
    size += bytes;
  };
}
