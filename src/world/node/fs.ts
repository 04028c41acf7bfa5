/** Files of this machine. Reads and writes that may wait go through Node's thread pool; the `…Sync` ones run on the calling thread. */
import * as fs from "node:fs";
import { dirname, basename, join } from "node:path";
import { promisify } from "node:util";
import type { File, FileStat, Fs, OpenOptions } from "../fs.ts";
import type { Random } from "../world.ts";

const read = promisify(fs.read);
const ftruncate = promisify(fs.ftruncate);
const fdatasync = promisify(fs.fdatasync);
const fstat = promisify(fs.fstat);
const close = promisify(fs.close);
const open = promisify(fs.open);
const { promises } = fs;

export function nodeFs(random: Random): Fs {
  return {
    async open(path, options) {
      return nodeFile(await open(path, openFlags(options), options.mode ?? 0o666), path);
    },
    async readFile(path) {
      const data = await promises.readFile(path);
      return new Uint8Array(data.buffer, data.byteOffset, data.length);
    },
    async writeFile(path, data, { mode = 0o644, atomic = false } = {}) {
      if (!atomic) return promises.writeFile(path, data, { mode });
      const draft = join(dirname(path), `.${basename(path)}.${Buffer.from(random.bytes(6)).toString("hex")}.tmp`);
      try {
        const handle = await promises.open(draft, "wx", mode);
        try {
          await handle.writeFile(data);
          await handle.datasync();
        } finally {
          await handle.close();
        }
        await promises.rename(draft, path);
      } catch (error) {
        await promises.rm(draft, { force: true });
        throw error;
      }
      await syncDir(dirname(path));
    },
    async list(path) {
      return (await promises.readdir(path)).sort();
    },
    stat: (path) => orUndefined(promises.stat(path).then(toStat)),
    lstat: (path) => orUndefined(promises.lstat(path).then(toStat)),
    async mkdir(path, options) {
      await promises.mkdir(path, options);
    },
    rename: (from, to) => promises.rename(from, to),
    remove: (path) => promises.rm(path, { recursive: true, force: true }),
    rmdir: (path) => promises.rmdir(path),
    symlink: (target, path) => promises.symlink(target, path),
    readlink: (path) => promises.readlink(path),
    realpath: (path) => promises.realpath(path),
    chmod: (path, mode) => promises.chmod(path, mode),
    chown: (path, uid, gid) => promises.chown(path, uid, gid),
    syncDir,
    async statfs(path) {
      const all = await promises.statfs(path);
      return {
        sizeBytes: all.blocks * all.bsize,
        freeBytes: all.bavail * all.bsize,
        files: all.files,
        filesFree: all.ffree,
      };
    },
    watch(path, onChange) {
      let watcher: fs.FSWatcher;
      try {
        watcher = fs.watch(path, { persistent: false }, () => onChange());
      } catch (error) {
        // The machine has no more watches to give: they are a hint only.
        if (!["ENOSPC", "EMFILE"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
        return { [Symbol.dispose]() {} };
      }
      watcher.on("error", () => onChange()); // The folder went away: the caller looks and finds out.
      return { [Symbol.dispose]: () => watcher.close() };
    },
  };
}

function openFlags({ write, create, exclusive, append, truncate, durable }: OpenOptions): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_TRUNC, O_DSYNC } = fs.constants;
  return (
    (write || append ? O_RDWR : O_RDONLY) |
    (create ? O_CREAT : 0) |
    (exclusive ? O_CREAT | O_EXCL : 0) |
    (append ? O_APPEND : 0) |
    (truncate ? O_TRUNC : 0) |
    (durable ? O_DSYNC : 0)
  );
}

function nodeFile(fd: number, path: string): File {
  let closed = false;
  const file: File = {
    async read(position, length) {
      const buffer = new Uint8Array(length);
      let got = 0;
      while (got < length) {
        const { bytesRead } = await read(fd, buffer, got, length - got, position + got);
        if (bytesRead === 0) break;
        got += bytesRead;
      }
      return got === length ? buffer : buffer.subarray(0, got);
    },
    readSync(position, length) {
      const buffer = new Uint8Array(length);
      let got = 0;
      while (got < length) {
        const bytesRead = fs.readSync(fd, buffer, got, length - got, position + got);
        if (bytesRead === 0) break;
        got += bytesRead;
      }
      return got === length ? buffer : buffer.subarray(0, got);
    },
    async write(position, chunks) {
      let left = chunks;
      while (left.length > 0) {
        const written = await new Promise<number>((resolve, reject) =>
          fs.writev(fd, left, position, (error, bytes) => (error ? reject(error) : resolve(bytes))),
        );
        position += written;
        left = after(left, written);
      }
    },
    writeSync(position, chunks) {
      if (chunks.length === 1) return writeWhole(fd, chunks[0]!, position);
      let left = chunks;
      while (left.length > 0) {
        const written = fs.writevSync(fd, left, position);
        position += written;
        left = after(left, written);
      }
    },
    sync: () => fdatasync(fd),
    syncSync: () => fs.fdatasyncSync(fd),
    truncate: (length) => ftruncate(fd, length),
    size: async () => (await fstat(fd)).size,
    async close() {
      if (closed) return;
      closed = true;
      await close(fd).catch((cause: unknown) => {
        throw new Error(`closing ${path}`, { cause });
      });
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
  return file;
}

function writeWhole(fd: number, data: Uint8Array, position: number): void {
  let done = 0;
  while (done < data.length) done += fs.writeSync(fd, data, done, data.length - done, position + done);
}

/** What is left of `chunks` when the first `written` bytes are done: a full disk or a signal can cut a write short. */
function after(chunks: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let i = 0;
  while (i < chunks.length && written >= chunks[i]!.length) written -= chunks[i++]!.length;
  if (i === chunks.length) return [];
  return written === 0 ? chunks.slice(i) : [chunks[i]!.subarray(written), ...chunks.slice(i + 1)];
}

async function syncDir(path: string): Promise<void> {
  const handle = await promises.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function toStat(stat: fs.Stats): FileStat {
  const kind = stat.isFile()
    ? "file"
    : stat.isDirectory()
      ? "dir"
      : stat.isSymbolicLink()
        ? "symlink"
        : stat.isSocket()
          ? "socket"
          : stat.isFIFO()
            ? "fifo"
            : stat.isCharacterDevice()
              ? "char"
              : "block";
  return {
    kind,
    sizeBytes: stat.size,
    allocatedBytes: stat.blocks * 512,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    inode: stat.ino,
    mtimeMs: stat.mtimeMs,
  };
}
