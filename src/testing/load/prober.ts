/**
 * Gets one object again and again, a hundred times a second, while others load the server: what they do to somebody who wants little. Each get has its
 * time, and how long it took counts from there, also where the prober itself came late. It runs in a thread of its own, so that it waits for the
 * server and not for its own process.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { quantile } from "./figures.ts";
import { ask, connectTo, type Target } from "./https.ts";

export interface Probed {
  readonly gets: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How late the prober itself was, at the 99th percentile: the machine's doing. */
  readonly lateP99: number;
  readonly failed: number;
}

const EVERY_MS = 10;

export class Prober {
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;

  constructor(target: Target, path: string) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { target, path } });
    this.#ready = this.#message();
  }

  #message<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#worker.once("message", resolve);
      this.#worker.once("error", reject);
    });
  }

  /** When it is connected. */
  get ready(): Promise<unknown> {
    return this.#ready;
  }

  async begin(): Promise<void> {
    const begun = this.#message();
    this.#worker.postMessage("begin");
    await begun;
  }

  async end(): Promise<Probed> {
    const answer = this.#message<Probed>();
    this.#worker.postMessage("end");
    return answer;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (parentPort !== null && workerData?.path !== undefined) await probe(workerData as never);

async function probe({ target, path }: { readonly target: Target; readonly path: string }): Promise<void> {
  const connection = connectTo(target, "HTTP/2");
  await connection.ready;
  const get = async () => (await ask(connection, { method: "GET", path })).status === 200;
  for (let i = 0; i < 20; i++) await get();
  const latencies: number[] = [];
  const late: number[] = [];
  let failed = 0;
  let open = 0;
  let timer: NodeJS.Timeout | undefined;
  const askAt = (due: number) => {
    open++;
    late.push(performance.now() - due);
    void get().then((well) => {
      open--;
      latencies.push(performance.now() - due);
      if (!well) failed++;
    });
  };
  parentPort!.on("message", async (what: "begin" | "end") => {
    if (what === "begin") {
      let due = performance.now() + EVERY_MS;
      const next = () => {
        for (; due <= performance.now(); due += EVERY_MS) askAt(due);
        timer = setTimeout(next, Math.max(0, due - performance.now()));
      };
      next();
      parentPort!.postMessage("begun");
      return;
    }
    clearTimeout(timer);
    for (let i = 0; open > 0 && i < 1000; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    failed += open;
    parentPort!.postMessage({
      gets: latencies.length,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      max: quantile(latencies, 1),
      lateP99: quantile(late, 0.99),
      failed,
    } satisfies Probed);
  });
  parentPort!.postMessage("ready");
}
