/**
 * A container runtime without containers: CRI calls are answered from declared scripts, so that thousands of nodes fit in one process. It keeps a
 * small record for each sandbox and container, and runs a timer only while something is about to change its state.
 */
import type {
  ContainerConfig,
  ContainerState,
  ImageService,
  LinuxContainerResources,
  PodSandboxConfig,
  RuntimeService,
} from "../../../protocols/cri/generated.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import type { Implementation, Init } from "../../../wire/rpc/service.ts";
import { sleep } from "../../../world/time.ts";
import type { World } from "../../../world/world.ts";
import { CONTAINER_NAME, POD_UID } from "../../keys.ts";
import type { ExecStreams, LogLine, LogSource, StreamingRuntime } from "../runtime.ts";
import { addressAt } from "./addresses.ts";
import { durationMs, imageName, imageQuery, runShell, scriptOf, SCRIPT_ANNOTATION } from "./script.ts";
import type { Script } from "./script.ts";

export interface SimulatedOptions {
  /** Where pod addresses come from before the node has its own range. Without it the network is not ready until then. */
  readonly podCidr?: string;
  readonly latencies?: {
    readonly sandboxMs?: number;
    readonly pullMs?: number;
    readonly startMs?: number;
    readonly stopMs?: number;
  };
  /** Lines kept of each container's log. */
  readonly logLinesMax?: number;
}

interface Sandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  readonly createdAt: bigint;
  ready: boolean;
  ip: string;
}

interface Container {
  readonly id: string;
  readonly sandbox: Sandbox;
  readonly config: ContainerConfig;
  readonly script: Script;
  readonly createdAt: bigint;
  state: ContainerState;
  startedAt: bigint;
  finishedAt: bigint;
  exitCode: number;
  reason: string;
  lines: LogLine[];
  /** Waiting for an end, or for more of the log. */
  readonly waiting: Set<() => void>;
  exit: Disposable | undefined;
  resources: Init<LinuxContainerResources> | undefined;
}

const NO_NETWORK = "Network plugin returns error: cni plugin not initialized";
const SIGTERM_EXIT = 143;
const SIGKILL_EXIT = 137;

export class SimulatedRuntime implements StreamingRuntime, LogSource {
  readonly #world: Pick<World, "clock" | "random">;
  readonly #options: SimulatedOptions;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #containers = new Map<string, Container>();
  readonly #images = new Set<string>();
  readonly #addresses = new Set<string>();
  readonly #listeners = new Set<(podUid: string) => void>();
  #podCidr: string | undefined;

  constructor(world: Pick<World, "clock" | "random">, options: SimulatedOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.#podCidr = options.podCidr;
  }

  subscribe(onChange: (podUid: string) => void): Disposable {
    this.#listeners.add(onChange);
    return { [Symbol.dispose]: () => void this.#listeners.delete(onChange) };
  }

  /** The pods of which a container runs now. */
  running(): readonly { readonly namespace: string; readonly name: string; readonly uid: string }[] {
    const pods = new Map<string, { readonly namespace: string; readonly name: string; readonly uid: string }>();
    for (const { state, sandbox } of this.#containers.values()) {
      const metadata = sandbox.config.metadata;
      if (state === "CONTAINER_RUNNING" && metadata !== undefined) pods.set(metadata.uid, metadata);
    }
    return [...pods.values()];
  }

  readonly runtimeService: Implementation<typeof RuntimeService> = {
    Version: () => ({
      version: "0.1.0",
      runtime_name: "simulated",
      runtime_version: "1.0.0",
      runtime_api_version: "v1",
    }),
    Status: () => ({
      status: {
        conditions: [
          { type: "RuntimeReady", status: true, reason: "", message: "" },
          this.#podCidr === undefined
            ? { type: "NetworkReady", status: false, reason: "NetworkPluginNotReady", message: NO_NETWORK }
            : { type: "NetworkReady", status: true, reason: "", message: "" },
        ],
      },
      runtime_handlers: [{ name: "", features: { recursive_read_only_mounts: true, user_namespaces: true } }],
      features: { supplemental_groups_policy: true },
    }),
    RuntimeConfig: () => ({ linux: { cgroup_driver: "CGROUPFS" } }),
    UpdateRuntimeConfig: ({ runtime_config }) => {
      const cidr = runtime_config?.network_config?.pod_cidr ?? "";
      if (cidr !== "") this.#podCidr = cidr.split(",")[0]!;
      return {};
    },

    RunPodSandbox: async ({ config, runtime_handler }) => {
      if (config === undefined) throw new RpcError("InvalidArgument", "sandbox config is missing");
      await this.#latency(this.#options.latencies?.sandboxMs);
      const sandbox: Sandbox = {
        id: this.#id(),
        config,
        runtimeHandler: runtime_handler,
        createdAt: this.#now(),
        ready: true,
        ip: config.linux?.security_context?.namespace_options?.network === "NODE" ? "" : this.#takeAddress(),
      };
      this.#sandboxes.set(sandbox.id, sandbox);
      this.#changed(sandbox);
      return { pod_sandbox_id: sandbox.id };
    },
    StopPodSandbox: ({ pod_sandbox_id }) => {
      const sandbox = this.#sandboxes.get(pod_sandbox_id);
      if (sandbox === undefined) return {};
      for (const container of this.#containers.values())
        if (container.sandbox === sandbox && container.state === "CONTAINER_RUNNING")
          this.#end(container, SIGKILL_EXIT);
      if (sandbox.ready) {
        sandbox.ready = false;
        this.#addresses.delete(sandbox.ip);
        sandbox.ip = "";
        this.#changed(sandbox);
      }
      return {};
    },
    RemovePodSandbox: ({ pod_sandbox_id }) => {
      const sandbox = this.#sandboxes.get(pod_sandbox_id);
      if (sandbox === undefined) return {};
      for (const container of this.#containers.values()) if (container.sandbox === sandbox) this.#remove(container);
      this.#addresses.delete(sandbox.ip);
      this.#sandboxes.delete(sandbox.id);
      return {};
    },
    PodSandboxStatus: ({ pod_sandbox_id }) => {
      const sandbox = this.#sandbox(pod_sandbox_id);
      return {
        status: {
          ...listed(sandbox),
          ...(sandbox.ip !== "" && { network: { ip: sandbox.ip } }),
          linux: { namespaces: { options: sandbox.config.linux?.security_context?.namespace_options } },
        },
      };
    },
    ListPodSandbox: ({ filter }) => ({
      items: [...this.#sandboxes.values()]
        .filter(
          (sandbox) =>
            (filter === undefined || filter.id === "" || filter.id === sandbox.id) &&
            (filter?.state === undefined || (filter.state.state === "SANDBOX_READY") === sandbox.ready) &&
            selects(filter?.label_selector, sandbox.config.labels),
        )
        .map(listed),
    }),

    CreateContainer: ({ pod_sandbox_id, config }) => {
      const sandbox = this.#sandbox(pod_sandbox_id);
      if (config === undefined) throw new RpcError("InvalidArgument", "container config is missing");
      const image = config.image?.user_specified_image ?? "";
      const container: Container = {
        id: this.#id(),
        sandbox,
        config,
        script: scriptOf({
          image: image === "" ? (config.image?.image ?? "") : image,
          annotation: sandbox.config.annotations[`${SCRIPT_ANNOTATION}${config.metadata?.name ?? ""}`],
          command: [...config.command, ...config.args],
        }),
        createdAt: this.#now(),
        state: "CONTAINER_CREATED",
        startedAt: 0n,
        finishedAt: 0n,
        exitCode: 0,
        reason: "",
        lines: [],
        waiting: new Set(),
        exit: undefined,
        resources: config.linux?.resources,
      };
      this.#containers.set(container.id, container);
      return { container_id: container.id };
    },
    StartContainer: async ({ container_id }) => {
      const container = this.#container(container_id);
      await this.#latency(container.script.startMs || this.#options.latencies?.startMs);
      if (container.state !== "CONTAINER_CREATED")
        throw new RpcError("FailedPrecondition", `container ${container_id} is in ${container.state} state`);
      container.state = "CONTAINER_RUNNING";
      container.startedAt = this.#now();
      for (const line of container.script.log) this.#write(container, line);
      const { exitCode, afterMs } = container.script;
      if (exitCode !== undefined)
        container.exit = this.#world.clock.after(afterMs, () => this.#end(container, exitCode));
      this.#changed(container.sandbox);
      return {};
    },
    StopContainer: async ({ container_id, timeout }) => {
      const container = this.#containers.get(container_id);
      if (container === undefined || container.state !== "CONTAINER_RUNNING") return {};
      const { stopMs } = container.script;
      const wanted = stopMs === undefined ? Infinity : stopMs || (this.#options.latencies?.stopMs ?? 0);
      const graceMs = timeout * 1000;
      await this.#latency(Math.min(wanted, graceMs));
      this.#end(container, wanted <= graceMs ? SIGTERM_EXIT : SIGKILL_EXIT);
      return {};
    },
    RemoveContainer: ({ container_id }) => {
      const container = this.#containers.get(container_id);
      if (container !== undefined) this.#remove(container);
      return {};
    },
    ListContainers: ({ filter }) => {
      const containers = [];
      for (const container of this.#containers.values()) {
        if (filter !== undefined) {
          if (filter.id !== "" && filter.id !== container.id) continue;
          if (filter.pod_sandbox_id !== "" && filter.pod_sandbox_id !== container.sandbox.id) continue;
          if (filter.state !== undefined && filter.state.state !== container.state) continue;
          if (!selects(filter.label_selector, container.config.labels)) continue;
        }
        const { config } = container;
        containers.push({
          id: container.id,
          pod_sandbox_id: container.sandbox.id,
          metadata: config.metadata,
          image: config.image,
          image_ref: config.image?.image ?? "",
          image_id: config.image?.image ?? "",
          state: container.state,
          created_at: container.createdAt,
          labels: config.labels,
          annotations: config.annotations,
        });
      }
      return { containers };
    },
    ContainerStatus: ({ container_id }) => {
      const container = this.#container(container_id);
      const { config } = container;
      const image = config.image?.user_specified_image ?? "";
      return {
        status: {
          id: container.id,
          metadata: config.metadata,
          state: container.state,
          created_at: container.createdAt,
          started_at: container.startedAt,
          finished_at: container.finishedAt,
          exit_code: container.exitCode,
          image: { image: image === "" ? (config.image?.image ?? "") : image },
          image_ref: config.image?.image ?? "",
          image_id: config.image?.image ?? "",
          reason: container.reason,
          labels: config.labels,
          annotations: config.annotations,
          mounts: config.mounts,
          log_path: config.log_path,
          ...(container.resources && { resources: { linux: container.resources } }),
        },
      };
    },
    UpdateContainerResources: ({ container_id, linux }) => {
      const container = this.#container(container_id);
      container.resources = { ...container.resources, ...linux };
      return {};
    },
    UpdatePodSandboxResources: () => ({}),
    ReopenContainerLog: () => ({}),
    ExecSync: async ({ container_id, cmd, timeout }) => {
      this.#running(container_id);
      const { sleepMs, exitCode, output } = this.#run(cmd);
      const limitMs = timeout > 0 ? timeout * 1000 : Infinity;
      await this.#latency(Math.min(sleepMs, limitMs));
      if (sleepMs > limitMs) throw new RpcError("DeadlineExceeded", "command timed out");
      return { stdout: Buffer.from(output), exit_code: exitCode };
    },
    Exec: () => ({ url: "" }),
    Attach: () => ({ url: "" }),
    PortForward: () => ({ url: "" }),
    ContainerStats: ({ container_id }) => ({ stats: this.#stats(this.#container(container_id)) }),
    ListContainerStats: () => ({ stats: [...this.#containers.values()].map((container) => this.#stats(container)) }),
    PodSandboxStats: ({ pod_sandbox_id }) => ({ stats: { attributes: attributesOf(this.#sandbox(pod_sandbox_id)) } }),
    ListPodSandboxStats: () => ({
      stats: [...this.#sandboxes.values()].map((sandbox) => ({ attributes: attributesOf(sandbox) })),
    }),
    CheckpointContainer: () => unimplemented("CheckpointContainer"),
    GetContainerEvents: () => unimplemented("GetContainerEvents"),
    ListMetricDescriptors: () => ({ descriptors: [] }),
    ListPodSandboxMetrics: () => ({ pod_metrics: [] }),
  };

  readonly imageService: Implementation<typeof ImageService> = {
    ListImages: () => ({ images: [...this.#images].map(image) }),
    ImageStatus: ({ image: spec }) => {
      const name = imageName((spec?.image ?? "").replace(ID_PREFIX, ""));
      return this.#images.has(name) ? { image: image(name) } : {};
    },
    PullImage: async ({ image: spec }) => {
      const asked = spec?.image ?? "";
      const pull = imageQuery(asked).get("pull");
      await this.#latency(pull === null ? this.#options.latencies?.pullMs : durationMs(pull));
      const name = imageName(asked);
      if (/(^|\/)missing(:|$)/.test(name)) {
        throw new RpcError(
          "NotFound",
          `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
        );
      }
      this.#images.add(name);
      return { image_ref: image(name).id };
    },
    RemoveImage: ({ image: spec }) => {
      this.#images.delete(imageName(spec?.image ?? ""));
      return {};
    },
    ImageFsInfo: () => ({ image_filesystems: [], container_filesystems: [] }),
  };

  async exec(
    containerId: string,
    command: readonly string[],
    _tty: boolean,
    streams: ExecStreams,
  ): Promise<{ readonly exitCode: number }> {
    this.#running(containerId);
    if (command[0] === "cat" && streams.stdin !== undefined) {
      for await (const chunk of streams.stdin) await streams.stdout(chunk);
      return { exitCode: 0 };
    }
    const { output, sleepMs, exitCode } = this.#run(command);
    if (output !== "") await streams.stdout(Buffer.from(output));
    await this.#latency(sleepMs);
    return { exitCode };
  }

  async attach(containerId: string, streams: ExecStreams): Promise<void> {
    for await (const line of this.read(containerId, { follow: true, signal: streams.signal }))
      await streams.stdout(Buffer.from(`${line.text}\n`));
  }

  portForward(sandboxId: string, port: number): Promise<void> {
    return Promise.reject(
      new Error(`failed to connect to localhost:${port} inside namespace "${sandboxId}": connection refused`),
    );
  }

  async *read(
    containerId: string,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<LogLine> {
    const container = this.#container(containerId);
    let next = 0;
    for (;;) {
      while (next < container.lines.length) yield container.lines[next++]!;
      if (!options.follow || options.signal.aborted || container.state !== "CONTAINER_RUNNING") return;
      await new Promise<void>((resolve) => {
        const wake = () => {
          options.signal.removeEventListener("abort", wake);
          container.waiting.delete(wake);
          resolve();
        };
        options.signal.addEventListener("abort", wake);
        container.waiting.add(wake);
      });
    }
  }

  /** What a network probe of the container gets to see. */
  probe(containerId: string): "success" | "failure" {
    const container = this.#containers.get(containerId);
    if (container === undefined || container.state !== "CONTAINER_RUNNING") return "failure";
    const runsMs = Number((this.#now() - container.startedAt) / 1_000_000n);
    const { readyMs, unhealthyMs } = container.script;
    return runsMs >= readyMs && (unhealthyMs === undefined || runsMs < unhealthyMs) ? "success" : "failure";
  }

  #run(command: readonly string[]): { readonly output: string; readonly sleepMs: number; readonly exitCode: number } {
    const known = runShell(command);
    const lines = known === undefined ? [command.join(" ")] : known.output;
    return {
      output: lines.map((line) => `${line}\n`).join(""),
      sleepMs: known?.sleepMs ?? 0,
      exitCode: known?.exitCode ?? 0,
    };
  }

  #write(container: Container, text: string): void {
    const time = new Date(Math.floor(this.#world.clock.now())).toISOString().replace("Z", "000000Z");
    container.lines.push({ time, stream: "stdout", text });
    const max = this.#options.logLinesMax ?? 1000;
    if (container.lines.length > max) container.lines.splice(0, container.lines.length - max);
    for (const wake of container.waiting) wake();
  }

  #end(container: Container, exitCode: number): void {
    container.exit?.[Symbol.dispose]();
    container.exit = undefined;
    if (container.state !== "CONTAINER_RUNNING") return;
    container.state = "CONTAINER_EXITED";
    container.finishedAt = this.#now();
    container.exitCode = exitCode;
    container.reason =
      container.script.oomKilled && exitCode === SIGKILL_EXIT ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    for (const wake of container.waiting) wake();
    this.#changed(container.sandbox);
  }

  #remove(container: Container): void {
    this.#end(container, SIGKILL_EXIT);
    this.#containers.delete(container.id);
  }

  #changed(sandbox: Sandbox): void {
    const uid = sandbox.config.labels[POD_UID] ?? "";
    for (const listener of this.#listeners) listener(uid);
  }

  #sandbox(id: string): Sandbox {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find sandbox: sandbox "${id}": not found`);
    return sandbox;
  }
  #container(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined)
      throw new RpcError("NotFound", `an error occurred when try to find container "${id}": not found`);
    return container;
  }
  #running(id: string): Container {
    const container = this.#container(id);
    if (container.state !== "CONTAINER_RUNNING") throw new RpcError("Unknown", "container is not running");
    return container;
  }

  #stats(container: Container) {
    return {
      attributes: {
        id: container.id,
        metadata: container.config.metadata,
        labels: { ...container.config.labels, [CONTAINER_NAME]: container.config.metadata?.name ?? "" },
        annotations: {},
      },
      cpu: { timestamp: this.#now(), usage_core_nano_seconds: { value: 0 }, usage_nano_cores: { value: 0 } },
      memory: { timestamp: this.#now(), working_set_bytes: { value: 0 } },
    };
  }

  #takeAddress(): string {
    const range = this.#podCidr;
    if (range === undefined) throw new RpcError("Unknown", NO_NETWORK);
    for (let i = 2; ; i++) {
      const address = addressAt(range, i);
      if (address === undefined) throw new RpcError("Unknown", `no IP addresses available in range set: ${range}`);
      if (this.#addresses.has(address)) continue;
      this.#addresses.add(address);
      return address;
    }
  }

  #id(): string {
    return Buffer.from(this.#world.random.bytes(32)).toString("hex");
  }
  /** Nanoseconds. */
  #now(): bigint {
    return BigInt(Math.floor(this.#world.clock.now())) * 1_000_000n;
  }
  async #latency(ms: number | undefined): Promise<void> {
    if (ms !== undefined && ms > 0) await sleep(this.#world.clock, ms);
  }
}

function listed(sandbox: Sandbox) {
  return {
    id: sandbox.id,
    metadata: sandbox.config.metadata,
    state: sandbox.ready ? ("SANDBOX_READY" as const) : ("SANDBOX_NOTREADY" as const),
    created_at: sandbox.createdAt,
    labels: sandbox.config.labels,
    annotations: sandbox.config.annotations,
    runtime_handler: sandbox.runtimeHandler,
  };
}

function attributesOf(sandbox: Sandbox) {
  const { metadata, labels, annotations } = sandbox.config;
  return { id: sandbox.id, metadata, labels, annotations };
}

/** An image's id is its name: whoever made it can be read from a container's status. */
const ID_PREFIX = "simulated/";

function image(name: string) {
  const id = `${ID_PREFIX}${name}`;
  const tagged = name.includes(":") || name.includes("@") ? name : `${name}:latest`;
  return { id, repo_tags: [tagged], repo_digests: [], size: 1_000_000, uid: { value: 0 }, username: "", pinned: false };
}

function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

function unimplemented(method: string): never {
  throw new RpcError("Unimplemented", `unknown method ${method} for service runtime.v1.RuntimeService`);
}
