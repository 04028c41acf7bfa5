/** Files, with an explicit `sync`: a simulated power cut drops what was written and not synced. Errors carry Node's `code` (ENOENT, …). */
export interface Fs {
  open(path: string, options: OpenOptions): Promise<File>;
  readFile(path: string): Promise<Uint8Array>;
  /** Replaces the whole file; `atomic` writes a sibling, syncs and renames it. Mode 0600 for anything with keys in it. */
  writeFile(
    path: string,
    data: Uint8Array | string,
    options?: { readonly mode?: number; readonly atomic?: boolean },
  ): Promise<void>;
  /** Names in a folder, sorted, without `.` and `..`. */
  list(path: string): Promise<readonly string[]>;
  stat(path: string): Promise<FileStat | undefined>;
  /** As `stat`, but a symbolic link is not followed. */
  lstat(path: string): Promise<FileStat | undefined>;
  mkdir(path: string, options?: { readonly recursive?: boolean; readonly mode?: number }): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a folder with all in it; nothing happens where there is none. */
  remove(path: string): Promise<void>;
  /** Removes an empty folder: the only way that cgroups go. */
  rmdir(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  readlink(path: string): Promise<string>;
  realpath(path: string): Promise<string>;
  chmod(path: string, mode: number): Promise<void>;
  chown(path: string, uid: number, gid: number): Promise<void>;
  /** Makes renames and new names in this folder durable. */
  syncDir(path: string): Promise<void>;
  /** Size of the file system that holds `path`, in bytes and inodes. */
  statfs(path: string): Promise<{
    readonly sizeBytes: number;
    readonly freeBytes: number;
    readonly files: number;
    readonly filesFree: number;
  }>;
  /** Calls back on any change to the names and files in the folder `path`, not in folders below; a hint only, the caller looks for himself. */
  watch(path: string, onChange: () => void): Disposable;
}

export interface OpenOptions {
  readonly write?: boolean;
  readonly create?: boolean;
  /** Fail with EEXIST where the file is there. */
  readonly exclusive?: boolean;
  readonly append?: boolean;
  readonly truncate?: boolean;
  /** Each write is on disk when it returns (O_DSYNC). */
  readonly durable?: boolean;
  readonly mode?: number;
}

export interface FileStat {
  readonly kind: "file" | "dir" | "symlink" | "socket" | "fifo" | "char" | "block";
  readonly sizeBytes: number;
  /** What it takes of the disk: less than its size where it has holes. */
  readonly allocatedBytes?: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly mtimeMs: number;
}

export interface File extends AsyncDisposable {
  /** Up to `length` bytes from `position`; shorter only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** As `read`, on the calling thread: a page that the system has in memory is there in less than a thread-pool hop takes. */
  readSync(position: number, length: number): Uint8Array;
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** As `write`, on the calling thread: one durable 1 KiB write takes half of what two thread-pool hops take. */
  writeSync(position: number, chunks: readonly Uint8Array[]): void;
  /** fdatasync. */
  sync(): Promise<void>;
  syncSync(): void;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
