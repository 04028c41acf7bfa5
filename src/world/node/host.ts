/** Processes and facts of this machine. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, promises } from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import type { Host, Process, SpawnOptions } from "../host.ts";

export function nodeHost(): Host {
  return {
    platform: process.platform,
    arch: process.arch,
    hostname: os.hostname(),
    pid: process.pid,
    uid: process.getuid?.() ?? -1,
    environment: process.env,
    cpus: () => os.availableParallelism(),
    memory: () => ({ totalBytes: os.totalmem(), freeBytes: os.freemem() }),
    kernelRelease: () => os.release(),
    usage() {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000, residentBytes: process.memoryUsage.rss() };
    },
    interfaces: () =>
      Object.entries(os.networkInterfaces()).flatMap(([name, addresses = []]) =>
        addresses.map(({ address, cidr, family, internal }) => ({
          name,
          address,
          cidr: cidr ?? address,
          family: family === "IPv6" ? (6 as const) : (4 as const),
          internal,
        })),
      ),
    exec(command, args, { stdin, cwd, env, signal } = {}) {
      return new Promise((resolve, reject) => {
        const child = spawn(command, args, {
          cwd,
          env,
          signal,
          stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
        });
        const stdout: Buffer[] = [];
        const stderr: Buffer[] = [];
        child.stdout!.on("data", (chunk: Buffer) => stdout.push(chunk));
        child.stderr!.on("data", (chunk: Buffer) => stderr.push(chunk));
        child.on("error", (error) => reject(signal?.aborted ? signal.reason : error));
        child.on("close", (code, killedBy) => {
          if (signal?.aborted) return reject(signal.reason);
          resolve({ code: exitCode(code, killedBy), stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
        });
        child.stdin?.on("error", () => {}); // A program may end without reading all of it.
        child.stdin?.end(stdin);
      });
    },
    spawn: (command, args, options = {}) =>
      options.tty ? spawnTerminal(command, args, options, options.tty) : spawnPiped(command, args, options),
    kill(pid, signal) {
      try {
        return process.kill(pid, signal as NodeJS.Signals | 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
        if ((error as NodeJS.ErrnoException).code === "EPERM" && signal === 0) return true; // There, and not ours.
        throw error;
      }
    },
    async which(program) {
      const candidates = isAbsolute(program)
        ? [program]
        : (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, program));
      for (const candidate of candidates) {
        const runs = await promises.access(candidate, promises.constants.X_OK).then(
          () => true,
          () => false,
        );
        if (runs && (await promises.stat(candidate)).isFile()) return candidate;
      }
      return undefined;
    },
  };
}

/** As a shell counts: 128 and the signal's number for a program that was killed. */
function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]);
}

function spawnPiped(command: string, args: readonly string[], options: SpawnOptions): Process {
  const files: number[] = [];
  const target = (path: string | undefined): number | "pipe" => {
    if (path === undefined) return "pipe";
    const fd = openSync(path, "a", 0o640);
    files.push(fd);
    return fd;
  };
  let child: ChildProcess;
  try {
    child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      detached: options.detached,
      uid: options.uid,
      gid: options.gid,
      stdio: ["pipe", target(options.stdoutFile), target(options.stderrFile)],
    });
  } finally {
    for (const fd of files) closeSync(fd); // The child has its own.
  }
  const exited = new Promise<{ code: number; signal: string | undefined }>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve({ code: exitCode(code, signal), signal: signal ?? undefined }));
  });
  exited.catch(() => {}); // Whoever cares awaits it; a failed start nobody awaits must not end this process.
  const { stdin } = child;
  stdin?.on("error", () => {});
  if (options.detached) child.unref();
  return {
    pid: child.pid ?? 0,
    stdout: child.stdout ?? undefined,
    stderr: child.stderr ?? undefined,
    write: (data) =>
      new Promise((resolve, reject) => {
        if (!stdin || stdin.destroyed) return reject(new Error(`the stdin of ${command} is closed`));
        stdin.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    closeStdin: () => void stdin?.end(),
    resize() {},
    kill: (signal) => child.kill(signal as NodeJS.Signals),
    exited,
  };
}

interface Terminal {
  readonly pid: number;
  onData(listener: (data: string | Buffer) => void): unknown;
  onExit(listener: (event: { exitCode: number; signal?: number }) => void): unknown;
  write(data: string | Buffer): void;
  resize(columns: number, rows: number): void;
  kill(signal?: string): void;
}
interface TerminalModule {
  spawn(file: string, args: readonly string[], options: Record<string, unknown>): Terminal;
}

function spawnTerminal(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): Process {
  let pty: TerminalModule;
  try {
    // An optional dependency, loaded when the first terminal is asked for.
    pty = createRequire(import.meta.url)("@lydell/node-pty") as TerminalModule;
  } catch (cause) {
    throw new Error("terminals need the optional package @lydell/node-pty", { cause });
  }
  const terminal = pty.spawn(command, args, {
    cols: columns,
    rows,
    cwd: options.cwd,
    env: options.env ?? process.env,
    uid: options.uid,
    gid: options.gid,
    encoding: null,
    name: options.env?.["TERM"] ?? "xterm",
  });
  const output = new ReadableStream<Uint8Array>({
    start(controller) {
      terminal.onData((data) => controller.enqueue(typeof data === "string" ? Buffer.from(data) : data));
      terminal.onExit(() => controller.close());
    },
  });
  const names = Object.entries(os.constants.signals);
  const exited = new Promise<{ code: number; signal: string | undefined }>((resolve) => {
    terminal.onExit(({ exitCode: code, signal }) =>
      resolve({
        code: signal ? 128 + signal : code,
        signal: signal ? names.find(([, number]) => number === signal)?.[0] : undefined,
      }),
    );
  });
  return {
    pid: terminal.pid,
    stdout: output,
    stderr: undefined,
    async write(data) {
      terminal.write(Buffer.from(data.buffer, data.byteOffset, data.length));
    },
    closeStdin: () => terminal.write("\x04"), // End of transmission: what a person at the terminal would type.
    resize: (newColumns, newRows) => terminal.resize(newColumns, newRows),
    kill(signal) {
      try {
        terminal.kill(signal);
        return true;
      } catch {
        return false;
      }
    },
    exited,
  };
}
