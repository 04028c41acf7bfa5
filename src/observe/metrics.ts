/**
 * Metrics are declared beside the code that counts, under upstream's names, and counted in a `Metrics` of the component's own:
 * twenty kubelets in one simulation keep twenty sets of numbers.
 */
import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry } from "prom-client";

export interface MetricDeclaration<L extends string> {
  readonly type: "counter" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly L[];
  readonly stability: "ALPHA" | "BETA" | "STABLE" | "INTERNAL";
  readonly buckets?: readonly number[];
}
type Options<L extends string> = {
  readonly help: string;
  readonly labels?: readonly L[];
  readonly stability?: MetricDeclaration<L>["stability"];
};

export type Counter<L extends string = never> = MetricDeclaration<L> & { readonly type: "counter" };
export type Gauge<L extends string = never> = MetricDeclaration<L> & { readonly type: "gauge" };
export type Histogram<L extends string = never> = MetricDeclaration<L> & { readonly type: "histogram" };

export function counter<L extends string = never>(name: string, options: Options<L>): Counter<L> {
  return { type: "counter", name, labels: [], stability: "ALPHA", ...options };
}
export function gauge<L extends string = never>(name: string, options: Options<L>): Gauge<L> {
  return { type: "gauge", name, labels: [], stability: "ALPHA", ...options };
}
export function histogram<L extends string = never>(
  name: string,
  options: Options<L> & { readonly buckets: readonly number[] },
): Histogram<L> {
  return { type: "histogram", name, labels: [], stability: "ALPHA", ...options };
}

export class Metrics {
  readonly #registry = new Registry();

  add<L extends string>(metric: Counter<L>, labels: Record<L, string>, by = 1): void {
    this.#of(metric, PromCounter<string>).inc(labels, by);
  }
  set<L extends string>(metric: Gauge<L>, labels: Record<L, string>, value: number): void {
    this.#of(metric, PromGauge<string>).set(labels, value);
  }
  observe<L extends string>(metric: Histogram<L>, labels: Record<L, string>, value: number): void {
    this.#of(metric, PromHistogram<string>).observe(labels, value);
  }
  /** The Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #of<M>(metric: MetricDeclaration<string>, make: new (configuration: any) => M): M {
    const known = this.#registry.getSingleMetric(metric.name);
    if (known !== undefined) return known as unknown as M;
    return new make({
      name: metric.name,
      help: `[${metric.stability}] ${metric.help}`,
      labelNames: [...metric.labels],
      ...(metric.buckets && { buckets: [...metric.buckets] }),
      registers: [this.#registry],
    });
  }
}
