/** Whose pods go first when the node runs short, and the words for it. Pure. Upstream: pkg/kubelet/eviction/helpers.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import { formatQuantity, quantityOf } from "../../machinery/meta/quantity.ts";
import { initContainers } from "../pod.ts";
import { valueOf } from "../quantity.ts";
import { podRequests } from "../runtime/pod-resources.ts";
import type { Observations } from "./pressure.ts";
import { absolute, MEANINGS, shownAmount } from "./thresholds.ts";
import type { Starved, Threshold } from "./thresholds.ts";

/** Bytes; undefined where nobody tells. */
export interface ContainerUse {
  readonly name: string;
  readonly memory: number | undefined;
  /** Its writable layer and its logs. */
  readonly disk: number | undefined;
}
export interface PodUse {
  readonly memory: number;
  /** Containers, logs and volumes on the node's disk. */
  readonly disk: number;
  readonly processes: number;
  /** Of emptyDir volumes, by name. */
  readonly volumes: ReadonlyMap<string, number>;
  readonly containers: readonly ContainerUse[];
}

/** First those that use more than they asked for, then those of low priority, then those that exceed by most. */
export function rankForEviction(
  pods: readonly Pod[],
  resource: Starved,
  useOf: (pod: Pod) => PodUse | undefined,
): readonly Pod[] {
  const ranked = pods.map((pod) => {
    const use = useOf(pod);
    const requests = podRequests(pod);
    const priority = pod.spec.priority ?? 0;
    if (use === undefined) return { pod, unknown: true, exceeds: true, priority, excess: 0 };
    if (resource === "pids") return { pod, unknown: false, exceeds: false, priority, excess: use.processes };
    const excess =
      resource === "memory"
        ? use.memory - (requests["memory"] ?? 0)
        : use.disk - (resource === "inodes" ? 0 : (requests["ephemeral-storage"] ?? 0));
    return { pod, unknown: false, exceeds: excess > 0, priority, excess };
  });
  const order = (flag: boolean) => (flag ? 0 : 1);
  return ranked
    .sort(
      (a, b) =>
        order(a.unknown) - order(b.unknown) ||
        order(a.exceeds) - order(b.exceeds) ||
        a.priority - b.priority ||
        b.excess - a.excess,
    )
    .map(({ pod }) => pod);
}

export function evictionMessage(
  pod: Pod,
  resource: Starved,
  use: PodUse | undefined,
  met: readonly Threshold[],
  observations: Observations,
): string {
  let message = `The node was low on resource: ${resource}. `;
  const threshold = met.find(
    ({ signal }) => MEANINGS[signal].resource === resource && observations[signal] !== undefined,
  );
  if (threshold !== undefined) {
    const { available, capacity } = observations[threshold.signal]!;
    const quantity = shownAmount(threshold.signal, absolute(threshold.least, capacity));
    message += `Threshold quantity: ${quantity}, available: ${shownAvailable(threshold, available)}. `;
  }
  if (use === undefined) return message;
  const larger = (what: string, name: string, usage: number, request: string) =>
    `${what} ${name} was using ${bytes(usage)}, request is ${request}, has larger consumption of ${resource}. `;
  const whole = pod.spec.resources?.requests?.[resource];
  if (resource === "memory" && whole !== undefined) message += larger("Pod", pod.metadata.name, use.memory, whole);
  for (const { name, memory, disk } of use.containers) {
    const container = [...pod.spec.containers, ...initContainers(pod)].find((each) => each.name === name);
    const usage = resource === "memory" ? memory : resource === "ephemeral-storage" ? disk : undefined;
    if (container === undefined || usage === undefined) continue;
    const request = container.resources?.requests?.[resource];
    if (usage > valueOf(request)) message += larger("Container", name, usage, request ?? "0");
  }
  return message;
}

const shownAvailable = ({ signal }: Threshold, available: number) => shownAmount(signal, available);

/** Bytes as a kernel counts them are seldom round: upstream shows what it reads in Ki where that is whole. */
const bytes = (count: number): string => formatQuantity(quantityOf(count, "BinarySI"));
