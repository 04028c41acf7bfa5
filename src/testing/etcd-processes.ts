/** Members of an etcd cluster as processes of this machine: ours, and others' programs with the same flags. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { machineWorld } from "../cli/world.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { connectEtcd, etcdCodec } from "../protocols/etcd/connect.ts";
import { Cluster } from "../protocols/etcd/generated.ts";
import { grpcClient } from "../wire/rpc/grpc-client.ts";
import type { Client } from "../wire/rpc/service.ts";
import type { HttpClient } from "../world/net.ts";
import { freePorts } from "./free-ports.ts";

/** Ours, or the path of another's program. */
export type Program = "ours" | (string & {});

export interface EtcdProcess {
  readonly name: string;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly client: EtcdClient;
  readonly cluster: Client<typeof Cluster>;
  /** All that it has said, in this run and those before. */
  readonly log: string;
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  readonly state?: "new" | "existing";
  /** Those of a cluster found by other means: nothing is said of it then. */
  readonly initialCluster?: string | undefined;
  readonly flags?: readonly string[];
  /** Without waiting until it answers. */
  readonly unready?: boolean;
}

const READY = /ready to serve client requests|serving insecure client requests|serving client (traffic|requests)/;
const CLI = join(import.meta.dirname, "../cli/main.ts");

export class EtcdProcesses implements AsyncDisposable {
  readonly #dir: string;
  readonly #processes = new Map<string, Member>();
  readonly #ports = new Map<string, readonly [client: number, peer: number]>();

  readonly #peerScheme: "http" | "https";

  private constructor(dir: string, peerScheme: "http" | "https") {
    this.#dir = dir;
    this.#peerScheme = peerScheme;
  }

  static async create(peerScheme: "http" | "https" = "http"): Promise<EtcdProcesses> {
    return new EtcdProcesses(await mkdtemp(join(tmpdir(), "t8s-etcd-cluster-")), peerScheme);
  }

  /** Ports for these names, kept for later starts. */
  async reserve(names: readonly string[]): Promise<void> {
    const ports = await freePorts(2 * names.length);
    names.forEach((name, i) => this.#ports.set(name, [ports[2 * i]!, ports[2 * i + 1]!]));
  }

  peerUrl(name: string): string {
    return `${this.#peerScheme}://127.0.0.1:${this.#ports.get(name)![1]}`;
  }

  /** `--initial-cluster` of these. */
  clusterOf(names: readonly string[]): string {
    return names.map((name) => `${name}=${this.peerUrl(name)}`).join(",");
  }

  dataDir(name: string): string {
    return join(this.#dir, name);
  }

  async start(program: Program, name: string, options: StartOptions = {}): Promise<EtcdProcess> {
    const [clientPort] = this.#ports.get(name)!;
    const endpoint = `http://127.0.0.1:${clientPort}`;
    const { state = "new", initialCluster = this.clusterOf([name]), flags = [] } = options;
    const words = [
      `--name=${name}`,
      `--data-dir=${this.dataDir(name)}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${this.peerUrl(name)}`,
      `--initial-advertise-peer-urls=${this.peerUrl(name)}`,
      ...(initialCluster === "" ? [] : [`--initial-cluster=${initialCluster}`]),
      `--initial-cluster-state=${state}`,
      ...flags,
    ];
    const [command, first] = program === "ours" ? [process.execPath, [CLI, "etcd"]] : [program, []];
    const child = spawn(command, [...first, ...words], { stdio: ["ignore", "pipe", "pipe"], cwd: this.#dir });
    const member = new Member(name, endpoint, this.peerUrl(name), child);
    await this.#processes.get(name)?.close();
    this.#processes.set(name, member);
    if (options.unready !== true) await member.ready();
    return member;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.#processes.values()) {
      await member.close();
      await member.kill("SIGKILL");
    }
    await rm(this.#dir, { recursive: true, force: true });
  }
}

class Member implements EtcdProcess {
  readonly name: string;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly client: EtcdClient;
  readonly cluster: Client<typeof Cluster>;
  readonly exited: Promise<number | null>;
  log = "";
  readonly #http: HttpClient;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;

  constructor(name: string, endpoint: string, peerUrl: string, child: ChildProcess) {
    const world = machineWorld();
    this.name = name;
    this.endpoint = endpoint;
    this.peerUrl = peerUrl;
    this.client = connectEtcd(world, { endpoints: [endpoint] });
    this.#http = world.net.httpClient({ base: endpoint, version: "2" });
    this.cluster = grpcClient(Cluster, { http: this.#http, clock: world.clock, codec: etcdCodec() });
    this.#child = child;
    // With all that it has said: it may have ended before that is read.
    this.exited = new Promise((resolve) => child.once("close", resolve));
    this.#ready = new Promise((resolve, reject) => {
      const hear = (chunk: Buffer) => {
        this.log += chunk.toString();
        if (READY.test(this.log)) resolve();
      };
      child.stdout!.on("data", hear);
      child.stderr!.on("data", hear);
      child.once("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${this.log.slice(-3000)}`)));
    });
    this.#ready.catch(() => {});
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.exited;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.#http.close();
  }
}
