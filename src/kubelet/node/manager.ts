/**
 * Registers the node and maintains its status: compared every 10 s, written when it has changed or every 5 minutes.
 * Upstream: pkg/kubelet/kubelet_node_status.go
 */
import { isTrue } from "../../machinery/meta/conditions.ts";
import type { Node, NodeCondition } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Informer } from "../../client/informer/informer.ts";
import { nodes } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import type { Image, StatusResponse } from "../../protocols/cri/generated.ts";
import { pause, sleep } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Settings } from "../options.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { same } from "../status/patch.ts";
import { hostIpsOf } from "./host-ips.ts";
import { newNode, nodeStatus, readMachine, withoutHeartbeats } from "./status.ts";
import type { Health, Machine } from "./status.ts";

export interface NodeDeps {
  readonly client: Client;
  readonly world: Pick<World, "clock" | "random" | "fs" | "host">;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly cri: Runtime;
  readonly informer: Informer<Node>;
  readonly settings: Settings;
  health(): Health;
  port(): number;
}

const RUNTIME_CHECK_MS = 5000;
const IMAGES_MS = 30_000;
const RUNTIME_DOWN_MS = 30_000;
/** Until the node is ready for the first time; a node without network waits long, and need not be asked so often. */
const FAST_MS = 100;
const FAST_MAX_MS = 2000;
const FAST_UNTIL_MS = 120_000;
const JITTER = 0.04;

export class NodeManager {
  readonly #deps: NodeDeps;
  #machine: Machine | undefined;
  #wake: (() => void) | undefined;
  #node: Node | undefined;
  #version = "";
  #runtimeStatus: StatusResponse | undefined;
  #runtimeSeenMs = -Infinity;
  #runtimeCheckedMs = -Infinity;
  #images: readonly Image[] = [];
  #imagesMs = -Infinity;
  #reportedMs = -Infinity;
  #podCidr = "";

  constructor(deps: NodeDeps) {
    this.#deps = deps;
  }

  /** The node as it was last seen. */
  get node(): Node | undefined {
    const informed = this.#deps.informer.get(this.#deps.settings.nodeName);
    return informed ?? this.#node;
  }
  get hostIPs(): readonly string[] {
    return hostIpsOf(this.node?.status?.addresses ?? []);
  }
  /** Messages of the runtime's network, while it isn't ready. */
  get networkProblem(): string | undefined {
    if (this.#runtimeStatus === undefined) return "network state unknown";
    const network = this.#runtimeStatus.status?.conditions.find(({ type }) => type === "NetworkReady");
    if (network?.status === true) return undefined;
    return `container runtime network not ready: NetworkReady=false reason:${network?.reason ?? ""} message:${network?.message ?? ""}`;
  }

  /** Makes the node object, or brings an older one up to date; tries until it succeeds. */
  async register(signal: AbortSignal): Promise<void> {
    const { settings, world, log } = this.#deps;
    for (let backOffMs = 100; ; backOffMs = Math.min(7000, backOffMs * 2)) {
      try {
        this.#node = await this.#registerOnce();
        this.#reportedMs = world.clock.monotonic();
        return;
      } catch (error) {
        signal.throwIfAborted();
        log.error("Unable to register node with API server", error, { node: settings.nodeName });
      }
      await sleep(world.clock, backOffMs, signal);
    }
  }

  async #registerOnce(): Promise<Node> {
    const { client, settings, world } = this.#deps;
    const wanted = newNode(settings, world.host, this.#status(undefined));
    try {
      return await client.create(nodes, wanted);
    } catch (error) {
      if (!hasReason(error, "AlreadyExists", "Forbidden")) throw error;
    }
    const existing = await client.get(nodes, { name: settings.nodeName });
    const labels = { ...wanted.metadata.labels };
    const annotations = { ...wanted.metadata.annotations };
    const known = existing.metadata;
    const missing = Object.entries(labels).some(([key, value]) => known.labels?.[key] !== value);
    const unannotated = Object.entries(annotations).some(([key, value]) => known.annotations?.[key] !== value);
    if (!missing && !unannotated) return existing;
    return client.patch(nodes, { name: settings.nodeName }, "application/strategic-merge-patch+json", {
      metadata: { labels, annotations },
    });
  }

  /** Until the signal aborts. Fast until the node is ready for the first time. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, settings, log, events } = this.#deps;
    events.event(this.#reference(), "Normal", "Starting", "Starting kubelet.");
    const startedMs = world.clock.monotonic();
    let ready = false;
    let fastMs = FAST_MS;
    // Pods wait for the node's range of addresses: it counts at once.
    using _ranges = this.#deps.informer.subscribe({
      add: (node) => this.#hasNewRange(node) && this.poke(),
      update: (_old, node) => this.#hasNewRange(node) && this.poke(),
    });
    while (!signal.aborted) {
      try {
        await this.look();
        ready = (await this.#report()) || ready;
      } catch (error) {
        if (signal.aborted) return;
        log.error("Error updating node status, will retry", error, { node: settings.nodeName });
      }
      const fast = !ready && world.clock.monotonic() - startedMs < FAST_UNTIL_MS;
      const waitMs = fast ? fastMs : settings.nodeStatusUpdateFrequencyMs * (1 + world.random.next() * JITTER);
      fastMs = Math.min(FAST_MAX_MS, fastMs * 1.5);
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(world.clock, waitMs, AbortSignal.any([signal, woken.signal]));
      if (woken.signal.aborted) fastMs = FAST_MS;
    }
  }

  /** What the node would say of itself has changed. */
  poke(): void {
    this.#wake?.();
  }

  #hasNewRange(node: Node): boolean {
    const range = rangeOf(node);
    return range !== "" && range !== this.#podCidr;
  }

  /** Asks what only the runtime and the machine know. */
  async look(): Promise<void> {
    const { world, cri, settings } = this.#deps;
    this.#machine ??= await readMachine(world, settings.rootDir);
    const podCidr = rangeOf(this.node);
    if (podCidr !== "" && podCidr !== this.#podCidr) {
      this.#podCidr = podCidr;
      try {
        await cri.runtime.UpdateRuntimeConfig({ runtime_config: { network_config: { pod_cidr: podCidr } } });
      } catch (error) {
        this.#deps.log.error("Failed to update pod CIDR", error, { podCIDR: podCidr });
      }
    }
    const now = world.clock.monotonic();
    if (
      now - this.#runtimeCheckedMs >= RUNTIME_CHECK_MS ||
      this.#runtimeStatus === undefined ||
      this.networkProblem !== undefined
    ) {
      this.#runtimeCheckedMs = now;
      try {
        if (this.#version === "") {
          const version = await cri.runtime.Version({ version: "0.1.0" });
          this.#version = `${version.runtime_name}://${version.runtime_version}`;
        }
        this.#runtimeStatus = await cri.runtime.Status({ verbose: false });
        this.#runtimeSeenMs = now;
      } catch (error) {
        this.#deps.log.error("Container runtime sanity check failed", error);
      }
    }
    if (now - this.#imagesMs >= IMAGES_MS) {
      this.#imagesMs = now;
      try {
        this.#images = (await cri.images.ListImages({})).images;
      } catch (error) {
        this.#deps.log.error("Unable to list images", error);
      }
    }
  }

  #health(): Health {
    const { world } = this.#deps;
    const { pressures, problems: others } = this.#deps.health();
    const problems = [...others];
    if (this.#runtimeStatus === undefined) problems.push("container runtime status check may not have completed yet");
    else {
      if (world.clock.monotonic() - this.#runtimeSeenMs > RUNTIME_DOWN_MS) problems.push("container runtime is down");
      const runtimeReady = this.#runtimeStatus.status?.conditions.find(({ type }) => type === "RuntimeReady");
      if (runtimeReady?.status !== true)
        problems.push(
          `container runtime not ready: RuntimeReady=false reason:${runtimeReady?.reason ?? ""} message:${runtimeReady?.message ?? ""}`,
        );
      if (this.networkProblem !== undefined) problems.push(this.networkProblem);
    }
    return { problems, pressures };
  }

  #status(previous: Node["status"] | undefined) {
    const { world, settings } = this.#deps;
    return nodeStatus(previous, {
      host: world.host,
      settings,
      machine: this.#machine!,
      runtimeVersion: this.#version,
      runtimeStatus: this.#runtimeStatus,
      images: this.#images,
      health: this.#health(),
      kubeletPort: this.#deps.port(),
      nowMs: world.clock.now(),
    });
  }

  /** True when the node says that it is ready. */
  async #report(): Promise<boolean> {
    const { client, world, settings } = this.#deps;
    const now = world.clock.monotonic();
    const node = this.node ?? (await client.get(nodes, { name: settings.nodeName }));
    const status = this.#status(node.status);
    const isReady = isTrue(status, "Ready");
    const changed = !same(withoutHeartbeats(node.status ?? {}), withoutHeartbeats(status));
    if (!changed && now - this.#reportedMs < settings.nodeStatusReportFrequencyMs) return isReady;
    try {
      this.#node = await this.#patch(node, status);
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      // Deleted by somebody while it runs.
      this.#node = undefined;
      if (settings.registerNode) this.#node = await this.#registerOnce();
      return false;
    }
    this.#reportedMs = now;
    this.#tell(node.status?.conditions ?? [], status.conditions ?? []);
    return isReady;
  }

  async #patch(node: Node, status: NonNullable<Node["status"]>): Promise<Node> {
    const { client, settings } = this.#deps;
    const patch: Record<string, unknown> = {};
    const from = (node.status ?? {}) as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(status)) {
      if (same(from[key], value)) continue;
      // Addresses merge by type upstream, which loses one of two of the same type: said whole, with the replacing word.
      if (key === "addresses" && from[key] !== undefined) patch[key] = [{ $patch: "replace" }, ...(value as unknown[])];
      else if (key === "allocatable") patch[key] = { ...gone(from[key], value), ...value };
      else patch[key] = value;
    }
    return client.patch(
      nodes,
      { name: settings.nodeName },
      "application/strategic-merge-patch+json",
      { status: patch },
      { subresource: "status" },
    );
  }

  /** Events for conditions that turned. */
  #tell(before: readonly NodeCondition[], after: readonly NodeCondition[]): void {
    const NAMES: Readonly<Record<string, readonly [yes: string, no: string]>> = {
      Ready: ["NodeReady", "NodeNotReady"],
      MemoryPressure: ["NodeHasInsufficientMemory", "NodeHasSufficientMemory"],
      DiskPressure: ["NodeHasDiskPressure", "NodeHasNoDiskPressure"],
      PIDPressure: ["NodeHasInsufficientPID", "NodeHasSufficientPID"],
    };
    for (const { type, status } of after) {
      const names = NAMES[type];
      if (names === undefined || before.find((condition) => condition.type === type)?.status === status) continue;
      const reason = status === "True" ? names[0] : names[1];
      this.#deps.events.event(
        this.#reference(),
        "Normal",
        reason,
        `Node ${this.#deps.settings.nodeName} status is now: ${reason}`,
      );
    }
  }

  /** Upstream's events about a node carry its name as the uid. */
  #reference() {
    const name = this.#deps.settings.nodeName;
    return { kind: "Node", name, uid: name };
  }
}

/** All ranges of a node, comma separated; empty before it has any. */
function rangeOf(node: Node | undefined): string {
  return node?.spec?.podCIDRs?.join(",") ?? node?.spec?.podCIDR ?? "";
}

/** Names that a merge has to take away, as nulls. */
const gone = (before: unknown, after: object): object =>
  Object.fromEntries(
    Object.keys(before ?? {})
      .filter((name) => !(name in after))
      .map((name) => [name, null]),
  );
