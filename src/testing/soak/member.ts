/** One member of the cluster: a machine, a data folder, and the process that is there or not. */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import { connectEtcd, etcdCodec } from "../../protocols/etcd/connect.ts";
import { Cluster } from "../../protocols/etcd/generated.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { Machine } from "./sandbox.ts";

const CLI = join(import.meta.dirname, "../../cli/main.ts");
const FLAGS = ["--snapshot-count=500", "--snapshot-catchup-entries=100", "--heartbeat-interval=100"];

export class SoakMember {
  readonly machine: Machine;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly client: EtcdClient;
  readonly cluster: Client<typeof Cluster>;
  readonly logFile: string;
  /** Another's program with the same flags, where it isn't ours that runs. */
  program: string | undefined;
  dataDir: string;
  /** Changes with the disk: a member that was removed doesn't come back under its id. */
  #generation = 0;
  /** The one that runs, or lies still. */
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** It may end by itself, as from a full disk. */
  mayEnd = false;
  isStopped = false;
  /** Ends that nobody caused. */
  readonly onEnd: (member: SoakMember, how: string) => void;

  constructor(machine: Machine, dir: string, world: World, onEnd: (member: SoakMember, how: string) => void) {
    this.machine = machine;
    this.endpoint = `http://${machine.address}:2379`;
    this.peerUrl = `http://${machine.address}:2380`;
    this.logFile = join(dir, `${machine.name}.log`);
    this.dataDir = join(dir, machine.name);
    this.client = connectEtcd(world, { endpoints: [this.endpoint] });
    const http = world.net.httpClient({ base: this.endpoint, version: "2", connectTimeoutMs: 5000 });
    this.cluster = grpcClient(Cluster, { http, clock: world.clock, codec: etcdCodec() });
    this.onEnd = onEnd;
  }

  get name(): string {
    return this.#generation === 0 ? this.machine.name : `${this.machine.name}-${this.#generation}`;
  }
  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  start(initialCluster: string): void {
    const { endpoint, peerUrl, machine } = this;
    const [command, first] =
      this.program === undefined
        ? [process.execPath, ["--disable-warning=ExperimentalWarning", CLI, "etcd"]]
        : [this.program, []];
    const words = [
      ...machine.enter.slice(1),
      command,
      ...first,
      `--name=${this.name}`,
      `--data-dir=${join(this.dataDir, `data${this.#generation}`)}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${initialCluster}`,
      // Killed before it had a log, a new one must not take itself for one of the first.
      `--initial-cluster-state=${this.#generation === 0 ? "new" : "existing"}`,
      ...FLAGS,
    ];
    const child = spawn(machine.enter[0], words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, GOFAIL_HTTP: `${machine.address}:2381` },
    });
    const hear = (chunk: Buffer) => appendFileSync(this.logFile, chunk);
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        if (this.#child === child) {
          this.#child = undefined;
          if (!this.mayEnd) this.onEnd(this, signal ?? `exit code ${code}`);
        }
        resolve();
      });
    });
  }

  /** And is gone when this resolves. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.isStopped = false;
    child?.kill("SIGCONT");
    child?.kill(signal);
    await this.#ended;
  }

  /** It ends of what was done to it, or not in time. */
  async ended(withinMs: number): Promise<boolean> {
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, withinMs, false));
    return Promise.race([this.#ended.then(() => true), late]);
  }

  /** SIGSTOP and SIGCONT. */
  hold(): void {
    this.isStopped = true;
    this.#child?.kill("SIGSTOP");
  }
  letGo(): void {
    this.isStopped = false;
    this.#child?.kill("SIGCONT");
  }

  /** As a new machine with the old one's address. */
  replace(): void {
    rmSync(join(this.dataDir, `data${this.#generation}`), { recursive: true, force: true });
    this.#generation++;
  }

  async failpoint(name: string, terms: string): Promise<void> {
    const response = await fetch(`http://${this.machine.address}:2381/${name}`, {
      method: "PUT",
      body: terms,
      signal: AbortSignal.timeout(5000),
    });
    if (response.status !== 204) throw new Error(`failpoint ${name}: ${await response.text()}`);
  }

  /** Of the process, at its highest. */
  get peakMegabytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
      return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
    } catch {
      return 0; // It has ended meanwhile.
    }
  }

  logTail(bytes = 3000): string {
    return readFileSync(this.logFile, "utf8").slice(-bytes);
  }
}
