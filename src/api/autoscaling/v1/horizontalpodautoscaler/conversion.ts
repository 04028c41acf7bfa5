/** Conversion between autoscaling/v1 and v2, the stored version. Upstream: pkg/apis/autoscaling/v1/conversion.go */
import type { HorizontalPodAutoscaler as V1 } from "../../../generated/autoscaling.v1.ts";
import type {
  HorizontalPodAutoscaler as V2,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from "../../../generated/autoscaling.v2.ts";

const PREFIX = "autoscaling.alpha.kubernetes.io/";
/** Metrics other than the CPU. */
export const METRICS = `${PREFIX}metrics`;
const CURRENT = `${PREFIX}current-metrics`;
const CONDITIONS = `${PREFIX}conditions`;
const BEHAVIOR = `${PREFIX}behavior`;
/** The annotations that stand for parts of the spec, and of the status. */
export const OF_SPEC: readonly string[] = [
  METRICS,
  BEHAVIOR,
  `${PREFIX}scale-up-tolerance`,
  `${PREFIX}scale-down-tolerance`,
];
export const OF_STATUS: readonly string[] = [CURRENT, CONDITIONS];
const OURS: readonly string[] = [...OF_SPEC, ...OF_STATUS];

/** Fields in the order of upstream's structures, which the text of an annotation shows. */
const ORDER: readonly string[] =
  "type status lastTransitionTime reason message kind name target metricName metricSelector targetAverageUtilization currentAverageUtilization targetValue currentValue targetAverageValue currentAverageValue selector averageValue container".split(
    " ",
  );

function inGoOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inGoOrder);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([name]) => !ORDER.includes(name));
  const ordered = ORDER.flatMap((name) => (name in value ? [[name, (value as Fields)[name]] as const] : []));
  return Object.fromEntries([...ordered, ...fields].map(([name, one]) => [name, inGoOrder(one)]));
}

type Fields = Readonly<Record<string, any>>;

export function toV2({ metadata, spec, status, ...rest }: V1): V2 {
  const annotations = metadata.annotations ?? {};
  const metrics: MetricSpec[] = (parse(annotations[METRICS]) ?? []).map(specToV2);
  if (spec.targetCPUUtilizationPercentage !== undefined) metrics.push(cpuMetric(spec.targetCPUUtilizationPercentage));
  if (metrics.length === 0) metrics.push(cpuMetric(80));
  const behavior = lowerNames(parse(annotations[BEHAVIOR])) as V2["spec"]["behavior"];
  const current: MetricStatus[] = (parse(annotations[CURRENT]) ?? []).map(statusToV2);
  if (status?.currentCPUUtilizationPercentage !== undefined && current.length === 0)
    current.push({
      type: "Resource",
      resource: { name: "cpu", current: { averageUtilization: status.currentCPUUtilizationPercentage } },
    });
  const { targetCPUUtilizationPercentage: _, ...commonSpec } = spec;
  const { currentCPUUtilizationPercentage: __, currentReplicas, ...commonStatus } = status ?? ({} as V1["status"]);
  const conditions = parse(annotations[CONDITIONS]);
  return {
    ...rest,
    apiVersion: "autoscaling/v2",
    metadata: withAnnotations(metadata, {}),
    spec: { ...commonSpec, metrics, ...(behavior !== undefined && { behavior }) },
    status: {
      ...commonStatus,
      // v1 writes a zero, v2 leaves it out.
      ...(currentReplicas ? { currentReplicas } : {}),
      ...(current.length > 0 && { currentMetrics: current }),
      ...(conditions !== undefined && { conditions }),
    } as V2["status"],
  };
}

export function fromV2({ metadata, spec, status, ...rest }: V2): V1 {
  const isCpu = ({ type, resource }: MetricSpec) =>
    type === "Resource" && resource?.name === "cpu" && resource.target.averageUtilization !== undefined;
  const { metrics = [], behavior, ...commonSpec } = spec;
  const { currentMetrics = [], conditions = [], ...commonStatus } = status ?? ({} as V2["status"]);
  const others = metrics.filter((metric) => !isCpu(metric)).map(specToV1);
  const cpu = metrics.find(isCpu)?.resource?.target.averageUtilization;
  const currentCpu = currentMetrics.findLast(({ type, resource }) => type === "Resource" && resource?.name === "cpu")
    ?.resource?.current.averageUtilization;
  return {
    ...rest,
    apiVersion: "autoscaling/v1",
    metadata: withAnnotations(metadata, {
      ...(others.length > 0 && { [METRICS]: JSON.stringify(inGoOrder(others)) }),
      ...(currentMetrics.length > 0 && { [CURRENT]: JSON.stringify(inGoOrder(currentMetrics.map(statusToV1))) }),
      ...(conditions.length > 0 && { [CONDITIONS]: JSON.stringify(inGoOrder(conditions)) }),
      ...(behavior !== undefined && { [BEHAVIOR]: JSON.stringify(untagged(behavior)) }),
    }),
    spec: { ...commonSpec, ...(cpu !== undefined && { targetCPUUtilizationPercentage: cpu }) },
    status: {
      currentReplicas: 0,
      ...commonStatus,
      ...(currentCpu !== undefined && { currentCPUUtilizationPercentage: currentCpu }),
    } as V1["status"],
  };
}

const cpuMetric = (averageUtilization: number): MetricSpec => ({
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization } },
});

/** Our annotations out, and the given ones in. */
function withAnnotations(metadata: V2["metadata"], added: Readonly<Record<string, string>>): V2["metadata"] {
  const kept = Object.entries(metadata.annotations ?? {}).filter(([name]) => !OURS.includes(name));
  const { annotations: _, ...rest } = metadata;
  const all = { ...Object.fromEntries(kept), ...added };
  return Object.keys(all).length === 0 ? rest : { ...rest, annotations: all };
}

/** What isn't JSON counts as absent. */
function parse(text: string | undefined): any {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Leaves out what is undefined. */
function compact(fields: Fields): any {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Where a metric says what it measures. Its type tells which of them counts; all that are there are kept. */
const SOURCES = ["object", "pods", "resource", "containerResource", "external"] as const;
type Source = (typeof SOURCES)[number];

function eachSource<T>(metric: Fields, convert: (source: Source, fields: Fields) => Fields): T {
  const found = SOURCES.filter((source) => metric[source] !== undefined);
  const converted = found.map((source) => [source, convert(source, metric[source] as Fields)] as const);
  return { type: metric["type"], ...Object.fromEntries(converted) } as T;
}

const specToV2 = (metric: Fields): MetricSpec => eachSource(metric, sourceToV2);
const specToV1 = (metric: MetricSpec): Fields => eachSource(metric as unknown as Fields, sourceToV1);
const statusToV2 = (metric: Fields): MetricStatus => eachSource(metric, readingToV2);
const statusToV1 = (metric: MetricStatus): Fields => eachSource(metric as unknown as Fields, readingToV1);

function sourceToV2(name: Source, source: Fields): Fields {
  const target = (targetType: string, values: Fields): MetricTarget => compact({ type: targetType, ...values });
  switch (name) {
    case "resource":
    case "containerResource": {
      const utilization = source["targetAverageUtilization"];
      return compact({
        name: source["name"],
        container: source["container"],
        target: target(utilization === undefined ? "AverageValue" : "Utilization", {
          averageUtilization: utilization,
          averageValue: source["targetAverageValue"],
        }),
      });
    }
    case "pods":
      return {
        metric: compact({ name: source["metricName"], selector: source["selector"] }),
        target: target("AverageValue", { averageValue: source["targetAverageValue"] }),
      };
    case "object": {
      const average = source["averageValue"];
      return {
        describedObject: source["target"],
        metric: compact({ name: source["metricName"], selector: source["selector"] }),
        target: target(average === undefined ? "Value" : "AverageValue", {
          value: average !== undefined && source["targetValue"] === "0" ? undefined : source["targetValue"],
          averageValue: average,
        }),
      };
    }
    default: {
      const value = source["targetValue"];
      return {
        metric: compact({ name: source["metricName"], selector: source["metricSelector"] }),
        target: target(value === undefined ? "AverageValue" : "Value", {
          value,
          averageValue: source["targetAverageValue"],
        }),
      };
    }
  }
}

/** Quantities that v1 can't leave out are zero. */
const NONE = "0";

function sourceToV1(name: Source, source: Fields): Fields {
  const target = source["target"] as MetricTarget;
  const metric: Fields = source["metric"] ?? {};
  switch (name) {
    case "object":
      return compact({
        target: source["describedObject"],
        metricName: metric["name"],
        targetValue: target.value ?? NONE,
        selector: metric["selector"],
        averageValue: target.averageValue,
      });
    case "pods":
      return compact({
        metricName: metric["name"],
        targetAverageValue: target.averageValue ?? NONE,
        selector: metric["selector"],
      });
    case "external":
      return compact({
        metricName: metric["name"],
        metricSelector: metric["selector"],
        targetValue: target.value,
        targetAverageValue: target.averageValue,
      });
    default:
      return compact({
        name: source["name"],
        targetAverageUtilization: target.averageUtilization,
        targetAverageValue: target.averageValue,
        container: source["container"],
      });
  }
}

function readingToV2(_name: Source, source: Fields): Fields {
  const current: MetricValueStatus = compact({
    value: source["currentValue"],
    averageValue: source["currentAverageValue"] ?? source["averageValue"],
    averageUtilization: source["currentAverageUtilization"],
  });
  const identity = compact({
    name: source["name"],
    container: source["container"],
    describedObject: source["target"],
    ...(source["metricName"] !== undefined && {
      metric: compact({ name: source["metricName"], selector: source["selector"] ?? source["metricSelector"] }),
    }),
  });
  return { ...identity, current };
}

function readingToV1(name: Source, source: Fields): Fields {
  const current = source["current"] as MetricValueStatus;
  const metric: Fields = source["metric"] ?? {};
  switch (name) {
    case "object":
      return compact({
        target: source["describedObject"],
        metricName: metric["name"],
        currentValue: current.value ?? NONE,
        selector: metric["selector"],
        averageValue: current.averageValue,
      });
    case "pods":
      return compact({
        metricName: metric["name"],
        currentAverageValue: current.averageValue ?? NONE,
        selector: metric["selector"],
      });
    case "external":
      return compact({
        metricName: metric["name"],
        metricSelector: metric["selector"],
        currentValue: current.value ?? NONE,
        currentAverageValue: current.averageValue,
      });
    default:
      return compact({
        name: source["name"],
        currentAverageUtilization: current.averageUtilization,
        currentAverageValue: current.averageValue ?? NONE,
        container: source["container"],
      });
  }
}

/** The behaviour annotation holds Go's own field names, since the struct it is written from has no other. */
/** The behaviour's structure has no names for JSON inside upstream: its own are written, and what is unset as null. */
const untagged = ({ scaleUp, scaleDown }: NonNullable<V2["spec"]["behavior"]>): object => ({
  ScaleUp: untaggedRules(scaleUp),
  ScaleDown: untaggedRules(scaleDown),
});

const untaggedRules = (rules: NonNullable<V2["spec"]["behavior"]>["scaleUp"]): object | null =>
  rules === undefined
    ? null
    : {
        StabilizationWindowSeconds: rules.stabilizationWindowSeconds ?? null,
        SelectPolicy: rules.selectPolicy ?? null,
        Policies:
          rules.policies?.map((policy) => ({
            Type: policy.type,
            Value: policy.value,
            PeriodSeconds: policy.periodSeconds,
          })) ?? null,
        Tolerance: rules.tolerance ?? null,
      };

function lowerNames(value: unknown): unknown {
  return renameFields(value, (name) => name[0]!.toLowerCase() + name.slice(1));
}
function renameFields(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renameFields(item, rename));
  if (typeof value !== "object" || value === null) return value === null ? undefined : value;
  return compact(
    Object.fromEntries(Object.entries(value).map(([name, inner]) => [rename(name), renameFields(inner, rename)])),
  );
}
