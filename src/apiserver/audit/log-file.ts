/**
 * A log file that is rotated by size: the full file is renamed after the time, and old ones are compressed and removed.
 * Upstream: gopkg.in/natefinch/lumberjack.v2, as the audit log uses it
 */
import { gzipSync } from "node:zlib";
import { dirname } from "node:path";
import type { Logger } from "../../observe/log.ts";
import type { File, Fs } from "../../world/fs.ts";
import type { Clock } from "../../world/world.ts";

export interface LogFileOptions {
  readonly path: string;
  /** Days; 0: for ever. */
  readonly maxAgeDays: number;
  /** 0: all. */
  readonly maxBackups: number;
  /** 0: never put aside. */
  readonly maxBytes: number;
  readonly compress: boolean;
}

export interface LogFileDeps {
  readonly fs: Fs;
  readonly clock: Clock;
  readonly log: Logger;
}

export class LogFile {
  readonly #options: LogFileOptions;
  readonly #deps: LogFileDeps;
  #file: File;
  #size: number;
  /** While the file is changed for a new one, lines wait. */
  #rotating: Promise<void> | undefined;
  #waiting: Buffer[] = [];

  private constructor(options: LogFileOptions, deps: LogFileDeps, file: File, size: number) {
    this.#options = options;
    this.#deps = deps;
    this.#file = file;
    this.#size = size;
  }

  static async open(options: LogFileOptions, deps: LogFileDeps): Promise<LogFile> {
    await deps.fs.mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
    const file = await deps.fs.open(options.path, { write: true, create: true, mode: 0o600 });
    return new LogFile(options, deps, file, await file.size());
  }

  /** Throws where the line can't be written. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    const { maxBytes } = this.#options;
    if (maxBytes > 0 && bytes.length > maxBytes)
      throw new Error(`write length ${bytes.length} exceeds maximum file size ${maxBytes}`);
    if (this.#rotating !== undefined) {
      this.#waiting.push(bytes);
      return;
    }
    if (maxBytes > 0 && this.#size + bytes.length > maxBytes) {
      this.#waiting.push(bytes);
      this.#rotating = this.#rotate();
      return;
    }
    this.#append(bytes);
  }

  async close(): Promise<void> {
    while (this.#rotating !== undefined) await this.#rotating;
    await this.#file.close();
  }

  #append(bytes: Buffer): void {
    this.#file.writeSync(this.#size, [bytes]);
    this.#size += bytes.length;
  }

  async #rotate(): Promise<void> {
    const { fs, log } = this.#deps;
    const { path } = this.#options;
    try {
      await this.#file.close();
      await fs.rename(path, this.#backupName(this.#deps.clock.now()));
    } catch (error) {
      log.error("The audit log can't be put aside", error, { path });
    }
    try {
      this.#file = await fs.open(path, { write: true, create: true, mode: 0o600 });
      this.#size = await this.#file.size();
    } catch (error) {
      log.error("The audit log can't be opened again", error, { path });
    }
    this.#rotating = undefined;
    const lines = this.#waiting;
    this.#waiting = [];
    for (const line of lines) {
      try {
        this.write(line.toString());
      } catch (error) {
        log.error("A line of the audit log is lost", error, { path });
      }
    }
    await this.#tidy().catch((error: unknown) => log.error("Old audit logs can't be tidied", error, { path }));
  }

  #parts(): { readonly folder: string; readonly prefix: string; readonly extension: string } {
    const { path } = this.#options;
    const folder = dirname(path);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const dot = name.lastIndexOf(".");
    const extension = dot < 0 ? "" : name.slice(dot);
    return { folder, prefix: `${name.slice(0, name.length - extension.length)}-`, extension };
  }

  #backupName(now: number): string {
    const { folder, prefix, extension } = this.#parts();
    const time = new Date(now).toISOString().slice(0, 23).replaceAll(":", "-");
    return `${folder}/${prefix}${time}${extension}`;
  }

  /** Newest first: too many and too old ones go, the others are pressed. */
  async #tidy(): Promise<void> {
    const { fs, clock } = this.#deps;
    const { maxBackups, maxAgeDays, compress } = this.#options;
    const { folder, prefix, extension } = this.#parts();
    const backups = (await fs.list(folder))
      .flatMap((name) => {
        const bare = name.endsWith(".gz") ? name.slice(0, -3) : name;
        if (!bare.startsWith(prefix) || !bare.endsWith(extension)) return [];
        const stamp = bare.slice(prefix.length, bare.length - extension.length);
        const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(stamp);
        if (match === null) return [];
        return [{ name, bare, at: Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`) }];
      })
      .sort((a, b) => b.at - a.at);
    const kept = new Set<string>();
    for (const { name, bare, at } of backups) {
      const tooMany = maxBackups > 0 && !kept.has(bare) && kept.size >= maxBackups;
      const tooOld = maxAgeDays > 0 && at < clock.now() - maxAgeDays * 86_400_000;
      if (tooMany || tooOld) {
        await fs.remove(`${folder}/${name}`);
        continue;
      }
      kept.add(bare);
      if (!compress || name.endsWith(".gz")) continue;
      await fs.writeFile(`${folder}/${name}.gz`, gzipSync(await fs.readFile(`${folder}/${name}`)), { mode: 0o600 });
      await fs.remove(`${folder}/${name}`);
    }
  }
}
