/**
 * Resource usage of the node, its pods and their containers.
 * Upstream: pkg/kubelet/server/stats, staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1
 */
import { formatTime } from "../../machinery/meta/time.ts";
import type { ContainerStats, PodSandboxStats } from "../../protocols/cri/generated.ts";
import { machineNanoseconds } from "../cpu-time.ts";
import { CONTAINER_NAME, POD_UID } from "../keys.ts";
import type { KubeletView } from "../view.ts";

interface Usage {
  readonly containers: readonly ContainerStats[];
  readonly sandboxes: readonly PodSandboxStats[];
}

async function readUsage(kubelet: KubeletView): Promise<Usage> {
  const { runtime } = kubelet.cri;
  const [containers, sandboxes] = await Promise.all([
    runtime.ListContainerStats({}).then(({ stats }) => stats),
    // Not all runtimes know of sandbox statistics; containers' are enough for all but the network.
    runtime.ListPodSandboxStats({}).then(
      ({ stats }) => stats,
      () => [],
    ),
  ]);
  return { containers, sandboxes };
}

const timeOf = (nanoseconds: bigint | undefined, nowMs: number): string =>
  formatTime(nanoseconds === undefined || nanoseconds === 0n ? nowMs : Number(nanoseconds / 1_000_000n));

function cpuOf(cpu: ContainerStats["cpu"], nowMs: number) {
  if (cpu === undefined) return undefined;
  return {
    time: timeOf(cpu.timestamp, nowMs),
    ...(cpu.usage_nano_cores && { usageNanoCores: cpu.usage_nano_cores.value }),
    ...(cpu.usage_core_nano_seconds && { usageCoreNanoSeconds: cpu.usage_core_nano_seconds.value }),
  };
}

function memoryOf(memory: ContainerStats["memory"], nowMs: number) {
  if (memory === undefined) return undefined;
  return {
    time: timeOf(memory.timestamp, nowMs),
    ...(memory.available_bytes && { availableBytes: memory.available_bytes.value }),
    ...(memory.usage_bytes && { usageBytes: memory.usage_bytes.value }),
    ...(memory.working_set_bytes && { workingSetBytes: memory.working_set_bytes.value }),
    ...(memory.rss_bytes && { rssBytes: memory.rss_bytes.value }),
    ...(memory.page_faults && { pageFaults: memory.page_faults.value }),
    ...(memory.major_page_faults && { majorPageFaults: memory.major_page_faults.value }),
  };
}

export async function summary(kubelet: KubeletView): Promise<unknown> {
  const usage = await readUsage(kubelet);
  const { host, clock, fs } = kubelet.world;
  const now = clock.now();
  const time = formatTime(now);
  const memory = host.memory();
  const disk = await fs.statfs(kubelet.settings.rootDir).catch(() => undefined);
  const nodeCpu = await nodeNanoseconds(kubelet, usage.containers);
  const nodeCores = usage.containers.reduce((sum, { cpu }) => sum + (cpu?.usage_nano_cores?.value ?? 0), 0);
  return {
    node: {
      nodeName: kubelet.settings.nodeName,
      startTime: time,
      cpu: { time, usageNanoCores: nodeCores, usageCoreNanoSeconds: nodeCpu },
      memory: {
        time,
        availableBytes: memory.freeBytes,
        usageBytes: memory.totalBytes - memory.freeBytes,
        workingSetBytes: memory.totalBytes - memory.freeBytes,
      },
      ...(disk && {
        fs: {
          time,
          availableBytes: disk.freeBytes,
          capacityBytes: disk.sizeBytes,
          usedBytes: disk.sizeBytes - disk.freeBytes,
          inodesFree: disk.filesFree,
          inodes: disk.files,
          inodesUsed: disk.files - disk.filesFree,
        },
      }),
    },
    pods: kubelet.pods().map((pod) => {
      const own = usage.containers.filter(({ attributes }) => attributes?.labels[POD_UID] === pod.metadata.uid);
      const sandbox = usage.sandboxes.find(({ attributes }) => attributes?.labels[POD_UID] === pod.metadata.uid)?.linux;
      const network = sandbox?.network?.default_interface;
      return {
        podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace ?? "", uid: pod.metadata.uid },
        startTime: pod.status?.startTime ?? time,
        containers: own.map((each) => ({
          name: each.attributes?.labels[CONTAINER_NAME] ?? each.attributes?.metadata?.name ?? "",
          startTime: pod.status?.startTime ?? time,
          cpu: cpuOf(each.cpu, now),
          memory: memoryOf(each.memory, now),
          ...(each.writable_layer && { rootfs: { time, usedBytes: each.writable_layer.used_bytes?.value ?? 0 } }),
        })),
        cpu: cpuOf(sandbox?.cpu, now) ?? {
          time,
          usageNanoCores: own.reduce((sum, { cpu }) => sum + (cpu?.usage_nano_cores?.value ?? 0), 0),
          usageCoreNanoSeconds: own.reduce((sum, { cpu }) => sum + (cpu?.usage_core_nano_seconds?.value ?? 0), 0),
        },
        memory: memoryOf(sandbox?.memory, now) ?? {
          time,
          workingSetBytes: own.reduce((sum, { memory }) => sum + (memory?.working_set_bytes?.value ?? 0), 0),
        },
        ...(network && {
          network: {
            time,
            name: network.name,
            rxBytes: network.rx_bytes?.value ?? 0,
            rxErrors: network.rx_errors?.value ?? 0,
            txBytes: network.tx_bytes?.value ?? 0,
            txErrors: network.tx_errors?.value ?? 0,
          },
        }),
      };
    }),
  };
}

/** What the whole machine has computed, where it tells; else what its containers have. */
async function nodeNanoseconds({ world }: KubeletView, containers: readonly ContainerStats[]): Promise<number> {
  const told = await world.fs.readFile("/proc/stat").catch(() => undefined);
  if (told === undefined)
    return containers.reduce((sum, { cpu }) => sum + (cpu?.usage_core_nano_seconds?.value ?? 0), 0);
  return machineNanoseconds(Buffer.from(told).toString());
}

/** What metrics-server reads: /metrics/resource. */
export async function resourceMetrics(kubelet: KubeletView): Promise<string> {
  const { containers } = await readUsage(kubelet);
  const now = Math.floor(kubelet.world.clock.now());
  const memory = kubelet.world.host.memory();
  const lines: string[] = [];
  const family = (name: string, type: string, help: string, samples: readonly string[]) =>
    lines.push(
      `# HELP ${name} [STABLE] ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map((sample) => `${name}${sample}`),
    );
  const pods = new Map(kubelet.pods().map((pod) => [pod.metadata.uid, pod.metadata]));
  const each = (value: (stats: ContainerStats) => number) =>
    containers.flatMap((stats) => {
      const pod = pods.get(stats.attributes?.labels[POD_UID] ?? "");
      if (pod === undefined) return [];
      const name = stats.attributes?.labels[CONTAINER_NAME] ?? "";
      return [`{container="${name}",namespace="${pod.namespace ?? ""}",pod="${pod.name}"} ${value(stats)} ${now}`];
    });
  const cpuSeconds = (stats: ContainerStats) => (stats.cpu?.usage_core_nano_seconds?.value ?? 0) / 1e9;
  family(
    "container_cpu_usage_seconds_total",
    "counter",
    "Cumulative cpu time consumed by the container in core-seconds",
    each(cpuSeconds),
  );
  family(
    "container_memory_working_set_bytes",
    "gauge",
    "Current working set of the container in bytes",
    each(({ memory: own }) => own?.working_set_bytes?.value ?? 0),
  );
  family("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", [
    ` ${(await nodeNanoseconds(kubelet, containers)) / 1e9} ${now}`,
  ]);
  family("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", [
    ` ${memory.totalBytes - memory.freeBytes} ${now}`,
  ]);
  return `${lines.join("\n")}\n`;
}
