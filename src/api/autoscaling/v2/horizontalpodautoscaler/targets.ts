/** Formats the metrics and targets of an autoscaler for `kubectl get`. Upstream: pkg/printers/internalversion/printers.go (formatHPAMetrics) */
import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus } from "../../../generated/autoscaling.v2.ts";

export function targetsText({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return "<none>";
  const texts = metrics.map((metric, i) => oneTarget(metric, status?.currentMetrics?.[i]));
  return texts.length <= 2 ? texts.join(", ") : `${texts.slice(0, 2).join(", ")} + ${texts.length - 2} more...`;
}

function oneTarget(metric: MetricSpec, current: MetricStatus | undefined): string {
  switch (metric.type) {
    case "External":
    case "Object": {
      const source = metric.type === "External" ? metric.external : metric.object;
      const now = metric.type === "External" ? current?.external?.current : current?.object?.current;
      if (source?.target.averageValue !== undefined)
        return `${now?.averageValue ?? "<unknown>"}/${source.target.averageValue} (avg)`;
      return `${now?.value ?? "<unknown>"}/${source?.target.value ?? ""}`;
    }
    case "Pods":
      return `${current?.pods?.current.averageValue ?? "<unknown>"}/${metric.pods?.target.averageValue ?? ""}`;
    case "Resource":
    case "ContainerResource": {
      const source = metric.type === "Resource" ? metric.resource : metric.containerResource;
      const now = metric.type === "Resource" ? current?.resource?.current : current?.containerResource?.current;
      const name = source?.name ?? "";
      if (source?.target.averageValue !== undefined)
        return `${name}: ${now?.averageValue ?? "<unknown>"}/${source.target.averageValue}`;
      const is = now?.averageUtilization === undefined ? "<unknown>" : `${now.averageUtilization}%`;
      const wanted =
        source?.target.averageUtilization === undefined ? "<auto>" : `${source.target.averageUtilization}%`;
      return `${name}: ${is}/${wanted}`;
    }
    default:
      return "<unknown type>";
  }
}
