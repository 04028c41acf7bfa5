/**
 * Files in memory. What was written and not synced is lost by `powerCut`, as a real disk may lose it: unsynced sectors of a file go (all, none, or
 * some by chance), and names that no `syncDir` has made durable.
 */
import type { File, FileStat, Fs, OpenOptions } from "../../world/fs.ts";
import type { Random } from "../../world/world.ts";
import { SparseFile } from "./sparse-file.ts";

interface Owned {
  readonly inode: number;
  mode: number;
  uid: number;
  gid: number;
  mtimeMs: number;
}
interface FileNode extends Owned {
  readonly kind: "file";
  readonly content: SparseFile;
}
interface DirNode extends Owned {
  readonly kind: "dir";
  readonly children: Map<string, Node>;
  /** The names as of the last `syncDir`. */
  durable: Map<string, Node>;
}
interface LinkNode extends Owned {
  readonly kind: "symlink";
  readonly target: string;
}
type Node = FileNode | DirNode | LinkNode;

/** Lets a part of a write land: of each sector it is asked whether that one does. */
export type Tear = (survives: () => boolean) => void;

/** What a disk does to those who use it, beside what they ask for. Each may throw, and then nothing happens. */
export interface DiskFaults {
  /** Before bytes land, or a name or a length changes (then there is nothing to tear). */
  write?(path: string, bytes: number, tear: Tear): void;
  sync?(path: string): void;
  /** Before a write or a sync that the caller waits for: until the disk gets to it. */
  wait?(): Promise<void> | undefined;
  /** What one that holds everything up takes. */
  block?(): void;
}

const NOTHING_TO_TEAR: Tear = () => {};
const SECTOR = 512;

export class SimulatedFs implements Fs {
  #inodes = 1;
  readonly #now: () => number;
  readonly #random: Random;
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #root: DirNode;
  /** Each write throws this while it is set: a full or broken disk. */
  failWrites: Error | undefined;
  faults: DiskFaults = {};

  constructor(now: () => number, random: Random) {
    this.#now = now;
    this.#random = random;
    this.#root = this.#dir();
  }

  /** Drops all that was not synced. Open handles are dead afterwards. */
  powerCut(): void {
    const cut = (dir: DirNode): void => {
      dir.children.clear();
      for (const [name, node] of dir.durable) {
        dir.children.set(name, node);
        if (node.kind === "dir") cut(node);
        if (node.kind === "file") node.content.lose(this.#random);
      }
    };
    cut(this.#root);
  }

  async open(path: string, options: OpenOptions): Promise<File> {
    let node = this.#find(path);
    if (node === undefined) {
      if (options.create !== true) throw failure("ENOENT", "open", path);
      node = this.#file(new Uint8Array(0), options.mode);
      this.#attach(path, node);
    } else if (options.exclusive === true) throw failure("EEXIST", "open", path);
    if (node.kind !== "file") throw failure("EISDIR", "open", path);
    if (options.truncate === true) node.content.truncate(0);
    return this.#handle(path, node, options.durable === true, options.append === true);
  }

  #handle(path: string, node: FileNode, durable: boolean, append: boolean): File {
    const { content } = node;
    const write = (position: number, chunks: readonly Uint8Array[]) => {
      if (this.failWrites !== undefined) throw this.failWrites;
      let at = append ? content.length : position;
      if (this.faults.write !== undefined) {
        let bytes = 0;
        for (const chunk of chunks) bytes += chunk.length;
        this.faults.write(path, bytes, (survives) => tear(content, at, chunks, durable, survives));
      }
      for (const chunk of chunks) {
        content.write(at, chunk, durable);
        at += chunk.length;
      }
      node.mtimeMs = this.#now();
    };
    const sync = () => {
      this.faults.sync?.(path);
      content.sync();
    };
    return {
      async read(position, length) {
        return content.read(position, length);
      },
      write: async (position, chunks) => {
        await this.faults.wait?.();
        write(position, chunks);
      },
      readSync: (position, length) => content.read(position, length),
      writeSync: (position, chunks) => {
        this.faults.block?.();
        write(position, chunks);
      },
      sync: async () => {
        await this.faults.wait?.();
        sync();
      },
      syncSync: () => {
        this.faults.block?.();
        sync();
      },
      truncate: async (length) => {
        this.faults.write?.(path, 0, NOTHING_TO_TEAR);
        content.truncate(length);
      },
      async size() {
        return content.length;
      },
      async close() {},
      async [Symbol.asyncDispose]() {},
    };
  }

  async readFile(path: string): Promise<Uint8Array> {
    const node = this.#find(path);
    if (node === undefined) throw failure("ENOENT", "open", path);
    if (node.kind !== "file") throw failure("EISDIR", "read", path);
    return node.content.read(0, node.content.length);
  }

  async writeFile(
    path: string,
    data: Uint8Array | string,
    options: { readonly mode?: number; readonly atomic?: boolean } = {},
  ): Promise<void> {
    if (this.failWrites !== undefined) throw this.failWrites;
    this.faults.write?.(path, data.length, NOTHING_TO_TEAR);
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const existing = this.#find(path);
    if (existing?.kind === "dir") throw failure("EISDIR", "open", path);
    if (existing?.kind === "file" && options.atomic !== true) {
      existing.content.truncate(0);
      existing.content.write(0, bytes, false);
      existing.mtimeMs = this.#now();
      this.#notify(path);
      return;
    }
    const node = this.#file(bytes, options.mode);
    if (options.atomic === true) node.content.sync();
    this.#attach(path, node);
    if (options.atomic === true) this.#parent(path).durable.set(baseName(path), node);
  }

  async list(path: string): Promise<readonly string[]> {
    return [...this.#dirAt(path, "scandir").children.keys()].sort();
  }
  async stat(path: string): Promise<FileStat | undefined> {
    return stat(this.#find(path));
  }
  async lstat(path: string): Promise<FileStat | undefined> {
    return stat(this.#find(path, false));
  }
  async mkdir(path: string, options: { readonly recursive?: boolean; readonly mode?: number } = {}): Promise<void> {
    let at: DirNode = this.#root;
    const parts = split(path);
    for (const [i, part] of parts.entries()) {
      const last = i === parts.length - 1;
      let next = at.children.get(part);
      if (next?.kind === "symlink") next = this.#find(`/${parts.slice(0, i + 1).join("/")}`);
      if (next === undefined) {
        if (!last && options.recursive !== true) throw failure("ENOENT", "mkdir", path);
        next = this.#dir(options.mode);
        at.children.set(part, next);
        // Journaling file systems sync a new folder with its parent; losing one would tell us nothing new.
        at.durable.set(part, next);
      } else if (last && options.recursive !== true) throw failure("EEXIST", "mkdir", path);
      if (next.kind !== "dir") throw failure("ENOTDIR", "mkdir", path);
      at = next;
    }
  }
  async rename(from: string, to: string): Promise<void> {
    const node = this.#find(from, false);
    if (node === undefined) throw failure("ENOENT", "rename", from);
    this.faults.write?.(to, 0, NOTHING_TO_TEAR);
    this.#parent(from).children.delete(baseName(from));
    this.#attach(to, node);
    this.#notify(from);
  }
  async remove(path: string): Promise<void> {
    if (this.#find(path, false) === undefined) return;
    this.faults.write?.(path, 0, NOTHING_TO_TEAR);
    this.#parent(path).children.delete(baseName(path));
    this.#notify(path);
  }
  async rmdir(path: string): Promise<void> {
    if (this.#dirAt(path, "rmdir").children.size > 0) throw failure("ENOTEMPTY", "rmdir", path);
    await this.remove(path);
  }
  async symlink(target: string, path: string): Promise<void> {
    if (this.#find(path, false) !== undefined) throw failure("EEXIST", "symlink", path);
    this.#attach(path, { kind: "symlink", target, ...this.#owned(0o777) });
  }
  async readlink(path: string): Promise<string> {
    const node = this.#find(path, false);
    if (node === undefined) throw failure("ENOENT", "readlink", path);
    if (node.kind !== "symlink") throw failure("EINVAL", "readlink", path);
    return node.target;
  }
  async realpath(path: string): Promise<string> {
    this.#need(path);
    return this.#resolve(path, 0);
  }
  async chmod(path: string, mode: number): Promise<void> {
    this.#need(path).mode = mode;
  }
  async chown(path: string, uid: number, gid: number): Promise<void> {
    Object.assign(this.#need(path), { uid, gid });
  }
  async syncDir(path: string): Promise<void> {
    const dir = this.#dirAt(path, "fsync");
    this.faults.sync?.(path);
    dir.durable = new Map(dir.children);
  }
  async statfs() {
    return { sizeBytes: 100 * 2 ** 30, freeBytes: 80 * 2 ** 30, files: 6_553_600, filesFree: 6_000_000 };
  }
  watch(path: string, onChange: () => void): Disposable {
    const set = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, set.add(onChange));
    return { [Symbol.dispose]: () => void set.delete(onChange) };
  }

  #owned(mode: number): Owned {
    return { inode: this.#inodes++, mode, uid: 0, gid: 0, mtimeMs: this.#now() };
  }
  #file(data: Uint8Array, mode = 0o644): FileNode {
    return { kind: "file", content: SparseFile.of(data), ...this.#owned(mode) };
  }
  #dir(mode = 0o755): DirNode {
    return { kind: "dir", children: new Map(), durable: new Map(), ...this.#owned(mode) };
  }
  #notify(path: string): void {
    for (const [folder, listeners] of this.#watchers) {
      if (path === folder || path.startsWith(`${folder}/`)) for (const listener of listeners) listener();
    }
  }
  #attach(path: string, node: Node): void {
    const parent = this.#parent(path);
    parent.children.set(baseName(path), node);
    parent.mtimeMs = this.#now();
    this.#notify(path);
  }
  #parent(path: string): DirNode {
    return this.#dirAt(`/${split(path).slice(0, -1).join("/")}`, "open");
  }
  #dirAt(path: string, call: string): DirNode {
    const node = this.#find(path);
    if (node === undefined) throw failure("ENOENT", call, path);
    if (node.kind !== "dir") throw failure("ENOTDIR", call, path);
    return node;
  }
  #need(path: string): Node {
    const node = this.#find(path);
    if (node === undefined) throw failure("ENOENT", "stat", path);
    return node;
  }
  #resolve(path: string, depth: number): string {
    if (depth > 40) throw failure("ELOOP", "stat", path);
    let at = "";
    const parts = split(path);
    for (const [i, part] of parts.entries()) {
      const node = this.#find(`${at}/${part}`, false);
      if (node?.kind === "symlink")
        return this.#resolve([absolute(node.target, at), ...parts.slice(i + 1)].join("/"), depth + 1);
      at = `${at}/${part}`;
    }
    return at === "" ? "/" : at;
  }
  #find(path: string, follow = true): Node | undefined {
    let at: Node = this.#root;
    const parts = split(path);
    for (const [i, part] of parts.entries()) {
      if (at.kind !== "dir") return undefined;
      const next: Node | undefined = at.children.get(part);
      if (next === undefined) return undefined;
      if (next.kind === "symlink" && (follow || i < parts.length - 1)) {
        const folder = `/${parts.slice(0, i).join("/")}`;
        return this.#find([absolute(next.target, folder), ...parts.slice(i + 1)].join("/"), follow);
      }
      at = next;
    }
    return at;
  }
}

/** The sectors of a write that the disk got to before it stopped. */
function tear(
  content: SparseFile,
  position: number,
  chunks: readonly Uint8Array[],
  durable: boolean,
  survives: () => boolean,
): void {
  const whole = Buffer.concat(chunks);
  for (let at = position; at < position + whole.length;) {
    const end = Math.min(position + whole.length, at - (at % SECTOR) + SECTOR);
    if (survives()) content.write(at, whole.subarray(at - position, end - position), durable);
    at = end;
  }
}

const absolute = (target: string, folder: string): string => (target.startsWith("/") ? target : `${folder}/${target}`);

function stat(node: Node | undefined): FileStat | undefined {
  if (node === undefined) return undefined;
  const { kind, inode, mode, uid, gid, mtimeMs } = node;
  return { kind, inode, mode, uid, gid, mtimeMs, sizeBytes: node.kind === "file" ? node.content.length : 0 };
}

/** Normalised: `.` and `..` are gone. */
function split(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}
const baseName = (path: string): string => split(path).at(-1) ?? "";

function failure(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code, syscall: call, path });
}
