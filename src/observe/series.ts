/** Metrics for paths that every request takes: counted in plain numbers by label values, and collected when they are scraped. */
import { Distribution, type MetricDeclaration, type Reading } from "./metrics.ts";

type Metric = MetricDeclaration<string>;

class Series<V extends number | Distribution> {
  readonly #metric: Metric;
  readonly #values = new Map<string, { readonly labels: readonly string[]; value: V }>();
  readonly #first: () => V;

  constructor(metric: Metric, first: () => V) {
    this.#metric = metric;
    this.#first = first;
  }

  /** The number with these values, in the order of the labels. */
  at(labels: readonly string[]): { value: V } {
    const key = labels.join("\u0000");
    let found = this.#values.get(key);
    if (found === undefined) this.#values.set(key, (found = { labels, value: this.#first() }));
    return found;
  }

  *readings(): Iterable<Reading> {
    const metric = this.#metric;
    for (const { labels, value } of this.#values.values())
      yield { metric, labels: Object.fromEntries(metric.labels.map((name, i) => [name, labels[i]!])), value };
  }
}

export const distributions = (metric: Metric): Series<Distribution> =>
  new Series(metric, () => new Distribution(metric.buckets ?? []));
export const counts = (metric: Metric): Series<number> => new Series(metric, () => 0);
