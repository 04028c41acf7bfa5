/**
 * Metrics of the server's own control loops, under the names of upstream's work queues. There are no queues here: an event is handled as soon as it
 * is received.
 * Upstream: client-go/util/workqueue/metrics.go
 */
import {
  adds,
  depth,
  longestRunning,
  queueDuration,
  retries,
  unfinishedWork,
  workDuration,
} from "../client/workqueue/metrics.ts";
import type { Metrics, Reading } from "../observe/metrics.ts";
import { counts, distributions } from "../observe/series.ts";
import type { Clock } from "../world/world.ts";

export class OwnQueues {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #adds = counts(adds);
  readonly #depth = counts(depth);
  readonly #waited = distributions(queueDuration);
  readonly #worked = distributions(workDuration);
  readonly #retries = counts(retries);
  /** When what is being done began, by queue. */
  readonly #running = new Map<string, Set<{ readonly since: number }>>();

  constructor(metrics: Metrics, clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
    metrics.from(() => this.#read());
  }

  /** Call it when something turns up, and what it gives with the work, when its turn comes. */
  add(name: string): <T>(work: () => Promise<T>) => Promise<T> {
    const added = this.#clock.monotonic();
    this.#adds.at([name]).value++;
    this.#retries.at([name]);
    const waiting = this.#depth.at([name]);
    waiting.value++;
    return async (work) => {
      const since = this.#clock.monotonic();
      waiting.value--;
      this.#waited.at([name]).value.observe((since - added) / 1000);
      const run = { since };
      let running = this.#running.get(name);
      if (running === undefined) this.#running.set(name, (running = new Set()));
      running.add(run);
      try {
        return await work();
      } finally {
        running.delete(run);
        this.#worked.at([name]).value.observe((this.#clock.monotonic() - since) / 1000);
      }
    };
  }

  /** Something of this queue failed, and will be added again. */
  retried(name: string): void {
    this.#retries.at([name]).value++;
  }

  /** For what is done at once. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.add(name)(work);
  }

  *#read(): Iterable<Reading> {
    for (const series of [this.#adds, this.#depth, this.#waited, this.#worked, this.#retries]) yield* series.readings();
    const now = this.#clock.monotonic();
    for (const [name, running] of this.#running) {
      const seconds = [...running].map(({ since }) => (now - since) / 1000);
      yield { metric: unfinishedWork, labels: { name }, value: seconds.reduce((sum, one) => sum + one, 0) };
      yield { metric: longestRunning, labels: { name }, value: Math.max(0, ...seconds) };
    }
  }
}
