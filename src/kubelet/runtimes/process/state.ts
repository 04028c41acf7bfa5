/** What the runtime knows of its sandboxes and containers, and where it keeps it: each a JSON file below `dir`, so that the next process finds them. */
import { deferred } from "../../../base/deferred.ts";
import type { Logger } from "../../../observe/log.ts";
import type { ContainerConfig, PodSandboxConfig } from "../../../protocols/cri/generated.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import type { Process } from "../../../world/host.ts";
import type { World } from "../../../world/world.ts";
import type { ExecStreams } from "../runtime.ts";
import { normalizeName, readImages, type UnpackedImage } from "./images.ts";
import type { Identity, Isolation, Programs } from "./launch.ts";
import type { LogPump } from "./log-pump.ts";
import type { PodNetwork } from "./network.ts";

export interface ProcessRuntimeOptions {
  /** Where pods and containers are kept. */
  readonly dir: string;
  /** Where loaded images are; shared by the nodes of a cluster. */
  readonly imageDir: string;
  /** The node's address, and that of pods on the machine's network. */
  readonly address: string;
  /** Gives pods networks of their own where that can be had. */
  readonly clusterCidr?: string;
}

export type ProcessDeps = Pick<World, "fs" | "host" | "clock" | "random" | "net"> & { readonly log: Logger };

export interface Sandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly createdAt: string;
  /** Of its own; undefined on the machine's network. */
  address?: string;
  ready: boolean;
}

/** As kept on disk; nanoseconds as text. */
export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  readonly logPath: string;
  readonly imageId: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly stopSignal: string;
  readonly createdAt: string;
  readonly identity?: Identity;
  startedAt?: string;
  /** The process group that it was started in. */
  group?: number;
  finishedAt?: string;
  exitCode?: number;
  reason?: string;
  message?: string;
}
export interface Container {
  readonly record: ContainerRecord;
  pid: number | undefined;
  /** When the process started, as the kernel counts: who has the pid later is someone else. */
  started: string;
  /** Ours, and not one taken over: its streams can be attached to. */
  process: Process | undefined;
  pump: LogPump | undefined;
  ended: ReturnType<typeof deferred<void>>;
  readonly attached: Set<ExecStreams>;
}

export function newContainer(record: ContainerRecord): Container {
  return {
    record,
    pid: undefined,
    started: "",
    process: undefined,
    pump: undefined,
    ended: deferred(),
    attached: new Set(),
  };
}

export function stateOf(record: ContainerRecord): "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" {
  if (record.finishedAt !== undefined) return "CONTAINER_EXITED";
  return record.startedAt === undefined ? "CONTAINER_CREATED" : "CONTAINER_RUNNING";
}

export class ProcessState {
  readonly options: ProcessRuntimeOptions;
  readonly deps: ProcessDeps;
  readonly sandboxes = new Map<string, Sandbox>();
  readonly containers = new Map<string, Container>();
  readonly listeners = new Set<(podUid: string) => void>();
  /** Images that were asked for and are not loaded: they stand for this machine's own files. */
  readonly hostImages = new Set<string>();
  programs: Programs = {
    sh: "/bin/sh",
    unshare: "unshare",
    nsenter: "nsenter",
    setpriv: "setpriv",
    setsid: "setsid",
    script: undefined,
  };
  isolation: Isolation = "none";
  network: PodNetwork | undefined;
  stopping = false;

  constructor(options: ProcessRuntimeOptions, deps: ProcessDeps) {
    this.options = options;
    this.deps = deps;
  }

  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find container "${id}": not found`);
    return container;
  }

  sandbox(id: string): Sandbox {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find sandbox "${id}": not found`);
    return sandbox;
  }

  async image(name: string): Promise<UnpackedImage | undefined> {
    const wanted = normalizeName(name);
    return (await readImages(this.deps, this.options.imageDir)).find(
      (image) => image.id === name || image.id === `sha256:${name}` || image.names.includes(wanted),
    );
  }

  dirOf(containerId: string): string {
    return `${this.options.dir}/containers/${containerId}`;
  }

  async save(container: Container): Promise<void> {
    await this.deps.fs.writeFile(`${this.dirOf(container.record.id)}/record.json`, JSON.stringify(container.record), {
      atomic: true,
    });
  }

  async saveSandbox(sandbox: Sandbox): Promise<void> {
    await this.deps.fs.writeFile(`${this.options.dir}/sandboxes/${sandbox.id}.json`, JSON.stringify(sandbox), {
      atomic: true,
    });
  }

  /** In a user namespace, files may belong to users that only it has, and folders be closed to all but its root. */
  async removeFiles(path: string): Promise<void> {
    const { fs, host } = this.deps;
    if (this.isolation === "user")
      await host.exec(this.programs.unshare, ["--user", "--map-root-user", "rm", "-rf", path]);
    await fs.remove(path);
  }

  changed(sandboxId: string): void {
    const uid = this.sandboxes.get(sandboxId)?.config.metadata?.uid;
    if (uid !== undefined) for (const listener of this.listeners) listener(uid);
  }

  now(): string {
    return String(BigInt(Math.floor(this.deps.clock.now())) * 1_000_000n);
  }

  newId(): string {
    return Buffer.from(this.deps.random.bytes(32)).toString("hex");
  }
}
