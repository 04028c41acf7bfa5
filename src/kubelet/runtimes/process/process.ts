/**
 * Containers as processes of this machine, behind CRI: for machines without root or containerd. A container gets a mount namespace and a root of its
 * own over its image (as root, or in a user namespace where the kernel allows it), and shares the machine's network: its pod's address is the node's.
 * What runs survives us and is taken over by the next start; all of it is in files below `dir`.
 */
import type { Component } from "../../../base/component-group.ts";
import { deferred } from "../../../base/deferred.ts";
import type { Logger } from "../../../observe/log.ts";
import type {
  ContainerConfig,
  ImageService,
  PodSandboxConfig,
  RuntimeService,
} from "../../../protocols/cri/generated.ts";
import { ImageService as imageService, RuntimeService as runtimeService } from "../../../protocols/cri/generated.ts";
import { criCodec } from "../../../protocols/cri/connect.ts";
import { inProcess } from "../../../wire/rpc/in-process.ts";
import { type Implementation, type Init, RpcError } from "../../../wire/rpc/service.ts";
import type { ByteStream } from "../../../world/net.ts";
import type { Process } from "../../../world/host.ts";
import { pause } from "../../../world/time.ts";
import type { World } from "../../../world/world.ts";
import type { ExecStreams, Runtime, StreamingRuntime } from "../runtime.ts";
import { normalizeName, readImages, removeImage, type UnpackedImage } from "./images.ts";
import { enter, launch, type Launch, type Programs } from "./launch.ts";
import { type LogPump, pumpLogs } from "./log-pump.ts";

export interface ProcessRuntimeOptions {
  /** Where pods and containers are kept. */
  readonly dir: string;
  /** Where loaded images are; shared by the nodes of a cluster. */
  readonly imageDir: string;
  /** The pods' address. */
  readonly address: string;
}

export interface ProcessRuntime extends Component {
  readonly runtime: Runtime;
}

type Deps = Pick<World, "fs" | "host" | "clock" | "random" | "net"> & { readonly log: Logger };

interface Sandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly createdAt: string;
  ready: boolean;
}

/** As kept on disk; nanoseconds as text. */
interface ContainerRecord {
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
  startedAt?: string;
  finishedAt?: string;
  exitCode?: number;
  reason?: string;
  message?: string;
}
interface Container {
  readonly record: ContainerRecord;
  pid: number | undefined;
  /** Ours, and not one taken over: its streams can be attached to. */
  process: Process | undefined;
  pump: LogPump | undefined;
  ended: ReturnType<typeof deferred<void>>;
  readonly attached: Set<ExecStreams>;
}

const STOP_GRACE_SECONDS = 2;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SIGNALS: Readonly<Record<string, string>> = { "": "SIGTERM", RUNTIME_DEFAULT: "SIGTERM" };

export function createProcessRuntime(options: ProcessRuntimeOptions, deps: Deps): ProcessRuntime {
  const runtime = new Runner(options, deps);
  return { name: "process runtime", runtime: runtime.asRuntime(), run: (signal, ready) => runtime.run(signal, ready) };
}

class Runner implements StreamingRuntime {
  readonly #options: ProcessRuntimeOptions;
  readonly #deps: Deps;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #containers = new Map<string, Container>();
  readonly #listeners = new Set<(podUid: string) => void>();
  /** Images that were asked for and are not loaded: they stand for this machine's own files. */
  readonly #hostImages = new Set<string>();
  #programs: Programs = { sh: "/bin/sh", unshare: "unshare", nsenter: "nsenter" };
  #isolation: Launch["isolation"] = "none";
  #stopping = false;

  constructor(options: ProcessRuntimeOptions, deps: Deps) {
    this.#options = options;
    this.#deps = deps;
  }

  asRuntime(): Runtime {
    const codec = criCodec();
    return {
      name: "process",
      runtime: inProcess(runtimeService, this.#runtimeService() as Implementation<typeof RuntimeService>, {
        codec,
        clock: this.#deps.clock,
      }),
      images: inProcess(imageService, this.#imageService() as Implementation<typeof ImageService>, {
        codec,
        clock: this.#deps.clock,
      }),
      streaming: this,
      subscribe: (onChange) => {
        this.#listeners.add(onChange);
        return { [Symbol.dispose]: () => void this.#listeners.delete(onChange) };
      },
      usesFiles: true,
      usesCgroups: false,
    };
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { fs, host, log } = this.#deps;
    const which = async (program: string) => (await host.which(program)) ?? program;
    this.#programs = { sh: await which("sh"), unshare: await which("unshare"), nsenter: await which("nsenter") };
    this.#isolation = await this.#probeIsolation();
    for (const folder of ["sandboxes", "containers"])
      await fs.mkdir(`${this.#options.dir}/${folder}`, { recursive: true });
    await this.#adopt();
    log.info("Containers run as processes", { isolation: this.#isolation });
    ready();
    const stopped = deferred();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    if (!signal.aborted) await stopped.promise;
    this.#stopping = true;
    await Promise.all([...this.#containers.keys()].map((id) => this.#stop(id, STOP_GRACE_SECONDS)));
    for (const container of this.#containers.values()) await container.pump?.finish();
    await fs.remove(this.#options.dir);
  }

  async #probeIsolation(): Promise<Launch["isolation"]> {
    const { host } = this.#deps;
    if (
      host.platform !== "linux" ||
      (await host.which("unshare")) === undefined ||
      (await host.which("nsenter")) === undefined
    )
      return "none";
    const works = async (...args: string[]) =>
      (await host.exec(this.#programs.unshare, [...args, "--mount", "--propagation", "private", "true"])).code === 0;
    if (host.uid === 0 && (await works())) return "root";
    return (await works("--user", "--map-root-user")) ? "user" : "none";
  }

  /** What an earlier process left: those still alive go on under us, the others have ended. */
  async #adopt(): Promise<void> {
    const { fs } = this.#deps;
    const read = async <T>(path: string): Promise<T> =>
      JSON.parse(Buffer.from(await fs.readFile(path)).toString()) as T;
    for (const name of await fs.list(`${this.#options.dir}/sandboxes`)) {
      const sandbox = await read<Sandbox>(`${this.#options.dir}/sandboxes/${name}`);
      this.#sandboxes.set(sandbox.id, sandbox);
    }
    for (const id of await fs.list(`${this.#options.dir}/containers`)) {
      if ((await fs.stat(`${this.#dirOf(id)}/record.json`)) === undefined) {
        await fs.remove(this.#dirOf(id));
        continue;
      }
      const container: Container = {
        record: await read<ContainerRecord>(`${this.#dirOf(id)}/record.json`),
        pid: undefined,
        process: undefined,
        pump: undefined,
        ended: deferred(),
        attached: new Set(),
      };
      this.#containers.set(id, container);
      if (container.record.startedAt === undefined) continue;
      if (container.record.finishedAt !== undefined) {
        container.ended.resolve();
        continue;
      }
      container.pid = Number(Buffer.from(await fs.readFile(`${this.#dirOf(id)}/pid`)).toString());
      container.pump = this.#pump(container);
      void this.#watchAdopted(container);
    }
  }

  async #watchAdopted(container: Container): Promise<void> {
    const { fs, host, clock } = this.#deps;
    const exitFile = `${this.#dirOf(container.record.id)}/exit`;
    while ((await fs.stat(exitFile)) === undefined && host.kill(container.pid!, 0))
      await pause(clock, 250, new AbortController().signal);
    await this.#finish(container);
  }

  #dirOf(containerId: string): string {
    return `${this.#options.dir}/containers/${containerId}`;
  }

  #pump(container: Container): LogPump | undefined {
    const { record } = container;
    return record.logPath === ""
      ? undefined
      : pumpLogs(this.#deps, this.#dirOf(record.id), record.logPath, (ms) =>
          new Date(ms).toISOString().replace("Z", "000000Z"),
        );
  }

  async #save(container: Container): Promise<void> {
    await this.#deps.fs.writeFile(`${this.#dirOf(container.record.id)}/record.json`, JSON.stringify(container.record), {
      atomic: true,
    });
  }

  #changed(sandboxId: string): void {
    const uid = this.#sandboxes.get(sandboxId)?.config.metadata?.uid;
    if (uid !== undefined) for (const listener of this.#listeners) listener(uid);
  }

  #now(): string {
    return String(BigInt(Math.floor(this.#deps.clock.now())) * 1_000_000n);
  }

  #newId(): string {
    return Buffer.from(this.#deps.random.bytes(32)).toString("hex");
  }

  #container(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find container "${id}": not found`);
    return container;
  }
  #sandbox(id: string): Sandbox {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find sandbox "${id}": not found`);
    return sandbox;
  }

  async #image(name: string): Promise<UnpackedImage | undefined> {
    const wanted = normalizeName(name);
    return (await readImages(this.#deps, this.#options.imageDir)).find(
      (image) => image.id === name || image.id === `sha256:${name}` || image.names.includes(wanted),
    );
  }

  async #create(
    sandboxId: string,
    config: ContainerConfig,
    sandboxConfig: PodSandboxConfig | undefined,
  ): Promise<string> {
    const { fs, host } = this.#deps;
    const sandbox = this.#sandbox(sandboxId);
    const name = config.image?.image ?? "";
    const image = await this.#image(name);
    const entrypoint = config.command.length > 0 ? config.command : (image?.config.Entrypoint ?? []);
    const args = config.args.length > 0 ? config.args : config.command.length > 0 ? [] : (image?.config.Cmd ?? []);
    const command = [...entrypoint, ...args];
    if (command.length === 0) {
      throw new RpcError(
        "InvalidArgument",
        `no command specified: image ${JSON.stringify(name)} is not loaded (t8s image load), so the container needs a command of this machine`,
      );
    }
    const environment: Record<string, string> = {
      PATH: image === undefined ? (host.environment["PATH"] ?? DEFAULT_PATH) : DEFAULT_PATH,
      HOSTNAME: sandbox.config.hostname || host.hostname,
    };
    for (const pair of image?.config.Env ?? [])
      environment[pair.slice(0, pair.indexOf("="))] = pair.slice(pair.indexOf("=") + 1);
    for (const { key, value } of config.envs) environment[key] = value;
    const id = this.#newId();
    const dir = this.#dirOf(id);
    for (const folder of ["upper", "work", "root"]) await fs.mkdir(`${dir}/${folder}`, { recursive: true });
    const logDirectory = sandboxConfig?.log_directory ?? sandbox.config.log_directory;
    const logPath = config.log_path === "" || logDirectory === "" ? "" : `${logDirectory}/${config.log_path}`;
    const container: Container = {
      record: {
        id,
        sandboxId,
        config,
        logPath,
        imageId: image?.id ?? name,
        command,
        environment,
        workingDir: config.working_dir || image?.config.WorkingDir || "/",
        stopSignal: image?.config.StopSignal ?? "SIGTERM",
        createdAt: this.#now(),
      },
      pid: undefined,
      process: undefined,
      pump: undefined,
      ended: deferred(),
      attached: new Set(),
    };
    this.#containers.set(id, container);
    await this.#save(container);
    return id;
  }

  async #start(id: string): Promise<void> {
    const { fs, host, clock } = this.#deps;
    const container = this.#container(id);
    const { record } = container;
    const dir = this.#dirOf(id);
    const image = await this.#image(record.config.image?.image ?? "");
    const security = record.config.linux?.security_context;
    const mounts = await Promise.all(
      record.config.mounts.map(async ({ host_path: source, container_path: target, readonly }) => ({
        source,
        target,
        readonly,
        file: (await fs.stat(source))?.kind === "file",
      })),
    );
    const plan: Launch = {
      dir,
      lower: image?.root ?? "/",
      mounts,
      command: record.command,
      workingDir: record.workingDir,
      environment: { ...record.environment, ...(record.config.tty && { TERM: "xterm" }) },
      uid: this.#isolation === "root" ? security?.run_as_user?.value : undefined,
      gid: this.#isolation === "root" ? security?.run_as_group?.value : undefined,
      isolation: this.#isolation,
    };
    const { command, args } = launch(plan, this.#programs);
    const env = { PATH: host.environment["PATH"] ?? DEFAULT_PATH };
    const files = { stdoutFile: `${dir}/stdout`, stderrFile: `${dir}/stderr` };
    await fs.writeFile(files.stdoutFile, "");
    await fs.writeFile(files.stderrFile, "");
    const child = record.config.tty
      ? host.spawn(command, args, { env, tty: { columns: 80, rows: 24 } })
      : host.spawn(command, args, { env, detached: true, ...files });
    container.process = child;
    if (!record.config.stdin && !record.config.tty) child.closeStdin();
    if (record.config.tty) void this.#copyTerminal(container, child, files.stdoutFile);
    record.startedAt = this.#now();
    const exited = child.exited.then(
      () => {},
      (error: unknown) => {
        record.reason = "StartError";
        record.message = error instanceof Error ? error.message : String(error);
      },
    );
    // The pid is there before the command runs; where the set-up fails, the shell ends without it.
    let over = false;
    void exited.then(() => {
      over = true;
    });
    while (!over && (await fs.stat(`${dir}/pid`)) === undefined) await pause(clock, 2, new AbortController().signal);
    if ((await fs.stat(`${dir}/pid`)) === undefined) {
      const why =
        record.message ??
        Buffer.from(await fs.readFile(files.stderrFile))
          .toString()
          .trim();
      record.finishedAt = this.#now();
      record.exitCode = 128;
      record.reason = "StartError";
      record.message = why;
      await this.#save(container);
      container.ended.resolve();
      throw new RpcError("Unknown", `failed to start container: ${why}`);
    }
    container.pid = Number(Buffer.from(await fs.readFile(`${dir}/pid`)).toString());
    container.pump = this.#pump(container);
    await this.#save(container);
    void exited.then(() => this.#finish(container));
    this.#changed(record.sandboxId);
  }

  async #copyTerminal(container: Container, child: Process, path: string): Promise<void> {
    const file = await this.#deps.fs.open(path, { write: true, append: true });
    for await (const chunk of child.stdout ?? []) {
      await file.write(0, [Buffer.from(Buffer.from(chunk).toString("latin1").replaceAll("\r\n", "\n"), "latin1")]);
      container.pump?.poke();
      for (const streams of container.attached) await streams.stdout(chunk);
    }
    await file.close();
  }

  async #finish(container: Container): Promise<void> {
    const { fs, log } = this.#deps;
    const { record } = container;
    if (record.finishedAt !== undefined) return;
    const exitFile = `${this.#dirOf(record.id)}/exit`;
    const known = (await fs.stat(exitFile)) !== undefined;
    record.exitCode = known ? Number(Buffer.from(await fs.readFile(exitFile)).toString()) : 255;
    record.finishedAt = this.#now();
    record.reason = record.exitCode === 0 ? "Completed" : known ? "Error" : "Unknown";
    await container.pump
      ?.finish()
      .catch((error: unknown) => log.error("Failed to write a container's log", error, { path: record.logPath }));
    container.pump = undefined;
    if (!this.#stopping)
      await this.#save(container).catch((error: unknown) => log.error("Failed to record a container's end", error));
    container.ended.resolve();
    this.#changed(record.sandboxId);
  }

  async #stop(id: string, graceSeconds: number): Promise<void> {
    const { host, clock } = this.#deps;
    const container = this.#container(id);
    if (container.pid === undefined || container.record.finishedAt !== undefined) return;
    const configured = container.record.config.stop_signal;
    const signal = SIGNALS[configured] === undefined ? configured : container.record.stopSignal;
    if (graceSeconds > 0) {
      host.kill(container.pid, signal);
      const over = deferred();
      using _timer = clock.after(graceSeconds * 1000, () => over.resolve());
      await Promise.race([container.ended.promise, over.promise]);
    }
    if (container.record.finishedAt === undefined) {
      host.kill(container.pid, "SIGKILL");
      await container.ended.promise;
    }
    // Whatever it started and left: they are all of the session that was made for it.
    if (container.process !== undefined && !container.record.config.tty) host.kill(-container.process.pid, "SIGKILL");
  }

  async #remove(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await this.#stop(id, 0);
    this.#containers.delete(id);
    await this.#deps.fs.remove(this.#dirOf(id));
  }

  // ---- streams -------------------------------------------------------------------------------------------------------------------------------

  async exec(
    containerId: string,
    command: readonly string[],
    tty: boolean,
    streams: ExecStreams,
  ): Promise<{ readonly exitCode: number }> {
    const { host } = this.#deps;
    const container = this.#container(containerId);
    if (container.pid === undefined || container.record.finishedAt !== undefined)
      throw new RpcError("FailedPrecondition", "container is not running");
    const entered = enter(container.pid, command, container.record.workingDir, this.#isolation, this.#programs);
    const env = { ...container.record.environment, ...(tty && { TERM: "xterm" }) };
    const child = host.spawn(entered.command, entered.args, { env, ...(tty && { tty: { columns: 80, rows: 24 } }) });
    const onAbort = () => void child.kill("SIGKILL");
    streams.signal.addEventListener("abort", onAbort, { once: true });
    void this.#feed(streams, child);
    const copy = async (
      from: AsyncIterable<Uint8Array> | undefined,
      to: (data: Uint8Array) => void | Promise<void>,
    ) => {
      for await (const chunk of from ?? []) await to(chunk);
    };
    await Promise.all([
      copy(child.stdout, (data) => streams.stdout(data)),
      copy(child.stderr, (data) => streams.stderr(data)),
    ]);
    const { code } = await child.exited;
    streams.signal.removeEventListener("abort", onAbort);
    return { exitCode: code };
  }

  async #feed(streams: ExecStreams, child: Process): Promise<void> {
    void (async () => {
      for await (const { columns, rows } of streams.resizes ?? []) child.resize(columns, rows);
    })().catch(() => {});
    try {
      for await (const chunk of streams.stdin ?? []) await child.write(chunk);
      child.closeStdin();
    } catch {
      // The program has ended: nobody reads what is typed.
    }
  }

  async attach(containerId: string, streams: ExecStreams): Promise<void> {
    const { fs, clock } = this.#deps;
    const container = this.#container(containerId);
    const { process: child, record } = container;
    if (record.config.stdin && child !== undefined) void this.#feed(streams, child);
    if (record.config.tty) {
      container.attached.add(streams);
      await this.#untilOver(container, streams);
      container.attached.delete(streams);
      return;
    }
    // Output goes to files: follow them from where they are now.
    const follow = async (name: "stdout" | "stderr") => {
      const file = await fs.open(`${this.#dirOf(containerId)}/${name}`, {});
      let at = record.config.stdin ? 0 : await file.size();
      while (!streams.signal.aborted) {
        const over = record.finishedAt !== undefined;
        const data = await file.read(at, 65_536);
        at += data.length;
        if (data.length > 0) await (name === "stdout" ? streams.stdout(data) : streams.stderr(data));
        else if (over) break;
        else await pause(clock, 20, streams.signal);
      }
      await file.close();
    };
    await Promise.all([follow("stdout"), follow("stderr")]);
  }

  async #untilOver(container: Container, streams: ExecStreams): Promise<void> {
    const left = deferred();
    streams.signal.addEventListener("abort", () => left.resolve(), { once: true });
    await Promise.race([container.ended.promise, left.promise]);
  }

  async portForward(_sandboxId: string, port: number, stream: ByteStream): Promise<void> {
    const target = await this.#deps.net.connect({ host: "127.0.0.1", port });
    const copy = async (from: ByteStream, to: ByteStream) => {
      for await (const chunk of from) await to.write(chunk);
      to.end();
    };
    await Promise.allSettled([copy(stream, target), copy(target, stream)]);
    target.destroy();
  }

  // ---- CRI -----------------------------------------------------------------------------------------------------------------------------------

  #runtimeService(): Partial<Implementation<typeof RuntimeService>> {
    const matches = (labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>> = {}) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value);
    return {
      Version: () => ({
        version: "0.1.0",
        runtime_name: "process",
        runtime_version: "1.0.0",
        runtime_api_version: "v1",
      }),
      Status: () => ({
        status: {
          conditions: [
            { type: "RuntimeReady", status: true },
            { type: "NetworkReady", status: true },
          ],
        },
      }),
      RunPodSandbox: async ({ config }) => {
        if (config === undefined) throw new RpcError("InvalidArgument", "sandbox config must include metadata");
        const sandbox: Sandbox = { id: this.#newId(), config, createdAt: this.#now(), ready: true };
        this.#sandboxes.set(sandbox.id, sandbox);
        await this.#saveSandbox(sandbox);
        return { pod_sandbox_id: sandbox.id };
      },
      StopPodSandbox: async ({ pod_sandbox_id: id }) => {
        const sandbox = this.#sandboxes.get(id);
        if (sandbox === undefined) return {};
        await Promise.all(
          [...this.#containers.values()]
            .filter(({ record }) => record.sandboxId === id)
            .map(({ record }) => this.#stop(record.id, 0)),
        );
        sandbox.ready = false;
        await this.#saveSandbox(sandbox);
        this.#changed(id);
        return {};
      },
      RemovePodSandbox: async ({ pod_sandbox_id: id }) => {
        for (const { record } of this.#containers.values()) if (record.sandboxId === id) await this.#remove(record.id);
        this.#changed(id);
        this.#sandboxes.delete(id);
        await this.#deps.fs.remove(`${this.#options.dir}/sandboxes/${id}.json`);
        return {};
      },
      PodSandboxStatus: ({ pod_sandbox_id: id }) => {
        const { config, createdAt, ready } = this.#sandbox(id);
        return {
          status: {
            id,
            metadata: config.metadata,
            state: ready ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
            created_at: BigInt(createdAt),
            network: { ip: this.#options.address },
            linux: { namespaces: { options: { network: "NODE" } } },
            labels: config.labels,
            annotations: config.annotations,
          },
        };
      },
      ListPodSandbox: ({ filter }) => ({
        items: [...this.#sandboxes.values()]
          .filter(({ id, ready, config }) => {
            const state = filter?.state?.state;
            return (
              (!filter?.id || filter.id === id) &&
              (state === undefined || (state === "SANDBOX_READY") === ready) &&
              matches(config.labels, filter?.label_selector)
            );
          })
          .map(({ id, config, createdAt, ready }) => ({
            id,
            metadata: config.metadata,
            state: ready ? ("SANDBOX_READY" as const) : ("SANDBOX_NOTREADY" as const),
            created_at: BigInt(createdAt),
            labels: config.labels,
            annotations: config.annotations,
          })),
      }),
      CreateContainer: async ({ pod_sandbox_id: id, config, sandbox_config: sandboxConfig }) => {
        if (config === undefined) throw new RpcError("InvalidArgument", "container config must include metadata");
        return { container_id: await this.#create(id, config, sandboxConfig) };
      },
      StartContainer: async ({ container_id: id }) => {
        await this.#start(id);
        return {};
      },
      StopContainer: async ({ container_id: id, timeout }) => {
        if (this.#containers.has(id)) await this.#stop(id, timeout);
        return {};
      },
      RemoveContainer: async ({ container_id: id }) => {
        await this.#remove(id);
        return {};
      },
      ListContainers: ({ filter }) => ({
        containers: [...this.#containers.values()]
          .filter((container) => {
            const { record } = container;
            const state = filter?.state?.state;
            return (
              (!filter?.id || filter.id === record.id) &&
              (!filter?.pod_sandbox_id || filter.pod_sandbox_id === record.sandboxId) &&
              (state === undefined || state === stateOf(record)) &&
              matches(record.config.labels, filter?.label_selector)
            );
          })
          .map(({ record }) => ({
            id: record.id,
            pod_sandbox_id: record.sandboxId,
            metadata: record.config.metadata,
            image: record.config.image,
            image_ref: record.imageId,
            image_id: record.imageId,
            state: stateOf(record),
            created_at: BigInt(record.createdAt),
            labels: record.config.labels,
            annotations: record.config.annotations,
          })),
      }),
      ContainerStatus: ({ container_id: id }) => {
        const { record } = this.#container(id);
        return {
          status: {
            id,
            metadata: record.config.metadata,
            state: stateOf(record),
            created_at: BigInt(record.createdAt),
            started_at: BigInt(record.startedAt ?? 0),
            finished_at: BigInt(record.finishedAt ?? 0),
            exit_code: record.exitCode ?? 0,
            image: record.config.image,
            image_ref: record.imageId,
            image_id: record.imageId,
            reason: record.reason ?? "",
            message: record.message ?? "",
            labels: record.config.labels,
            annotations: record.config.annotations,
            mounts: record.config.mounts,
            log_path: record.logPath,
          },
        };
      },
      ExecSync: async ({ container_id: id, cmd, timeout }) => {
        const out: Uint8Array[] = [];
        const err: Uint8Array[] = [];
        const stop = new AbortController();
        using _timer =
          timeout > 0 ? this.#deps.clock.after(timeout * 1000, () => stop.abort()) : { [Symbol.dispose]() {} };
        const { exitCode } = await this.exec(id, cmd, false, {
          stdin: undefined,
          resizes: undefined,
          stdout: (data) => void out.push(data),
          stderr: (data) => void err.push(data),
          signal: stop.signal,
        });
        if (stop.signal.aborted) throw new RpcError("DeadlineExceeded", `command ${JSON.stringify(cmd)} timed out`);
        return { stdout: Buffer.concat(out), stderr: Buffer.concat(err), exit_code: exitCode };
      },
      ReopenContainerLog: () => ({}),
      UpdateContainerResources: () => ({}),
      UpdateRuntimeConfig: () => ({}),
      ContainerStats: async ({ container_id: id }) => ({ stats: await this.#stats(this.#container(id)) }),
      ListContainerStats: async ({ filter }) => {
        const wanted = [...this.#containers.values()].filter(
          ({ record }) => !filter?.pod_sandbox_id || filter.pod_sandbox_id === record.sandboxId,
        );
        return {
          stats: await Promise.all(
            wanted
              .filter(({ record }) => stateOf(record) === "CONTAINER_RUNNING")
              .map((container) => this.#stats(container)),
          ),
        };
      },
    };
  }

  async #saveSandbox(sandbox: Sandbox): Promise<void> {
    await this.#deps.fs.writeFile(`${this.#options.dir}/sandboxes/${sandbox.id}.json`, JSON.stringify(sandbox), {
      atomic: true,
    });
  }

  /** Of the process itself, from /proc; its children are not counted. */
  async #stats({ record, pid }: Container) {
    const { fs, clock } = this.#deps;
    const timestamp = BigInt(Math.floor(clock.now())) * 1_000_000n;
    const attributes = {
      id: record.id,
      metadata: record.config.metadata,
      labels: record.config.labels,
      annotations: record.config.annotations,
    };
    const path = `/proc/${pid}/stat`;
    if ((await fs.stat(path)) === undefined) return { attributes };
    const fields = Buffer.from(await fs.readFile(path))
      .toString()
      .replace(/^.*\) /s, "")
      .split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    const residentBytes = Number(fields[21]) * 4096;
    return {
      attributes,
      cpu: { timestamp, usage_core_nano_seconds: { value: ticks * 10_000_000 } },
      memory: { timestamp, working_set_bytes: { value: residentBytes }, rss_bytes: { value: residentBytes } },
    };
  }

  #imageService(): Partial<Implementation<typeof ImageService>> {
    const shown = (image: UnpackedImage) => ({
      id: image.id,
      repo_tags: image.names,
      size: image.sizeBytes,
      username: image.config.User ?? "",
    });
    return {
      ListImages: async () => ({ images: (await readImages(this.#deps, this.#options.imageDir)).map(shown) }),
      ImageStatus: async ({ image }) => {
        const name = image?.image ?? "";
        const loaded = await this.#image(name);
        if (loaded !== undefined) return { image: shown(loaded) };
        return this.#hostImages.has(name) ? { image: { id: name, repo_tags: [name], size: 0 } } : {};
      },
      PullImage: async ({ image }) => {
        const name = image?.image ?? "";
        const loaded = await this.#image(name);
        // Nothing is fetched: a name that isn't loaded stands for this machine's own files.
        if (loaded === undefined) this.#hostImages.add(name);
        return { image_ref: loaded?.id ?? name };
      },
      RemoveImage: async ({ image }) => {
        const name = image?.image ?? "";
        const loaded = await this.#image(name);
        this.#hostImages.delete(name);
        if (loaded !== undefined) await removeImage(this.#deps, this.#options.imageDir, loaded.id);
        return {};
      },
      ImageFsInfo: async () => {
        const { sizeBytes, freeBytes, files, filesFree } = await this.#deps.fs.statfs(this.#options.dir);
        const filesystem: Init<{ fs_id: { mountpoint: string } }> & object = {
          fs_id: { mountpoint: this.#options.imageDir },
        };
        return {
          image_filesystems: [
            {
              ...filesystem,
              timestamp: BigInt(Math.floor(this.#deps.clock.now())) * 1_000_000n,
              used_bytes: { value: sizeBytes - freeBytes },
              inodes_used: { value: files - filesFree },
            },
          ],
        };
      },
    };
  }
}

function stateOf(record: ContainerRecord): "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" {
  if (record.finishedAt !== undefined) return "CONTAINER_EXITED";
  return record.startedAt === undefined ? "CONTAINER_CREATED" : "CONTAINER_RUNNING";
}
