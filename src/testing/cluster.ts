/**
 * A whole cluster for tests: the real `t8s` process in a network namespace and under a host name of its own, with real containers, and the real kubectl
 * and Helm beside it. Everything it makes is gone at the end, and `leftovers` says what isn't.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { archiveOf, busyboxImage, noImages, webImage } from "./images.ts";
import { makeNamespace, type Namespace, noNamespaces } from "./netns.ts";

const ROOT = join(import.meta.dirname, "../..");
export const NODE_ADDRESS = "172.31.20.2";
export const BUSYBOX = "docker.io/library/busybox:1.36";
export const WEB_1 = "docker.io/library/web:1";
export const WEB_2 = "docker.io/library/web:2";

/** Why a cluster with real containers can't be had here, or undefined. */
export function noCluster(clients: string | undefined): string | undefined {
  const why = noNamespaces() ?? noImages();
  if (why !== undefined) return why;
  for (const program of ["containerd", "runc", "conntrack"]) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    } catch {
      return `${program} is missing`;
    }
  }
  return clients === undefined ? "kubectl and helm could not be fetched" : undefined;
}

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that goes on beside the test. */
export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has written up to now, both streams. */
  text(): string;
  readonly exited: Promise<number | null>;
  /** Settles when it has written something that matches. */
  says(pattern: RegExp, timeoutMs?: number): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export class TestCluster implements AsyncDisposable {
  readonly name: string;
  /** The node's name: cgroups bear it, so no two clusters of one machine share one. */
  readonly node: string;
  readonly scratch: string;
  readonly dataDir: string;
  readonly kubeconfig: string;
  private readonly namespace: Namespace;
  private readonly clients: string;
  private readonly before: ReadonlySet<string>;
  private readonly beside = new Set<Running>();
  private process: Running | undefined;

  constructor(name: string, clients: string) {
    this.name = `t8s-${name}-${process.pid}`;
    this.node = this.name;
    this.clients = clients;
    this.scratch = mkdtempSync(join(tmpdir(), `${this.name}-`));
    this.dataDir = join(this.scratch, "data");
    this.kubeconfig = join(this.scratch, "kubeconfig");
    this.before = leftBehind(this.name);
    this.namespace = makeNamespace(this.name);
    // The outside: a link with the node's address and a default route, so that addresses beyond the node have a way out.
    this.namespace.run(
      `ip link add eth0 type veth peer name outside && ip addr add ${NODE_ADDRESS}/24 dev eth0 && ip link set eth0 up && ip link set outside up && ip route add default via 172.31.20.1 dev eth0`,
    );
  }

  /** What the namespace holds apart from its own links: read before the first `up` and after `down`. */
  network(): string {
    return this.namespace.run(
      "ip -o link | cut -d: -f2; ip -o addr | awk '{print $2, $4}'; ip route; iptables-save | grep -- '^-A\\|^:.* - ' || true",
    );
  }

  /** Processes, mounts, cgroups and namespaces that are there now and weren't before. */
  leftovers(): readonly string[] {
    return [...leftBehind(this.name)].filter((line) => !this.before.has(line));
  }

  private environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return {
      PATH: `${this.clients}:${process.env["PATH"]}`,
      HOME: this.scratch,
      KUBECONFIG: this.kubeconfig,
      HELM_CACHE_HOME: join(this.scratch, "helm"),
      // Compiled code is shared between clusters: compiling it again for each would be half of every start.
      XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
      NODE_OPTIONS: process.env["T8S_NODE_OPTIONS"] ?? "",
      TERM: "xterm",
      ...more,
    };
  }

  private named(command: string, args: readonly string[]): readonly string[] {
    return ["unshare", "--uts", "sh", "-c", `hostname ${this.node} && exec "$@"`, "sh", command, ...args];
  }

  /** Starts a program in the namespace, under the cluster's host name. */
  start(command: string, args: readonly string[], options: RunOptions = {}): Running {
    const child = spawn(this.namespace.enter[0], [this.namespace.enter[1], ...this.named(command, args)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: this.environment(options.env),
      cwd: this.scratch,
    });
    child.stdin.on("error", () => {});
    let text = "";
    let wake = () => {};
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (data: string) => {
        text += data;
        wake();
      });
    const exited = new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        resolve(code);
        wake();
      });
    });
    const running: Running = {
      pid: child.pid!,
      child,
      text: () => text,
      exited,
      says: async (pattern, timeoutMs = 120_000) => {
        const deadline = Date.now() + timeoutMs;
        while (!pattern.test(text)) {
          if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline)
            throw new Error(`${command} ${args.join(" ")} never said ${pattern}, but:\n${text}`);
          await Promise.race([
            new Promise<void>((resolve) => {
              wake = resolve;
            }),
            sleep(100),
          ]);
        }
      },
      stop: async (signal = "SIGTERM") => {
        child.kill(signal);
        await exited;
      },
    };
    this.beside.add(running);
    void exited.then(() => this.beside.delete(running));
    return running;
  }

  /** Runs a program in the namespace to its end. */
  async run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const child = spawn(this.namespace.enter[0], [this.namespace.enter[1], command, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: this.environment(options.env),
      cwd: this.scratch,
    });
    const chunks: { out: string; err: string } = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (data: string) => (chunks.out += data));
    child.stderr.setEncoding("utf8").on("data", (data: string) => (chunks.err += data));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input);
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 240_000);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    clearTimeout(timer);
    return { code, ...chunks };
  }

  /** A shell line in the namespace; its output, or an error that shows it. */
  sh(line: string, options: RunOptions = {}): Promise<string> {
    return this.succeeding("sh", ["-ec", line], options);
  }

  /** kubectl with these words; its output, or an error that shows what it said. */
  kubectl(words: string | readonly string[], options: RunOptions = {}): Promise<string> {
    return this.succeeding("kubectl", split(words), options);
  }

  /** kubectl that is expected to fail; what it said on standard error. */
  async refused(words: string | readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, out, err } = await this.run("kubectl", split(words), options);
    if (code === 0) throw new Error(`kubectl ${String(words)} was expected to fail and said:\n${out}${err}`);
    return err;
  }

  apply(yaml: string, ...more: readonly string[]): Promise<string> {
    return this.kubectl(["apply", "-f", "-", ...more], { input: yaml });
  }

  async get<T = any>(words: string): Promise<T> {
    return JSON.parse(await this.kubectl(`get ${words} -o json`)) as T;
  }

  helm(words: string | readonly string[]): Promise<string> {
    return this.succeeding("helm", split(words));
  }

  private async succeeding(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, out, err } = await this.run(command, args, options);
    if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${out}${err}`);
    return out;
  }

  /** Waits until `reached` gives something true and returns that. Errors count as "not yet". */
  async until<T>(reached: () => Promise<T>, words: string, timeoutMs = 120_000): Promise<NonNullable<T>> {
    const deadline = Date.now() + timeoutMs;
    let last: unknown = "nothing";
    for (;;) {
      try {
        const value = await reached();
        if (value) return value;
        last = value;
      } catch (error) {
        last = error;
      }
      if (Date.now() > deadline)
        throw new Error(
          `not in ${timeoutMs / 1000} s: ${words}; last seen: ${last instanceof Error ? last.message : String(last)}`,
        );
      await sleep(100);
    }
  }

  /** What its log tells of as an error; not that something took too long, as it may on a busy machine. */
  errors(): readonly string[] {
    return this.log()
      .split("\n")
      .filter(
        (line) =>
          line.startsWith("E") && !/timed out|deadline exceeded|etcdserver: (leader changed|too many)/.test(line),
      );
  }

  t8s(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const [program, ...rest] = this.named("sh", [join(ROOT, "tools/node.sh"), join(ROOT, "src/cli/main.ts"), ...args]);
    return this.run(program!, rest, options);
  }

  get pid(): number {
    return this.process!.pid;
  }

  /** `t8s up` in the foreground; settles when it says that it is ready, with what it printed. */
  async up(...args: readonly string[]): Promise<string> {
    this.process = this.start("sh", [
      join(ROOT, "tools/node.sh"),
      join(ROOT, "src/cli/main.ts"),
      "up",
      "--data-dir",
      this.dataDir,
      ...args,
    ]);
    await this.process.says(/Try:/, 60_000);
    return this.process.text();
  }

  /** Ends `t8s up` with a signal and waits for the end of the process. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<string> {
    await this.process!.stop(signal);
    return this.process!.text();
  }

  /** Loads the images of the tests. */
  async load(): Promise<void> {
    const file = join(this.scratch, "images.tar");
    if (!existsSync(file))
      writeFileSync(file, archiveOf(busyboxImage(BUSYBOX), webImage("one\n", WEB_1), webImage("two\n", WEB_2)));
    const { code, out, err } = await this.t8s(["image", "load", file, "--data-dir", this.dataDir]);
    if (code !== 0) throw new Error(`images were not loaded:\n${out}${err}`);
  }

  log(): string {
    return readFileSync(join(this.dataDir, "t8s.log"), "utf8");
  }

  file(name: string, text: string): string {
    const path = join(this.scratch, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.beside) if (running !== this.process) await running.stop("SIGKILL");
    if (this.process !== undefined && this.process.child.exitCode === null && this.process.child.signalCode === null)
      await this.process.stop();
    if (existsSync(join(this.dataDir, "cluster.json"))) await this.t8s(["down", "--data-dir", this.dataDir]);
    this.namespace[Symbol.dispose]();
    if (process.env["T8S_KEEP"] === undefined) rmSync(this.scratch, { recursive: true, force: true });
  }
}

const split = (words: string | readonly string[]): readonly string[] =>
  typeof words === "string" ? words.split(" ") : words;

/** Processes, mounts and cgroups whose description holds `name`, and all pod network namespaces. */
function leftBehind(name: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const file of globSync("/proc/[0-9]*/cmdline")) {
    try {
      const line = readFileSync(file, "utf8").replaceAll("\0", " ");
      if (line.includes(name)) found.add(`process ${file.split("/")[2]}: ${line}`);
    } catch {
      // It ended meanwhile.
    }
  }
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n"))
    if (line.includes(name) && !line.includes("/run/netns/")) found.add(`mount ${line.split(" ")[4]}`);
  for (const path of globSync(`/sys/fs/cgroup/{*/,}t8s-${name}*`)) found.add(`cgroup ${path}`);
  for (const path of globSync(`/run/netns/t8s-${name}*`)) found.add(`network namespace ${path}`);
  return found;
}
