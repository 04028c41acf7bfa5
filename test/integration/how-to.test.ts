/**
 * Replays the sessions of `docs/how-to`: a block names its terminal, a `$ ` line is typed there, `^C` ends what runs in it, and every other line
 * must appear there from then on, in that order (`…` stands for anything).
 */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { machineWorld } from "../../src/cli/world.ts";

const ROOT = join(import.meta.dirname, "../..");
const skip =
  existsSync("/usr/bin/etcdctl") && existsSync("/usr/bin/curl") ? false : "no etcdctl or curl on this machine";
const PORT = 21_540;
const PATIENCE_MS = 120_000;

interface Block {
  readonly terminal: string;
  readonly lines: readonly string[];
}

function blocks(document: string): readonly Block[] {
  return [...document.matchAll(/^```console (terminal-\d)\n(.*?)^```$/gms)].map(([, terminal, text]) => ({
    terminal: terminal!,
    lines: text!.split("\n").filter((line) => line.trim() !== ""),
  }));
}

/** A shell that keeps its variables from one line to the next. */
class Terminal implements AsyncDisposable {
  readonly #shell: ChildProcess;
  #output = "";
  /** How much of the output has been looked at. */
  #seen = 0;
  #typed = 0;
  #changed = () => {};

  constructor(env: NodeJS.ProcessEnv, cwd: string) {
    this.#shell = spawn("sh", [], { env, cwd, detached: true, stdio: ["pipe", "pipe", "pipe"] });
    for (const pipe of [this.#shell.stdout!, this.#shell.stderr!])
      pipe.on("data", (text: Buffer) => {
        this.#output += text.toString();
        this.#changed();
      });
  }

  /** Waits until what was typed before is done. */
  async type(command: string): Promise<void> {
    if (this.#typed > 0)
      await this.#until(`after its last line, before \`${command}\``, () => this.#output.includes(this.#mark));
    this.#output = "";
    this.#seen = 0;
    this.#typed++;
    this.#shell.stdin!.write(`${command}\necho ${this.#mark.replace("done", "do''ne")}\n`);
  }

  get #mark(): string {
    return `(done ${this.#typed})`.replaceAll(/[()]/g, "@");
  }

  async shows(line: string): Promise<void> {
    const pattern = line
      .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
      .replaceAll("…", ".*?")
      .replace(/\s+/g, "\\s+");
    let found: RegExpExecArray | null = null;
    await this.#until(`shows ${JSON.stringify(line)}`, () => {
      found = new RegExp(pattern).exec(this.#output.slice(this.#seen));
      return found !== null;
    });
    this.#seen += found!.index + found![0].length;
  }

  /** As a terminal does: to what runs in it, and not to the shell. */
  interrupt(): void {
    const children = readFileSync(`/proc/${this.#shell.pid}/task/${this.#shell.pid}/children`, "utf8");
    for (const child of children.trim().split(" ")) if (child !== "") process.kill(Number(child), "SIGINT");
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!holds()) {
      const left = deadline - Date.now();
      assert.ok(left > 0, `${what}: it shows\n${this.#output}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise((resolve) => this.#shell.once("close", resolve));
    process.kill(-this.#shell.pid!, "SIGKILL");
    await exited;
  }
}

for (const [i, file] of globSync("docs/how-to/*.md", { cwd: ROOT }).sort().entries()) {
  const session = blocks(readFileSync(join(ROOT, file), "utf8"));
  if (basename(file) === "README.md") continue;
  describe(file, { skip, concurrency: false }, () => {
    const group = new ComponentGroup();
    const terminals = new Map<string, Terminal>();
    const address = `127.0.0.1:${PORT + i}`;
    let dir = "";
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), "t8s-how-to-"));
      const options = {
        dataDir: join(dir, "how-to.etcd"),
        listenClientUrls: [`http://${address}`],
        advertiseClientUrls: [`http://${address}`],
      };
      await group.start(createEtcd(options, { ...machineWorld(), log: silent, metrics: new Metrics() }));
    });
    after(async () => {
      for (const terminal of terminals.values()) await terminal[Symbol.asyncDispose]();
      await group[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    });

    test("its session runs as it says", { timeout: 300_000 }, async () => {
      assert.ok(session.length > 0, "it has a session");
      const PATH = `${join(ROOT, "bin")}:${process.env["PATH"]}`;
      const env = { PATH, ETCDCTL_ENDPOINTS: `http://${address}`, LC_ALL: "C" };
      for (const { terminal: name, lines } of session) {
        let terminal = terminals.get(name);
        if (terminal === undefined) terminals.set(name, (terminal = new Terminal(env, dir)));
        for (const line of lines) {
          if (line === "^C") terminal.interrupt();
          else if (line.startsWith("$ ")) await terminal.type(line.slice(2).replaceAll("127.0.0.1:2379", address));
          else await terminal.shows(line);
        }
      }
    });
  });
}
