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
  /** Empty for what is no metric of Kubernetes' own. */
  readonly stability: "ALPHA" | "BETA" | "STABLE" | "INTERNAL" | "";
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

/** One number of a metric, as its owner keeps it. */
export interface Reading {
  readonly metric: MetricDeclaration<string>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number | Distribution;
}

/** A histogram in plain numbers: to observe costs a few comparisons. */
export class Distribution {
  readonly bounds: readonly number[];
  /** One more than bounds: what is above the last. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }
  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
  }
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #stability: boolean;
  readonly #declared: (Counter<string> | Gauge<string> | Histogram<string>)[] = [];
  readonly #sources = new Set<() => Iterable<Reading>>();

  /** Help tells a metric's stability, which etcd's have none of. */
  constructor(options: { readonly stability?: boolean } = {}) {
    this.#stability = options.stability ?? true;
  }

  /** Reads what `source` tells at each rendering: on a hot path counting is then an addition. Dispose the result when the owner ends. */
  from(source: () => Iterable<Reading>): Disposable {
    this.#sources.add(source);
    return { [Symbol.dispose]: () => void this.#sources.delete(source) };
  }

  /** Makes metrics visible, at zero where they have no labels, before anything is counted. Made when they are first asked for: a start is in haste. */
  declare(...metrics: readonly (Counter<string> | Gauge<string> | Histogram<string>)[]): void {
    this.#declared.push(...metrics);
  }

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
  async render(): Promise<string> {
    const kinds = { counter: PromCounter, gauge: PromGauge, histogram: PromHistogram };
    for (const metric of this.#declared.splice(0)) this.#of<unknown>(metric, kinds[metric.type]);
    const own = await this.#registry.metrics();
    const told = renderReadings(
      [...this.#sources].flatMap((source) => [...source()]),
      (metric) => this.#helpOf(metric),
    );
    return told === "" ? own : `${own}${own.endsWith("\n") || own === "" ? "" : "\n"}${told}`;
  }

  #of<M>(metric: MetricDeclaration<string>, make: new (configuration: any) => M): M {
    const known = this.#registry.getSingleMetric(metric.name);
    if (known !== undefined) return known as unknown as M;
    return new make({
      name: metric.name,
      help: this.#helpOf(metric),
      labelNames: [...metric.labels],
      ...(metric.buckets && { buckets: [...metric.buckets] }),
      registers: [this.#registry],
    });
  }

  #helpOf({ stability, help }: MetricDeclaration<string>): string {
    return this.#stability && stability !== "" ? `[${stability}] ${help}` : help;
  }
}

function renderReadings(readings: readonly Reading[], helpOf: (metric: MetricDeclaration<string>) => string): string {
  const byMetric = new Map<string, Reading[]>();
  for (const reading of readings) {
    const known = byMetric.get(reading.metric.name);
    if (known === undefined) byMetric.set(reading.metric.name, [reading]);
    else known.push(reading);
  }
  const lines: string[] = [];
  for (const [name, group] of byMetric) {
    const { metric } = group[0]!;
    lines.push(`# HELP ${name} ${helpOf(metric)}`, `# TYPE ${name} ${metric.type}`);
    for (const { labels = {}, value } of group) {
      if (typeof value === "number") {
        lines.push(`${name}${labelText(labels)} ${value}`);
        continue;
      }
      let count = 0;
      value.counts.forEach((one, i) => {
        count += one;
        const le = i < value.bounds.length ? boundText(value.bounds[i]!) : "+Inf";
        lines.push(`${name}_bucket${labelText({ ...labels, le })} ${count}`);
      });
      lines.push(`${name}_sum${labelText(labels)} ${value.sum}`, `${name}_count${labelText(labels)} ${count}`);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** As Go writes it, for `le` is a label that queries name: `1e-08`, `2.592e+06`. */
function boundText(bound: number): string {
  const [digits, exponent] = bound.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (bound === 0 || (power >= -4 && power < 6)) return String(bound);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return "";
  const escaped = (text: string) => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `{${pairs.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}
