/** How fast a size may change. Pure. Upstream: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas, …WithBehaviors) */
import type { HPAScalingRules, HorizontalPodAutoscaler } from "../../api/generated/autoscaling.v2.ts";

/** A recommendation, or a change that was made, at a time in ms. */
export interface Mark {
  readonly at: number;
  readonly replicas: number;
}
export interface History {
  readonly recommendations: readonly Mark[];
  readonly ups: readonly Mark[];
  readonly downs: readonly Mark[];
}
export interface Condition {
  readonly type: "AbleToScale" | "ScalingLimited";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}
export interface Limited {
  readonly replicas: number;
  readonly conditions: readonly Condition[];
}

const DOWN_WINDOW_MS = 300_000;
const able = (reason: string, message: string): Condition => ({ type: "AbleToScale", status: "True", reason, message });
const limited = (reason: string, message: string): Condition => ({
  type: "ScalingLimited",
  status: "True",
  reason,
  message,
});
const UNLIMITED: Condition = {
  type: "ScalingLimited",
  status: "False",
  reason: "DesiredWithinRange",
  message: "the desired count is within the acceptable range",
};
const READY = able("ReadyForNewScale", "recommended size matches current size");
const HELD_DOWN = able(
  "ScaleDownStabilized",
  "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const HELD_UP = able(
  "ScaleUpStabilized",
  "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

export function limit(
  { spec }: HorizontalPodAutoscaler,
  current: number,
  wanted: number,
  history: History,
  now: number,
  downWindowMs = DOWN_WINDOW_MS,
): Limited {
  const min = spec.minReplicas ?? 1;
  const max = spec.maxReplicas;
  return spec.behavior === undefined
    ? plain(current, wanted, min, max, history, now, downWindowMs)
    : byBehavior(spec.behavior, current, wanted, min, max, history, now, downWindowMs);
}

function plain(
  current: number,
  wanted: number,
  min: number,
  max: number,
  { recommendations }: History,
  now: number,
  windowMs: number,
): Limited {
  const recent = recommendations.filter(({ at }) => at > now - windowMs).map(({ replicas }) => replicas);
  const stable = Math.max(wanted, ...recent);
  const first = stable === wanted ? READY : HELD_DOWN;
  // A start from nothing may go to four at once.
  const fastest = Math.max(2 * current, 4);
  const ceiling = Math.min(fastest, max);
  if (stable < min)
    return {
      replicas: min,
      conditions: [
        first,
        limited("TooFewReplicas", "the desired replica count is less than the minimum replica count"),
      ],
    };
  if (stable > ceiling)
    return {
      replicas: ceiling,
      conditions: [
        first,
        fastest < max
          ? limited("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
          : limited("TooManyReplicas", "the desired replica count is more than the maximum replica count"),
      ],
    };
  return { replicas: stable, conditions: [first, UNLIMITED] };
}

type Behavior = NonNullable<HorizontalPodAutoscaler["spec"]["behavior"]>;

function byBehavior(
  { scaleUp = {}, scaleDown = {} }: Behavior,
  current: number,
  wanted: number,
  min: number,
  max: number,
  history: History,
  now: number,
  downWindowMs: number,
): Limited {
  const upWindow = (scaleUp.stabilizationWindowSeconds ?? 0) * 1000;
  const downWindow =
    scaleDown.stabilizationWindowSeconds === undefined ? downWindowMs : scaleDown.stabilizationWindowSeconds * 1000;
  const within = (windowMs: number) =>
    history.recommendations.filter(({ at }) => at > now - windowMs).map(({ replicas }) => replicas);
  const lowest = Math.min(wanted, ...within(upWindow));
  const highest = Math.max(wanted, ...within(downWindow));
  const stable = Math.min(Math.max(current, lowest), highest);
  const first = stable === wanted ? READY : stable < wanted ? HELD_UP : HELD_DOWN;

  if (stable > current) {
    const fastest = upLimit(scaleUp, current, history, now);
    const ceiling = Math.min(fastest, max);
    if (stable <= ceiling) return { replicas: stable, conditions: [first, UNLIMITED] };
    const why =
      fastest < max
        ? limited("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
        : limited("TooManyReplicas", "the desired replica count is more than the maximum replica count");
    return { replicas: Math.max(ceiling, Math.min(current, max)), conditions: [first, why] };
  }
  if (stable < current) {
    const slowest = downLimit(scaleDown, current, history, now);
    const floor = Math.max(slowest, min);
    if (stable >= floor) return { replicas: stable, conditions: [first, UNLIMITED] };
    const why =
      slowest > min
        ? limited("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
        : limited("TooFewReplicas", "the desired replica count is less than the minimum replica count");
    return { replicas: floor, conditions: [first, why] };
  }
  return { replicas: stable, conditions: [first, UNLIMITED] };
}

const UP_POLICIES = [
  { type: "Pods", value: 4, periodSeconds: 15 },
  { type: "Percent", value: 100, periodSeconds: 15 },
];
const DOWN_POLICIES = [{ type: "Percent", value: 100, periodSeconds: 15 }];

/** What was there when the period began: what came since is not there yet to grow from, what went still is. */
function periodStart(current: number, { ups, downs }: History, periodSeconds: number, now: number): number {
  const since = (marks: readonly Mark[]) =>
    marks.filter(({ at }) => at > now - periodSeconds * 1000).reduce((sum, { replicas }) => sum + replicas, 0);
  return current - since(ups) + since(downs);
}

export function upLimit(
  { policies = UP_POLICIES, selectPolicy = "Max" }: HPAScalingRules,
  current: number,
  history: History,
  now: number,
): number {
  if (selectPolicy === "Disabled") return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = periodStart(current, history, periodSeconds, now);
    return type === "Pods" ? start + value : Math.ceil(start * (1 + value / 100));
  });
  return selectPolicy === "Min" ? Math.min(...limits) : Math.max(...limits);
}

export function downLimit(
  { policies = DOWN_POLICIES, selectPolicy = "Max" }: HPAScalingRules,
  current: number,
  history: History,
  now: number,
): number {
  if (selectPolicy === "Disabled") return current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = periodStart(current, history, periodSeconds, now);
    return type === "Pods" ? start - value : Math.trunc(start * (1 - value / 100));
  });
  return selectPolicy === "Min" ? Math.max(...limits) : Math.min(...limits);
}
