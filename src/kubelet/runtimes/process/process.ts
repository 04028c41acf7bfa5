/**
 * Containers as processes of this machine, behind CRI: for machines without root or containerd, and for several nodes on one. A container gets mount,
 * pid and host name namespaces and a root of its own over its image (as root, or in a user namespace where the kernel allows it); without a loaded
 * image, over this machine's own files. As root with `ip` and `iptables` at hand each pod has a network of its own with an address of the node's
 * `podCIDR`; otherwise pods share the machine's network, their address is the node's, and two that listen on one port clash.
 * What runs survives us and is taken over by the next start; all of it is in files below `dir`. Weaker than a real runtime: no cgroups (so no limits),
 * no seccomp, and a container with a terminal dies with us, since its terminal is ours.
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
import { ownerOf } from "./identity.ts";
import {
  capabilitiesOf,
  enter,
  type Identity,
  type Isolation,
  launch,
  NOT_STARTED,
  type Launch,
  parseStat,
  type Programs,
  startError,
} from "./launch.ts";
import { type LogPump, pumpLogs } from "./log-pump.ts";
import { createPodNetwork, type PodNetwork } from "./network.ts";

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

export interface ProcessRuntime extends Component {
  readonly runtime: Runtime;
}

type Deps = Pick<World, "fs" | "host" | "clock" | "random" | "net"> & { readonly log: Logger };

interface Sandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly createdAt: string;
  /** Of its own; undefined on the machine's network. */
  address?: string;
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
  readonly identity?: Identity;
  startedAt?: string;
  /** The process group that it was started in. */
  group?: number;
  finishedAt?: string;
  exitCode?: number;
  reason?: string;
  message?: string;
}
interface Container {
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

const STOP_GRACE_SECONDS = 2;
/** For the client's half of a forwarded connection after the end of the pod's, as containerd. */
const FORWARD_GRACE_MS = 1000;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SIGNALS: Readonly<Record<string, string>> = { "": "SIGTERM", RUNTIME_DEFAULT: "SIGTERM" };

/** Why pods can't have networks of their own here, or undefined. */
export async function noPodNetworks({ host }: Pick<World, "host">): Promise<string | undefined> {
  if (host.platform !== "linux") return "network namespaces need Linux";
  if (host.uid !== 0) return "network namespaces need root";
  for (const program of ["ip", "iptables", "iptables-restore", "nsenter", "unshare"])
    if ((await host.which(program)) === undefined) return `${program} is not installed`;
  const { code, stderr } = await host.exec("unshare", ["--mount", "--net", "iptables", "-w", "5", "-t", "nat", "-S"]);
  return code === 0 ? undefined : Buffer.from(stderr).toString().trim();
}

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
  #programs: Programs = {
    sh: "/bin/sh",
    unshare: "unshare",
    nsenter: "nsenter",
    setpriv: "setpriv",
    setsid: "setsid",
    script: undefined,
  };
  #isolation: Isolation = "none";
  #network: PodNetwork | undefined;
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
    this.#programs = {
      sh: await which("sh"),
      unshare: await which("unshare"),
      nsenter: await which("nsenter"),
      setpriv: await which("setpriv"),
      setsid: await which("setsid"),
      script: await host.which("script"),
    };
    this.#isolation = await this.#probeIsolation();
    this.#network = await this.#probeNetwork();
    for (const folder of ["sandboxes", "containers"])
      await fs.mkdir(`${this.#options.dir}/${folder}`, { recursive: true });
    await this.#adopt();
    log.info("Containers run as processes", {
      isolation: this.#isolation,
      network: this.#network === undefined ? "host" : "pod",
    });
    ready();
    const stopped = deferred();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    if (!signal.aborted) await stopped.promise;
    this.#stopping = true;
    await Promise.all([...this.#containers.keys()].map((id) => this.#stop(id, STOP_GRACE_SECONDS)));
    for (const container of this.#containers.values()) await container.pump?.finish();
    if (this.#network !== undefined) {
      for (const { id, config } of this.#sandboxes.values()) await this.#network.remove(id, config.port_mappings);
      await this.#network.close();
    }
    await this.#removeFiles(this.#options.dir);
  }

  /** In a user namespace, files may belong to users that only it has, and folders be closed to all but its root. */
  async #removeFiles(path: string): Promise<void> {
    const { fs, host } = this.#deps;
    if (this.#isolation === "user")
      await host.exec(this.#programs.unshare, ["--user", "--map-root-user", "rm", "-rf", path]);
    await fs.remove(path);
  }

  async #probeNetwork(): Promise<PodNetwork | undefined> {
    const { dir, clusterCidr } = this.#options;
    if (this.#isolation !== "root" || clusterCidr === undefined) return undefined;
    if ((await noPodNetworks(this.#deps)) !== undefined) return undefined;
    return createPodNetwork({ dir, clusterCidr }, this.#deps);
  }

  async #probeIsolation(): Promise<Isolation> {
    const { fs, host } = this.#deps;
    if (
      host.platform !== "linux" ||
      (await host.which("unshare")) === undefined ||
      (await host.which("nsenter")) === undefined
    )
      return "none";
    const probe = `${this.#options.dir}/probe`;
    const works = async (extra: string, ...args: string[]) => {
      for (const folder of ["lower", "upper", "work", "root"])
        await fs.mkdir(`${probe}/${folder}`, { recursive: true });
      const mount = `cd "$0" && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work${extra} root`;
      const namespaces = ["--mount", "--propagation", "private", "--uts", "--pid", "--fork"];
      const { code } = await host.exec(this.#programs.unshare, [...args, ...namespaces, "sh", "-c", mount, probe]);
      return code === 0;
    };
    try {
      if (host.uid === 0 && (await works(""))) return "root";
      if (!(await works(",userxattr", "--user", "--map-root-user"))) return "none";
      this.#isolation = "user"; // The probe's files have to be removed its way.
      return "user";
    } finally {
      await this.#removeFiles(probe);
    }
  }

  /** What an earlier process left: those still alive go on under us, the others have ended. */
  async #adopt(): Promise<void> {
    const { fs } = this.#deps;
    const read = async <T>(path: string): Promise<T> =>
      JSON.parse(Buffer.from(await fs.readFile(path)).toString()) as T;
    for (const name of await fs.list(`${this.#options.dir}/sandboxes`)) {
      if (!name.endsWith(".json")) continue;
      const sandbox = await read<Sandbox>(`${this.#options.dir}/sandboxes/${name}`);
      this.#sandboxes.set(sandbox.id, sandbox);
      if (sandbox.address === undefined || this.#network === undefined) continue;
      if (await this.#network.exists(sandbox.id)) this.#network.keep(sandbox.id, sandbox.address);
      else sandbox.ready = false;
    }
    for (const id of await fs.list(`${this.#options.dir}/containers`)) {
      if ((await fs.stat(`${this.#dirOf(id)}/record.json`)) === undefined) {
        await fs.remove(this.#dirOf(id));
        continue;
      }
      const container: Container = {
        record: await read<ContainerRecord>(`${this.#dirOf(id)}/record.json`),
        pid: undefined,
        started: "",
        process: undefined,
        pump: undefined,
        ended: deferred(),
        attached: new Set(),
      };
      this.#containers.set(id, container);
      if (container.record.finishedAt !== undefined) {
        container.ended.resolve();
        continue;
      }
      const known = await this.#readPid(container);
      // Killed between starting a process and noting it: the process counts.
      if (known) container.record.startedAt ??= container.record.createdAt;
      if (container.record.startedAt === undefined) continue;
      container.pump = this.#pump(container);
      void this.#watchAdopted(container);
    }
  }

  async #watchAdopted(container: Container): Promise<void> {
    const { clock, fs } = this.#deps;
    let changed = new AbortController();
    {
      using _watch = fs.watch(this.#dirOf(container.record.id), () => changed.abort());
      while (!(await this.#exitKnown(container)) && (await this.#lives(container))) {
        await pause(clock, 1000, changed.signal);
        if (!changed.signal.aborted) continue;
        await pause(clock, 50, new AbortController().signal);
        changed = new AbortController();
      }
    }
    // The shell writes the exit code just after the end.
    for (let i = 0; i < 10 && !(await this.#exitKnown(container)); i++)
      await pause(clock, 20, new AbortController().signal);
    await this.#finish(container);
  }

  /** Files of a single line are whole when they end in a newline. */
  async #readLine(path: string): Promise<string | undefined> {
    const { fs } = this.#deps;
    if ((await fs.stat(path)) === undefined) return undefined;
    const text = Buffer.from(await fs.readFile(path)).toString();
    return text.endsWith("\n") ? text.trimEnd() : undefined;
  }

  async #readPid(container: Container): Promise<boolean> {
    const line = await this.#readLine(`${this.#dirOf(container.record.id)}/pid`);
    if (line === undefined) return false;
    const { pid, started, group } = parseStat(line);
    container.pid = pid;
    container.started = started;
    container.record.group ??= group;
    return true;
  }

  async #exitKnown({ record }: Container): Promise<boolean> {
    return (await this.#readLine(`${this.#dirOf(record.id)}/exit`)) !== undefined;
  }

  /** Whether the container's own process is there, and not another one with its pid. */
  async #lives({ pid, started }: Container): Promise<boolean> {
    const { fs, host } = this.#deps;
    if (pid === undefined || !host.kill(pid, 0)) return false;
    if (started === "") return true;
    const stat = await fs.readFile(`/proc/${pid}/stat`).catch(() => undefined);
    return stat !== undefined && parseStat(Buffer.from(stat).toString()).started === started;
  }

  /** Signals the container's process, if it is still that one. */
  async #signal(container: Container, signal: string): Promise<void> {
    if (await this.#lives(container)) this.#deps.host.kill(container.pid!, signal);
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
    const identity = await this.#identity(config, image);
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
        ...(identity && { identity }),
      },
      pid: undefined,
      started: "",
      process: undefined,
      pump: undefined,
      ended: deferred(),
      attached: new Set(),
    };
    this.#containers.set(id, container);
    await this.#save(container);
    return id;
  }

  async #identity(config: ContainerConfig, image: UnpackedImage | undefined): Promise<Identity | undefined> {
    if (this.#isolation !== "root") return undefined;
    const security = config.linux?.security_context;
    const read = (name: string) => this.#deps.fs.readFile(`${image?.root ?? ""}/etc/${name}`).catch(() => Buffer.of());
    return ownerOf(
      {
        uid: security?.run_as_user && Number(security.run_as_user.value),
        gid: security?.run_as_group && Number(security.run_as_group.value),
        username: security?.run_as_username ?? "",
        imageUser: image?.config.User ?? "",
        supplementalGroups: (security?.supplemental_groups ?? []).map(Number),
      },
      Buffer.from(await read("passwd")).toString(),
      Buffer.from(await read("group")).toString(),
    );
  }

  async #start(id: string): Promise<void> {
    const { fs, host, clock } = this.#deps;
    const container = this.#container(id);
    const { record } = container;
    const dir = this.#dirOf(id);
    const image = await this.#image(record.config.image?.image ?? "");
    const sandbox = this.#sandbox(record.sandboxId);
    const mounts = await Promise.all(
      [...(await this.#sandboxFiles(sandbox, record.config)), ...record.config.mounts].map(
        async ({ host_path: source, container_path: target, readonly }) => ({
          source,
          target,
          readonly,
          file: ((await fs.stat(source))?.kind ?? "dir") !== "dir",
        }),
      ),
    );
    const plan: Launch = {
      id,
      dir,
      lower: image?.root ?? "/",
      mounts,
      command: record.command,
      workingDir: record.workingDir,
      environment: { ...record.environment, ...(record.config.tty && { TERM: "xterm" }) },
      identity: record.identity,
      tty: record.config.tty,
      ...this.#privileges(record),
      hostname: sandbox.config.hostname,
      network: sandbox.address === undefined ? undefined : this.#network?.pathOf(sandbox.id),
      readonlyRoot: record.config.linux?.security_context?.readonly_rootfs ?? false,
      isolation: this.#isolation,
    };
    const { command, args, script } = launch(plan, this.#programs);
    await fs.writeFile(`${dir}/start`, script, { mode: 0o600 });
    const env = { PATH: host.environment["PATH"] ?? DEFAULT_PATH };
    const files = { stdoutFile: `${dir}/stdout`, stderrFile: `${dir}/stderr` };
    await fs.writeFile(files.stdoutFile, "");
    await fs.writeFile(files.stderrFile, "");
    const child = record.config.tty
      ? host.spawn(command, args, { env, tty: { columns: 80, rows: 24 } })
      : host.spawn(command, args, { env, detached: true, ...files });
    container.process = child;
    record.group = child.pid;
    record.startedAt = this.#now();
    if (!record.config.stdin && !record.config.tty) child.closeStdin();
    const terminal = record.config.tty ? this.#copyTerminal(container, child, files.stdoutFile) : undefined;
    let over = false;
    const exited = child.exited.then(
      () => {},
      (error: unknown) => {
        record.message = error instanceof Error ? error.message : String(error);
      },
    );
    void exited.then(() => {
      over = true;
    });
    while (!over && !(await this.#commandRuns(container))) await pause(clock, 2, new AbortController().signal);
    if (over) {
      await terminal;
      const why = await this.#whyNotStarted(container);
      if (why !== undefined) {
        record.finishedAt = this.#now();
        record.exitCode = 128;
        record.reason = "StartError";
        record.message = why;
        await this.#save(container);
        container.ended.resolve();
        this.#changed(record.sandboxId);
        throw new RpcError("Unknown", why);
      }
      await this.#readPid(container);
    }
    container.pump = this.#pump(container);
    await this.#save(container);
    void exited.then(async () => {
      await terminal;
      await this.#finish(container);
    });
    this.#changed(record.sandboxId);
  }

  #privileges({ config }: ContainerRecord) {
    const security = config.linux?.security_context;
    const privileged = security?.privileged ?? false;
    const { add_capabilities: added = [], drop_capabilities: dropped = [] } = security?.capabilities ?? {};
    return {
      privileged,
      capabilities: privileged ? undefined : capabilitiesOf(added, dropped),
      noNewPrivileges: security?.no_new_privs ?? false,
    };
  }

  /** Whether the shell has become the command: until then its arguments name the container. */
  async #commandRuns(container: Container): Promise<boolean> {
    if (!(await this.#readPid(container))) return false;
    if (this.#isolation === "none") return true;
    const line = await this.#deps.fs.readFile(`/proc/${container.pid}/cmdline`).catch(() => undefined);
    // One that is ending has no arguments; `over` tells soon.
    return line !== undefined && line.length > 0 && !Buffer.from(line).includes(container.record.id);
  }

  /** After the end: undefined where the command itself ended. */
  async #whyNotStarted(container: Container): Promise<string | undefined> {
    const { fs } = this.#deps;
    const { record } = container;
    const dir = this.#dirOf(record.id);
    if (record.message !== undefined) return `failed to start container: ${record.message}`;
    const said = Buffer.from(await fs.readFile(`${dir}/${record.config.tty ? "stdout" : "stderr"}`)).toString();
    const code = await this.#readLine(`${dir}/exit`);
    if (code === undefined) return `failed to start container: ${said.trim()}`;
    const why = startError(Number(code), said, record.command);
    return why === undefined
      ? undefined
      : `failed to create containerd task: failed to create shim task: OCI runtime create failed: unable to start container process: error during container init: ${why}`;
  }

  /** What a runtime puts into a pod's containers by itself. On the machine's network, names are resolved as the machine does it. */
  async #sandboxFiles(sandbox: Sandbox, { mounts }: ContainerConfig) {
    const dns = sandbox.config.dns_config;
    if (sandbox.address === undefined || dns === undefined) return [];
    if (mounts.some(({ container_path: path }) => path === "/etc/resolv.conf")) return [];
    const source = `${this.#options.dir}/sandboxes/${sandbox.id}.resolv.conf`;
    const text = [
      ...(dns.searches.length > 0 ? [`search ${dns.searches.join(" ")}`] : []),
      ...dns.servers.map((server) => `nameserver ${server}`),
      ...(dns.options.length > 0 ? [`options ${dns.options.join(" ")}`] : []),
    ];
    await this.#deps.fs.writeFile(source, `${text.join("\n")}\n`, { mode: 0o644 });
    return [{ host_path: source, container_path: "/etc/resolv.conf", readonly: false }];
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
    const { log } = this.#deps;
    const { record } = container;
    if (record.finishedAt !== undefined) return;
    const code = await this.#readLine(`${this.#dirOf(record.id)}/exit`);
    const known = code !== undefined;
    const finishedAt = this.#now();
    // Its log is whole before anybody hears of the end: who follows it stops there.
    await container.pump
      ?.finish()
      .catch((error: unknown) => log.error("Failed to write a container's log", error, { path: record.logPath }));
    container.pump = undefined;
    record.exitCode = known ? Number(code) : 255;
    record.finishedAt = finishedAt;
    record.reason = record.exitCode === 0 ? "Completed" : known ? "Error" : "Unknown";
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
      await this.#signal(container, signal);
      const over = deferred();
      using _timer = clock.after(graceSeconds * 1000, () => over.resolve());
      await Promise.race([container.ended.promise, over.promise]);
    }
    if (container.record.finishedAt === undefined) {
      await this.#signal(container, "SIGKILL");
      await container.ended.promise;
    }
    // Whatever it started and left: a pid namespace has ended with it, without one they are all of the group that was made for it.
    const { group } = container.record;
    if (group === undefined || container.record.config.tty) return;
    for (let i = 0; i < 50 && host.kill(-group, 0); i++) {
      if (this.#isolation === "none" || i > 25) host.kill(-group, "SIGKILL");
      await pause(clock, 2, new AbortController().signal);
    }
  }

  async #remove(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await this.#stop(id, 0);
    await container.pump?.finish();
    this.#containers.delete(id);
    await this.#removeFiles(this.#dirOf(id));
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
    const { workingDir, identity } = container.record;
    const entered = enter(
      container.pid,
      command,
      {
        dir: this.#dirOf(containerId),
        workingDir,
        identity,
        tty,
        isolation: this.#isolation,
        ...this.#privileges(container.record),
      },
      this.#programs,
    );
    const env = { ...container.record.environment, ...(tty && { TERM: "xterm" }) };
    const child = host.spawn(entered.command, entered.args, {
      env,
      ...(tty ? { tty: { columns: 80, rows: 24 } } : { detached: true }),
    });
    // nsenter waits for the command in a pid namespace: both are of one group.
    const onAbort = () => void host.kill(-child.pid, "SIGKILL");
    streams.signal.addEventListener("abort", onAbort, { once: true });
    void this.#feed(streams, child, true);
    // What the last program before the command says about a command that isn't there is for us: it is held back until it is clear who speaks.
    let held = "";
    const copy = async (
      from: AsyncIterable<Uint8Array> | undefined,
      to: (data: Uint8Array) => void | Promise<void>,
      begun: boolean,
    ) => {
      for await (const chunk of from ?? []) {
        if (!begun) {
          const said = held + Buffer.from(chunk).toString("latin1");
          if (NOT_STARTED.startsWith(said.slice(0, NOT_STARTED.length))) {
            held = said;
            continue;
          }
          if (held !== "") await to(Buffer.from(held, "latin1"));
          held = "";
          begun = true;
        }
        await to(chunk);
      }
    };
    await Promise.all([
      copy(child.stdout, (data) => streams.stdout(data), !tty),
      copy(child.stderr, (data) => streams.stderr(data), false),
    ]);
    const { code } = await child.exited;
    streams.signal.removeEventListener("abort", onAbort);
    const why = startError(code, held, command);
    if (why !== undefined)
      throw new RpcError(
        "Unknown",
        `failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: ${why}`,
      );
    if (held !== "") await (tty ? streams.stdout : streams.stderr)(Buffer.from(held, "latin1"));
    return { exitCode: code };
  }

  /** `once`: its input ends with that of the client, for nobody else comes. */
  async #feed(streams: ExecStreams, child: Process, once: boolean): Promise<void> {
    void (async () => {
      for await (const { columns, rows } of streams.resizes ?? []) child.resize(columns, rows);
    })().catch(() => {});
    try {
      for await (const chunk of streams.stdin ?? []) await child.write(chunk);
      if (once) child.closeStdin();
    } catch {
      // The program has ended: nobody reads what is typed.
    }
  }

  async attach(containerId: string, streams: ExecStreams): Promise<void> {
    const { fs, clock } = this.#deps;
    const container = this.#container(containerId);
    const { process: child, record } = container;
    const { stdin, stdin_once, tty } = record.config;
    if (stdin && child !== undefined) void this.#feed(streams, child, stdin_once && !tty);
    if (tty) {
      container.attached.add(streams);
      await this.#untilOver(container, streams);
      container.attached.delete(streams);
      return;
    }
    // Output goes to files: follow them from where they are now.
    const follow = async (name: "stdout" | "stderr") => {
      const file = await fs.open(`${this.#dirOf(containerId)}/${name}`, {});
      let at = stdin ? 0 : await file.size();
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

  async portForward(sandboxId: string, port: number, stream: ByteStream): Promise<void> {
    const { address } = this.#sandbox(sandboxId);
    const target =
      address === undefined
        ? await this.#deps.net.connect({ host: "127.0.0.1", port })
        : await this.#deps.net.connect({ host: address, port }).catch(() => undefined);
    if (target === undefined) return this.#forwardToLoopback(sandboxId, port, stream);
    const copy = async (from: ByteStream, to: ByteStream) => {
      for await (const chunk of from) await to.write(chunk);
      to.end();
    };
    const sent = new AbortController();
    void copy(stream, target)
      .catch(() => {})
      .then(() => sent.abort());
    await copy(target, stream).catch(() => {});
    // Some clients have no way to end their half, and wait for ours to end the whole.
    await pause(this.#deps.clock, FORWARD_GRACE_MS, sent.signal);
    target.destroy();
  }

  /** To a server that listens on its pod's own 127.0.0.1 only: by a program that joins the pod's network. */
  async #forwardToLoopback(sandboxId: string, port: number, stream: ByteStream): Promise<void> {
    const script = `
      const { exit, stdin, stdout, stderr } = process;
      const socket = require("node:net").connect({ host: "127.0.0.1", port: ${port}, allowHalfOpen: true });
      socket.on("error", (error) => { stderr.write(error.message); exit(1); });
      socket.pipe(stdout);
      stdin.pipe(socket);
      stdout.on("error", () => exit());`;
    const network = this.#network!.pathOf(sandboxId);
    const child = this.#deps.host.spawn(this.#programs.nsenter, [`--net=${network}`, process.execPath, "-e", script]);
    let said = "";
    const feed = async () => {
      for await (const chunk of stream) await child.write(chunk);
      child.closeStdin();
    };
    // The input of a client that can't end its half outlives the program.
    feed().catch(() => {});
    await Promise.allSettled([
      (async () => {
        for await (const chunk of child.stdout ?? []) await stream.write(chunk);
        stream.end();
        const gone = new AbortController();
        void child.exited.then(() => gone.abort());
        await pause(this.#deps.clock, FORWARD_GRACE_MS, gone.signal);
        child.closeStdin();
      })(),
      (async () => {
        for await (const chunk of child.stderr ?? []) said += Buffer.from(chunk).toString();
        stream.end();
      })(),
    ]);
    const { code } = await child.exited;
    if (code !== 0) throw new Error(`failed to connect to localhost:${port} inside the pod: ${said}`);
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
            this.#network === undefined || this.#network.ready()
              ? { type: "NetworkReady", status: true }
              : {
                  type: "NetworkReady",
                  status: false,
                  reason: "NetworkPluginNotReady",
                  message: "Network plugin returns error: cni plugin not initialized",
                },
          ],
        },
      }),
      RunPodSandbox: async ({ config }) => {
        if (config === undefined) throw new RpcError("InvalidArgument", "sandbox config must include metadata");
        const sandbox: Sandbox = { id: this.#newId(), config, createdAt: this.#now(), ready: true };
        const network = config.linux?.security_context?.namespace_options?.network;
        if (this.#network !== undefined && network !== "NODE")
          sandbox.address = await this.#network.add(sandbox.id, config.port_mappings);
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
        if (sandbox.address !== undefined) await this.#network?.remove(id, sandbox.config.port_mappings);
        this.#changed(id);
        return {};
      },
      RemovePodSandbox: async ({ pod_sandbox_id: id }) => {
        for (const { record } of this.#containers.values()) if (record.sandboxId === id) await this.#remove(record.id);
        this.#changed(id);
        const sandbox = this.#sandboxes.get(id);
        if (sandbox?.address !== undefined) await this.#network?.remove(id, sandbox.config.port_mappings);
        this.#sandboxes.delete(id);
        await this.#deps.fs.remove(`${this.#options.dir}/sandboxes/${id}.resolv.conf`);
        await this.#deps.fs.remove(`${this.#options.dir}/sandboxes/${id}.json`);
        return {};
      },
      PodSandboxStatus: ({ pod_sandbox_id: id }) => {
        const { config, createdAt, ready, address } = this.#sandbox(id);
        return {
          status: {
            id,
            metadata: config.metadata,
            state: ready ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
            created_at: BigInt(createdAt),
            network: { ip: ready ? (address ?? this.#options.address) : "" },
            linux: { namespaces: { options: config.linux?.security_context?.namespace_options } },
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
      UpdateRuntimeConfig: async ({ runtime_config: config }) => {
        await this.#network?.setPodCidr(config?.network_config?.pod_cidr ?? "");
        return {};
      },
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
