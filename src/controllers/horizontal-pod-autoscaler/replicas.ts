/** How many replicas a metric asks for. Pure; amounts are in thousandths. Upstream: pkg/controller/podautoscaler/replica_calculator.go, metrics/utilization.go */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { milliUnits, parseQuantity } from "../../machinery/meta/quantity.ts";
import { isDeleting } from "../shared/pods.ts";

export interface Sample {
  readonly value: number;
  /** When it was taken, in ms, and over how long. */
  readonly at: number;
  readonly windowMs: number;
}
export type Samples = ReadonlyMap<string, Sample>;

export interface Settings {
  readonly tolerance: { readonly up: number; readonly down: number };
  readonly cpuInitializationMs: number;
  readonly readinessDelayMs: number;
}

export type Target = { readonly utilization: number } | { readonly averageValue: number };

export interface Proposal {
  readonly replicas: number;
  /** In percent of the request, where the target is one. */
  readonly utilization?: number;
  readonly averageValue: number;
}

export interface Request {
  readonly current: number;
  readonly target: Target;
  readonly pods: readonly Pod[];
  readonly samples: Samples;
  readonly resource: string;
  readonly container?: string;
  readonly now: number;
  readonly settings: Settings;
}

export function proposeReplicas({
  current,
  target,
  pods,
  samples,
  resource,
  container,
  now,
  settings,
}: Request): Proposal {
  if (pods.length === 0) throw new Error("no pods returned by selector while calculating replica count");
  const groups = groupPods(pods, samples, resource, now, settings);
  const known = new Map(
    [...samples].filter(([name]) => groups.ready.has(name)).map(([name, { value }]) => [name, value]),
  );
  if (known.size === 0) throw new Error("did not receive metrics for targeted pods (pods might be unready)");
  const requests =
    "utilization" in target
      ? new Map(pods.map((pod) => [pod.metadata.name, requestOf(pod, resource, container)]))
      : undefined;
  const measure = (
    values: ReadonlyMap<string, number>,
  ): { ratio: number; utilization?: number; averageValue: number } => {
    const total = sum(values.values());
    const averageValue = Math.trunc(total / values.size);
    if (requests === undefined || !("utilization" in target))
      return { ratio: averageValue / (target as { averageValue: number }).averageValue, averageValue };
    const asked = sum([...values.keys()].map((name) => requests.get(name) ?? 0));
    const utilization = asked === 0 ? 0 : Math.trunc((total * 100) / asked);
    return { ratio: utilization / target.utilization, utilization, averageValue };
  };
  const measured = measure(known);
  const report = {
    averageValue: measured.averageValue,
    ...(measured.utilization !== undefined && { utilization: measured.utilization }),
  };
  const { ratio } = measured;
  const counted = groups.unready.size > 0 && ratio > 1;
  if (groups.missing.size === 0 && !counted) {
    const replicas = within(ratio, settings) ? current : Math.ceil(ratio * known.size);
    return { replicas, ...report };
  }
  // Pods that say nothing are taken for the more careful of the two: busy when fewer are wanted, idle when more are.
  const filled = new Map(known);
  for (const name of groups.missing) {
    const request = requests?.get(name) ?? 0;
    if (ratio < 1)
      filled.set(
        name,
        "utilization" in target ? (request * Math.max(100, target.utilization)) / 100 : target.averageValue,
      );
    else if (ratio > 1) filled.set(name, 0);
  }
  if (counted) for (const name of groups.unready) filled.set(name, 0);
  const careful = measure(filled).ratio;
  const turned = (ratio < 1 && careful > 1) || (ratio > 1 && careful < 1);
  if (within(careful, settings) || turned) return { replicas: current, ...report };
  const replicas = Math.ceil(careful * filled.size);
  if ((careful < 1 && replicas > current) || (careful > 1 && replicas < current))
    return { replicas: current, ...report };
  return { replicas, ...report };
}

function within(ratio: number, { tolerance }: Settings): boolean {
  return ratio >= 1 - tolerance.down && ratio <= 1 + tolerance.up;
}

interface Groups {
  readonly ready: ReadonlySet<string>;
  readonly unready: ReadonlySet<string>;
  readonly missing: ReadonlySet<string>;
}

function groupPods(
  pods: readonly Pod[],
  samples: Samples,
  resource: string,
  now: number,
  { cpuInitializationMs, readinessDelayMs }: Settings,
): Groups {
  const ready = new Set<string>();
  const unready = new Set<string>();
  const missing = new Set<string>();
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (isDeleting(pod) || pod.status.phase === "Failed") continue;
    const sample = samples.get(name);
    if (pod.status.phase === "Pending") unready.add(name);
    else if (sample === undefined) missing.add(name);
    else if (resource === "cpu" && isWarmingUp(pod, sample, now)) unready.add(name);
    else ready.add(name);
  }
  return { ready, unready, missing };

  /** The load of a start says nothing about the load to come. */
  function isWarmingUp(pod: Pod, sample: Sample, at: number): boolean {
    const condition = conditionOf(pod.status, "Ready");
    const { startTime } = pod.status;
    if (condition === undefined || startTime === undefined) return true;
    const started = Date.parse(startTime);
    const changed = Date.parse(condition.lastTransitionTime ?? startTime);
    if (started + cpuInitializationMs > at)
      return condition.status === "False" || sample.at < changed + sample.windowMs;
    return condition.status === "False" && started + readinessDelayMs > changed;
  }
}

function requestOf({ metadata, spec }: Pod, resource: string, container: string | undefined): number {
  const own = spec.resources?.requests?.[resource];
  if (own !== undefined && container === undefined) return milli(own);
  const sidecars = (spec.initContainers ?? []).filter(isSidecar);
  return sum(
    [...spec.containers, ...sidecars]
      .filter(({ name }) => container === undefined || name === container)
      .map(({ name, resources }) => {
        const request = resources?.requests?.[resource];
        if (request === undefined)
          throw new Error(`missing request for ${resource} in container ${name} of Pod ${metadata.name}`);
        return milli(request);
      }),
  );
}

export const milli = (text: string) => Number(milliUnits(parseQuantity(text) ?? parseQuantity("0")!));
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
