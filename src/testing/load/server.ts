/** An API server to put under load: a process of its own, certificates for whoever asks it, and what it costs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { KeyPair } from "../../cli/certificates.ts";
import { signed } from "../../cli/certificates.ts";
import { ensurePki } from "../../cli/pki.ts";
import { machineWorld } from "../../cli/world.ts";
import { ask, connectTo, type Target } from "./https.ts";
import { freePorts } from "../free-ports.ts";

/** Where a server's certificates and data are. */
export interface Place {
  readonly folder: string;
  /** The administrator, of the group that queues and roles don't hold up. */
  readonly admin: Target;
  /** Anybody of the group `loaders`. */
  user(name: string): Promise<Target>;
  remove(): void;
}

export async function makePlace(port: number, under: string): Promise<Place> {
  const folder = mkdtempSync(join(under, "t8s-load-"));
  const world = machineWorld();
  const pki = await ensurePki(world, join(folder, "pki"), [], []);
  const target = (pair: KeyPair): Target => ({ port, ca: pki.ca.cert, cert: pair.cert, key: pair.key });
  return {
    folder,
    admin: target(pki.admin),
    user: async (name) =>
      target(await signed(world, pki.ca, { commonName: name, organizations: ["loaders"], usages: ["client"] })),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
}

const PROGRAM = join(import.meta.dirname, "../../../tools/load-server.ts");

/** As `bin/t8s` starts one. */
const YOUNG = "--min-semi-space-size=16";

/** An API server with its etcd within. `nodeArgs` go to Node, `words` to the program. */
export function spawnServer(
  place: Place,
  {
    nodeArgs = [],
    words = [],
    log = false,
  }: { nodeArgs?: readonly string[]; words?: readonly string[]; log?: boolean },
): ChildProcess {
  return spawn(
    process.execPath,
    [...process.execArgv, YOUNG, ...nodeArgs, PROGRAM, place.folder, String(place.admin.port), ...words],
    { stdio: ["pipe", "pipe", log ? "inherit" : "ignore"] },
  );
}

/** Until it says that it is ready. */
export async function whenReady(child: ChildProcess, target: Target): Promise<void> {
  const begun = performance.now();
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server has ended with ${child.exitCode}`);
    if (performance.now() - begun > 120_000) throw new Error("the server doesn't get ready");
    const connection = connectTo(target, "HTTP/1.1");
    try {
      await connection.ready;
      if ((await ask(connection, { method: "GET", path: "/readyz" })).status === 200) return;
    } catch {
      // Not yet.
    } finally {
      connection.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** A server with what can be known of it from outside and, by asking it, from within. */
export class LoadServer implements AsyncDisposable {
  readonly place: Place;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #answers: ((line: string) => void)[] = [];

  constructor(place: Place, child: ChildProcess) {
    this.place = place;
    this.#child = child;
    this.pid = child.pid!;
    this.#ended = once(child, "exit");
    createInterface({ input: child.stdout! }).on("line", (line) => this.#answers.shift()?.(line));
  }

  static async start(
    under: string,
    options: { readonly words?: readonly string[]; readonly nodeArgs?: readonly string[]; readonly log?: boolean } = {},
  ): Promise<LoadServer> {
    const place = await makePlace((await freePorts(1))[0]!, under);
    const server = new LoadServer(place, spawnServer(place, options));
    await server.#line();
    return server;
  }

  #line(): Promise<string> {
    const line = new Promise<string>((resolve) => this.#answers.push(resolve));
    return Promise.race([line, this.#ended.then(() => Promise.reject(new Error("the server has ended")))]);
  }

  /** Since it was last asked: the longest turn of its event loop by CPU, and how many took long. */
  async turns(): Promise<{
    readonly longestTurnMs: number;
    readonly turnsOver20Ms: number;
    readonly longestCollectionMs: number;
    readonly heapMb: number;
    readonly buffersMb: number;
  }> {
    this.#child.stdin!.write("\n");
    return JSON.parse(await this.#line());
  }

  /** CPU seconds of the process and all its threads. */
  cpu(): number {
    return cpuOf(this.pid);
  }

  rssMb(): number {
    return this.#memoryMb("VmRSS");
  }

  /** The most that it ever had. */
  peakMb(): number {
    return this.#memoryMb("VmHWM");
  }

  #memoryMb(line: string): number {
    const found = new RegExp(`^${line}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return (Number(found![1]) * 1024) / 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
    this.place.remove();
  }
}

/** What the scheduler has given each thread: ticks of a hundredth of a second would be too coarse for short turns. */
export function cpuOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return nanoseconds / 1e9;
}
