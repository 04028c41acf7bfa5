/** The status of a node. Upstream: pkg/kubelet/nodestatus/setters.go */
import { formatTime } from "../../machinery/meta/time.ts";
import type { Node, NodeAddress, NodeCondition, NodeStatus } from "../../api/generated/core.v1.ts";
import { canonicalQuantity, formatQuantity, parseQuantity } from "../../machinery/meta/quantity.ts";
import type { Quantity } from "../../machinery/meta/quantity.ts";
import type { Image, StatusResponse } from "../../protocols/cri/generated.ts";
import type { World } from "../../world/world.ts";
import { absolute, parseThresholds } from "../eviction/thresholds.ts";
import type { Pressure, Signal } from "../eviction/thresholds.ts";
import type { Settings } from "../options.ts";

const IMAGES_MAX = 50;
const NAMES_MAX = 5;

/** Facts of the machine that don't change while it is up. */
export interface Machine {
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly osImage: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly ephemeralBytes: number;
}

export async function readMachine(world: Pick<World, "fs" | "host">, rootDir: string): Promise<Machine> {
  const text = async (path: string) => {
    try {
      return Buffer.from(await world.fs.readFile(path))
        .toString("utf8")
        .trim();
    } catch {
      return ""; // Not on this kind of machine.
    }
  };
  const release = await text("/etc/os-release");
  // A node without files has no folder of its own: the machine's disk stands in.
  const place = (await world.fs.stat(rootDir)) === undefined ? "/" : rootDir;
  const { sizeBytes: ephemeralBytes } = await world.fs.statfs(place);
  return {
    machineId: await text("/etc/machine-id"),
    systemUuid: await text("/sys/class/dmi/id/product_uuid"),
    bootId: await text("/proc/sys/kernel/random/boot_id"),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? world.host.platform,
    cpus: world.host.cpus(),
    memoryBytes: world.host.memory().totalBytes,
    ephemeralBytes,
  };
}

function addressesOf(host: World["host"], settings: Settings): readonly NodeAddress[] {
  const ips = settings.nodeIPs.length > 0 ? settings.nodeIPs : defaultIps(host);
  return [...ips.map((address) => ({ type: "InternalIP", address })), { type: "Hostname", address: settings.nodeName }];
}

function defaultIps(host: World["host"]): readonly string[] {
  const usable = host
    .interfaces()
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:") && !address.startsWith("169.254."));
  const first = usable.find(({ family }) => family === 4) ?? usable[0];
  return [first?.address ?? "127.0.0.1"];
}

function capacityOf(machine: Machine, settings: Settings): Readonly<Record<string, string>> {
  return {
    cpu: String(machine.cpus),
    "ephemeral-storage": `${Math.floor(machine.ephemeralBytes / 1024)}Ki`,
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: String(settings.maxPods),
    ...settings.capacity,
  };
}

/** Less what is reserved, and what must stay free before pods are evicted. */
function allocatableOf(
  capacity: Readonly<Record<string, string>>,
  settings: Pick<Settings, "kubeReserved" | "systemReserved" | "evictionHard">,
): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  const hard = parseThresholds({
    hard: settings.evictionHard,
    soft: {},
    softGracePeriod: {},
    minimumReclaim: {},
  });
  const keptFree = (signal: Signal, whole: Quantity): bigint => {
    const least = hard.find((threshold) => threshold.signal === signal)?.least;
    return least === undefined ? 0n : BigInt(absolute(least, Number(whole.nano / 1_000_000_000n))) * 1_000_000_000n;
  };
  for (const [name, text] of Object.entries(capacity)) {
    const whole = parseQuantity(text);
    if (whole === undefined) continue;
    let nano = whole.nano;
    for (const reserved of [settings.kubeReserved[name], settings.systemReserved[name]])
      nano -= reserved === undefined ? 0n : (parseQuantity(reserved)?.nano ?? 0n);
    if (name === "memory") nano -= keptFree("memory.available", whole);
    let format: Quantity["format"] = whole.format;
    if (name === "ephemeral-storage") {
      nano -= keptFree("nodefs.available", whole);
      nano -= nano % 1_000_000_000n;
      format = parseQuantity("1")!.format;
    }
    result[name] = formatQuantity({ nano: nano < 0n ? 0n : nano, format });
  }
  return result;
}

export interface Health {
  /** Why the node is not ready; empty when it is. */
  readonly problems: readonly string[];
  readonly pressures: ReadonlySet<Pressure>;
}

const PRESSURES: readonly (readonly [type: Pressure, yes: readonly [string, string], no: readonly [string, string]])[] =
  [
    [
      "MemoryPressure",
      ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
      ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ],
    [
      "DiskPressure",
      ["KubeletHasDiskPressure", "kubelet has disk pressure"],
      ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ],
    [
      "PIDPressure",
      ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
      ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    ],
  ];

function conditionsOf(
  previous: readonly NodeCondition[],
  { problems, pressures }: Health,
  nowMs: number,
): readonly NodeCondition[] {
  const now = formatTime(nowMs);
  const wanted: Omit<NodeCondition, "lastHeartbeatTime" | "lastTransitionTime">[] = PRESSURES.map(([type, yes, no]) => {
    const [reason, message] = pressures.has(type) ? yes : no;
    return { type, status: pressures.has(type) ? "True" : "False", reason, message };
  });
  wanted.push(
    problems.length === 0
      ? { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" }
      : {
          type: "Ready",
          status: "False",
          reason: "KubeletNotReady",
          message: problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`,
        },
  );
  return [
    ...previous.filter(({ type }) => !wanted.some((condition) => condition.type === type)),
    ...wanted.map((condition) => {
      const old = previous.find(({ type }) => type === condition.type);
      const moved = old?.status !== condition.status;
      return {
        ...condition,
        lastHeartbeatTime: now,
        lastTransitionTime: moved ? now : (old?.lastTransitionTime ?? now),
      };
    }),
  ];
}

/**
 * What this kubelet can do of what pods, and changes of pods, may need of a node. Sorted. RestartAllContainersOnContainerExits is not among them:
 * such a rule restarts its own container only. Upstream: component-helpers/nodedeclaredfeatures
 */
const DECLARED_FEATURES: readonly string[] = [
  "ExtendWebSocketsToKubelet",
  "InPlacePodLevelResourcesVerticalScaling",
  "InPlacePodVerticalScalingInitContainers",
];

export interface NodeFacts {
  readonly host: World["host"];
  readonly settings: Settings;
  readonly machine: Machine;
  readonly runtimeVersion: string;
  readonly runtimeStatus: StatusResponse | undefined;
  readonly images: readonly Image[];
  readonly health: Health;
  readonly kubeletPort: number;
  readonly nowMs: number;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };
const architectureOf = (host: World["host"]): string => ARCHITECTURES[host.arch] ?? host.arch;
const systemOf = (host: World["host"]): string => (host.platform === "win32" ? "windows" : host.platform);

export function nodeStatus(previous: NodeStatus | undefined, facts: NodeFacts): NodeStatus {
  const { host, settings, machine, runtimeStatus } = facts;
  // What others say that the node has stays, and pods can have it.
  const capacity = Object.fromEntries(
    Object.entries({ ...previous?.capacity, ...capacityOf(machine, settings) }).map(([name, text]) => [
      name,
      canonicalQuantity(text),
    ]),
  );
  const images = imagesOf(facts.images);
  const handlers = [...(runtimeStatus?.runtime_handlers ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...previous,
    addresses: addressesOf(host, settings),
    capacity,
    allocatable: allocatableOf(capacity, settings),
    conditions: conditionsOf(previous?.conditions ?? [], facts.health, facts.nowMs),
    declaredFeatures: DECLARED_FEATURES,
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort } },
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: host.kernelRelease(),
      osImage: machine.osImage,
      containerRuntimeVersion: facts.runtimeVersion,
      kubeletVersion: settings.kubeletVersion,
      kubeProxyVersion: "",
      operatingSystem: systemOf(host),
      architecture: architectureOf(host),
    },
    // The server keeps no empty list: it would differ from ours each time.
    ...((images.length > 0 || (previous?.images ?? []).length > 0) && { images }),
    ...(handlers.length > 0 && {
      runtimeHandlers: handlers.map(({ name, features }) => ({
        name,
        ...(features && {
          features: {
            recursiveReadOnlyMounts: features.recursive_read_only_mounts,
            userNamespaces: features.user_namespaces,
          },
        }),
      })),
    }),
    ...(runtimeStatus?.features && {
      features: { supplementalGroupsPolicy: runtimeStatus.features.supplemental_groups_policy },
    }),
  } as NodeStatus;
}

/** The largest first; digests before tags. */
function imagesOf(images: readonly Image[]) {
  return [...images]
    .sort((a, b) => b.size - a.size || (a.id < b.id ? -1 : 1))
    .slice(0, IMAGES_MAX)
    .map(({ repo_digests, repo_tags, size }) => ({
      names: [...repo_digests, ...repo_tags].slice(0, NAMES_MAX),
      sizeBytes: size,
    }));
}

/** The node object as it is first made. */
export function newNode(settings: Settings, host: World["host"], status: NodeStatus): Node {
  const system = systemOf(host);
  const architecture = architectureOf(host);
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: settings.nodeName,
      labels: { ...defaultLabels(settings, system, architecture), ...settings.nodeLabels },
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: {
      ...(settings.providerId !== undefined && { providerID: settings.providerId }),
      ...(settings.registerWithTaints.length > 0 && { taints: settings.registerWithTaints }),
      ...(settings.podCidr !== undefined && { podCIDR: settings.podCidr, podCIDRs: [settings.podCidr] }),
    },
    status,
  } as unknown as Node;
}

function defaultLabels(settings: Settings, system: string, architecture: string): Readonly<Record<string, string>> {
  return {
    "beta.kubernetes.io/arch": architecture,
    "beta.kubernetes.io/os": system,
    "kubernetes.io/arch": architecture,
    "kubernetes.io/hostname": settings.nodeName,
    "kubernetes.io/os": system,
  };
}

/** What a status says when nobody looks at the heartbeats, nor at what is empty and so not stored. */
export function withoutHeartbeats(status: NodeStatus): unknown {
  return withoutEmpty({
    ...status,
    conditions: status.conditions?.map(({ lastHeartbeatTime: _heartbeat, ...rest }) => rest),
  });
}

function withoutEmpty(value: unknown): unknown {
  if (value === "" || value === null) return undefined;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(withoutEmpty);
  const kept: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(value)) {
    const rest = withoutEmpty(each);
    if (rest !== undefined) kept[key] = rest;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}
