/**
 * Gets one object again and again, a hundred times a second, while others load the server: what they do to somebody who wants little. It runs in a
 * thread of its own, so that it waits for the server and not for its own process.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { quantile } from "./figures.ts";
import { ask, connectTo, type Target } from "./https.ts";

export interface Probed {
  readonly gets: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly failed: number;
}

const EVERY_MS = 10;

export class Prober {
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;

  constructor(target: Target, path: string) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { target, path } });
    this.#ready = new Promise((resolve) => this.#worker.once("message", resolve));
  }

  /** Begins, when the first get is answered. */
  get begun(): Promise<unknown> {
    return this.#ready;
  }

  async end(): Promise<Probed> {
    const answer = new Promise<Probed>((resolve) => this.#worker.once("message", resolve));
    this.#worker.postMessage("end");
    const probed = await answer;
    await this.#worker.terminate();
    return probed;
  }
}

if (parentPort !== null && workerData?.path !== undefined) await probe(workerData as never);

async function probe({ target, path }: { readonly target: Target; readonly path: string }): Promise<void> {
  const connection = connectTo(target, "HTTP/2");
  await connection.ready;
  const get = async () => (await ask(connection, { method: "GET", path })).status === 200;
  for (let i = 0; i < 20; i++) await get();
  const latencies: number[] = [];
  let failed = 0;
  let open = 0;
  parentPort!.postMessage("begun");
  const timer = setInterval(() => {
    // Not one after the other: who waits long would ask rarely, and be counted once.
    const asked = performance.now();
    open++;
    void get().then((well) => {
      open--;
      latencies.push(performance.now() - asked);
      if (!well) failed++;
    });
  }, EVERY_MS);
  parentPort!.once("message", async () => {
    clearInterval(timer);
    for (let i = 0; open > 0 && i < 500; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    failed += open;
    parentPort!.postMessage({
      gets: latencies.length,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      max: quantile(latencies, 1),
      failed,
    } satisfies Probed);
  });
}
