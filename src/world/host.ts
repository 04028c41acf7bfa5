/** The machine: its processes and facts about it. The simulated host runs scripts in place of programs. */
export interface Host {
  readonly platform: string;
  readonly arch: string;
  readonly hostname: string;
  readonly pid: number;
  /** 0 for root. */
  readonly uid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  cpus(): number;
  memory(): { readonly totalBytes: number; readonly freeBytes: number };
  /** `uname -r` and the like, for node info. */
  kernelRelease(): string;
  /** This process's own CPU time and memory. */
  usage(): { readonly cpuMs: number; readonly residentBytes: number };
  interfaces(): readonly {
    readonly name: string;
    readonly address: string;
    readonly cidr: string;
    readonly family: 4 | 6;
    readonly internal: boolean;
  }[];
  /** Runs a program to its end. Does not throw on a non-zero exit; throws with `code: "ENOENT"` when there is no such program. */
  exec(command: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts a program and hands over its streams. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): Process;
  /** Signals a process (or, when negative, a group); false where there is none. Signal 0 only asks. */
  kill(pid: number, signal: string | 0): boolean;
  /** The path of a program, or undefined. */
  which(program: string): Promise<string | undefined>;
}

export interface ExecOptions {
  readonly stdin?: Uint8Array | string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Its own session and process group, so that it outlives us. */
  readonly detached?: boolean;
  readonly uid?: number;
  readonly gid?: number;
  /** A terminal of its own, where a pty is to be had. */
  readonly tty?: { readonly columns: number; readonly rows: number };
  /** Files that take stdout and stderr in place of pipes: the process writes on when we are gone. */
  readonly stdoutFile?: string;
  readonly stderrFile?: string;
}

export interface Process {
  readonly pid: number;
  /** Undefined where the output goes to a file. With a tty, all output is in `stdout`. */
  readonly stdout: AsyncIterable<Uint8Array> | undefined;
  readonly stderr: AsyncIterable<Uint8Array> | undefined;
  /** Resolves when the process has taken the bytes. */
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(columns: number, rows: number): void;
  kill(signal: string): boolean;
  readonly exited: Promise<{ readonly code: number; readonly signal: string | undefined }>;
}
