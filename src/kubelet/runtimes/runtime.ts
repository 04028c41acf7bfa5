/**
 * The container runtime behind the kubelet, which is reached through CRI and nothing else. There are three: `containerd` (gRPC over its socket),
 * `process` (containers are processes of this machine) and `simulated` (no processes at all; everything follows from a declared script).
 */
import type { ImageService, RuntimeService } from "../../protocols/cri/generated.ts";
import type { Client } from "../../wire/rpc/service.ts";
import type { ByteStream } from "../../world/net.ts";

export interface Runtime {
  /** `containerd`, `process`, `simulated`. What users see (the prefix of container ids) is the runtime's answer to `Version`. */
  readonly name: string;
  readonly runtime: Client<typeof RuntimeService>;
  readonly images: Client<typeof ImageService>;
  /** For runtimes that answer Exec, Attach and PortForward without a URL: the streams are had from here. */
  readonly streaming?: StreamingRuntime;
  /**
   * Calls back with the pod's uid whenever one of its sandboxes or containers changed state. With it the kubelet doesn't poll; without it, it lists
   * all sandboxes and containers each second while anything runs.
   */
  subscribe?(onChange: (podUid: string) => void): Disposable;
  /**
   * True where containers see files of this machine: pod folders, volumes, hosts files and log files are made. False: volumes are resolved (a
   * missing ConfigMap still holds the pod back) and nothing is written.
   */
  readonly usesFiles: boolean;
  /** True where pod cgroups are made by the kubelet. */
  readonly usesCgroups: boolean;
  /** Where logs are not in files under `log_directory`. */
  readonly logs?: LogSource;
  /** Answers http, tcp and grpc probes where containers have no network. */
  probe?(containerId: string): "success" | "failure";
}

export interface ExecStreams {
  /** Ends when the client has no more input; undefined without stdin. */
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  stdout(data: Uint8Array): void | Promise<void>;
  /** Never called with a terminal. */
  stderr(data: Uint8Array): void | Promise<void>;
  readonly resizes: AsyncIterable<{ readonly columns: number; readonly rows: number }> | undefined;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

export interface StreamingRuntime {
  /** Runs a command in a container to its end. */
  exec(
    containerId: string,
    command: readonly string[],
    tty: boolean,
    streams: ExecStreams,
  ): Promise<{ readonly exitCode: number }>;
  /** Joins the container's own streams until it or the client ends. */
  attach(containerId: string, streams: ExecStreams): Promise<void>;
  /** Copies both ways between `stream` and a port inside the sandbox until either ends. Throws when nobody listens there. */
  portForward(sandboxId: string, port: number, stream: ByteStream): Promise<void>;
}

export interface LogLine {
  /** RFC 3339 with nanoseconds, as in a CRI log file. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  /** Without the newline. */
  readonly text: string;
}

export interface LogSource {
  /** All lines so far, and with `follow` those to come until the container ends or the signal aborts. */
  read(
    containerId: string,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<LogLine>;
}
