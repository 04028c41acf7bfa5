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
const OURS: readonly string[] = [
  METRICS,
  CURRENT,
  CONDITIONS,
  BEHAVIOR,
  `${PREFIX}scale-up-tolerance`,
  `${PREFIX}scale-down-tolerance`,
];

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
      ...(others.length > 0 && { [METRICS]: JSON.stringify(others) }),
      ...(currentMetrics.length > 0 && { [CURRENT]: JSON.stringify(currentMetrics.map(statusToV1)) }),
      ...(conditions.length > 0 && { [CONDITIONS]: JSON.stringify(conditions) }),
      ...(behavior !== undefined && { [BEHAVIOR]: JSON.stringify(upperNames(behavior)) }),
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

const sourceName = (type: string): string => type[0]!.toLowerCase() + type.slice(1);

function specToV2(metric: Fields): MetricSpec {
  const name = sourceName(metric["type"] ?? "");
  const source: Fields = metric[name] ?? {};
  return { type: metric["type"], [name]: sourceToV2(metric["type"], source) } as unknown as MetricSpec;
}

function sourceToV2(type: string, source: Fields): Fields {
  const target = (targetType: string, values: Fields): MetricTarget => compact({ type: targetType, ...values });
  switch (type) {
    case "Resource":
    case "ContainerResource": {
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
    case "Pods":
      return {
        metric: compact({ name: source["metricName"], selector: source["selector"] }),
        target: target("AverageValue", { averageValue: source["targetAverageValue"] }),
      };
    case "Object": {
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

function specToV1(metric: MetricSpec): Fields {
  const name = sourceName(metric.type);
  const source = (metric as unknown as Fields)[name] as Fields;
  const target = source["target"] as MetricTarget;
  const common = { metricName: source["metric"]?.name, selector: source["metric"]?.selector };
  const body: Fields =
    metric.type === "Object"
      ? {
          target: source["describedObject"],
          metricName: common.metricName,
          targetValue: target.value ?? "0",
          selector: common.selector,
          averageValue: target.averageValue,
        }
      : metric.type === "Pods"
        ? { ...common, targetAverageValue: target.averageValue }
        : metric.type === "External"
          ? {
              metricName: common.metricName,
              metricSelector: common.selector,
              targetValue: target.value,
              targetAverageValue: target.averageValue,
            }
          : {
              name: source["name"],
              container: source["container"],
              targetAverageUtilization: target.averageUtilization,
              targetAverageValue: target.averageValue,
            };
  return { type: metric.type, [name]: compact(body) };
}

function statusToV2(metric: Fields): MetricStatus {
  const name = sourceName(metric["type"] ?? "");
  const source: Fields = metric[name] ?? {};
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
  return { type: metric["type"], [name]: { ...identity, current } } as unknown as MetricStatus;
}

function statusToV1(metric: MetricStatus): Fields {
  const name = sourceName(metric.type);
  const source = (metric as unknown as Fields)[name] as Fields;
  const current = source["current"] as MetricValueStatus;
  const selector = metric.type === "External" ? "metricSelector" : "selector";
  return {
    type: metric.type,
    [name]: compact({
      target: source["describedObject"],
      name: source["name"],
      container: source["container"],
      metricName: source["metric"]?.name,
      [selector]: source["metric"]?.selector,
      currentValue: current.value,
      currentAverageUtilization: current.averageUtilization,
      ...(metric.type === "Object"
        ? { averageValue: current.averageValue }
        : { currentAverageValue: current.averageValue }),
    }),
  };
}

/** The behaviour annotation holds Go's own field names, since the struct it is written from has no other. */
function upperNames(value: unknown): unknown {
  return renameFields(value, (name) => name[0]!.toUpperCase() + name.slice(1));
}
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
