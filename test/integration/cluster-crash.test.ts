/** `kill -9` in the middle of creates, torn and damaged logs: what was acknowledged is there afterwards, whole. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const ROOT = join(import.meta.dirname, "../..");

/** A cluster on simulated nodes needs no privileges, and what is tested here lies above them. */
class SimulatedCluster {
  readonly dir = mkdtempSync(join(tmpdir(), "t8s-crash-"));
  private child: ChildProcess | undefined;
  private agent: Agent | undefined;
  private server = "";
  said = "";

  /** Settles when the cluster is ready, with true, or has ended, with false. */
  async up(): Promise<boolean> {
    const child = spawn(
      "sh",
      [
        join(ROOT, "tools/node.sh"),
        join(ROOT, "src/cli/main.ts"),
        ..."up --runtime simulated --port 0 --kubeconfig-merge=false --data-dir".split(" "),
        this.dir,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.child = child;
    this.said = "";
    const ready = new Promise<boolean>((resolve) => {
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (data: string) => {
          this.said += data;
          if (this.said.includes("Try:")) resolve(true);
        });
      child.once("close", () => resolve(false));
    });
    if (!(await ready)) return false;
    const config = readFileSync(join(this.dir, "kubeconfig"), "utf8");
    const data = (name: string) =>
      Buffer.from(new RegExp(`${name}: "?([A-Za-z0-9+/=]+)`).exec(config)![1]!, "base64").toString();
    this.server = /server: "?(https:[^\s"]+)/.exec(config)![1]!;
    this.agent = new Agent({
      keepAlive: true,
      maxSockets: 16,
      ca: data("certificate-authority-data"),
      cert: data("client-certificate-data"),
      key: data("client-key-data"),
    });
    return true;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.agent?.destroy();
    const child = this.child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "close");
  }

  ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: any }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.server}${path}`,
        { method, agent: this.agent!, headers: { "content-type": "application/json" } },
        (response) => {
          const chunks: Buffer[] = [];
          response
            .on("data", (chunk: Buffer) => chunks.push(chunk))
            .on("error", reject)
            .on("end", () => {
              try {
                resolve({ status: response.statusCode!, body: JSON.parse(Buffer.concat(chunks).toString()) });
              } catch (error) {
                reject(error as Error);
              }
            });
        },
      );
      sent.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Creates this many config maps that carry the sum of their content; `acknowledged` gets the names that the server confirmed. */
  async create(prefix: string, count: number, acknowledged: Set<string>): Promise<void> {
    await Promise.allSettled(Array.from({ length: count }, (_, i) => this.#createOne(`${prefix}-${i}`, acknowledged)));
  }

  /** So many at a time, until the server is no more. */
  async createOn(prefix: string, atOnce: number, acknowledged: Set<string>): Promise<void> {
    let i = 0;
    const lane = async () => {
      for (;;) await this.#createOne(`${prefix}-${i++}`, acknowledged);
    };
    await Promise.allSettled(Array.from({ length: atOnce }, lane));
  }

  async #createOne(name: string, acknowledged: Set<string>): Promise<void> {
    const text = randomBytes(700).toString("hex");
    const { status } = await this.ask("POST", "/api/v1/namespaces/default/configmaps", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, labels: { made: "here" } },
      data: { text, sum: createHash("sha256").update(text).digest("hex") },
    });
    if (status === 201) acknowledged.add(name);
  }

  /** The names of those that are there, each checked to be whole. */
  async found(): Promise<Set<string>> {
    const { body } = await this.ask("GET", "/api/v1/namespaces/default/configmaps?labelSelector=made%3Dhere");
    for (const { metadata, data } of body.items)
      assert.equal(createHash("sha256").update(data.text).digest("hex"), data.sum, `${metadata.name} is whole`);
    return new Set(body.items.map(({ metadata }: any) => metadata.name as string));
  }

  /** The newest WAL file of etcd and where its records end. */
  wal(): { readonly path: string; readonly bytes: Buffer; readonly end: number } {
    const folder = join(this.dir, "etcd/member/wal");
    const path = join(
      folder,
      readdirSync(folder)
        .filter((name) => name.endsWith(".wal"))
        .sort()
        .at(-1)!,
    );
    const bytes = readFileSync(path);
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    return { path, bytes, end };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const missing = (wanted: ReadonlySet<string>, found: ReadonlySet<string>) =>
  [...wanted].filter((name) => !found.has(name));

describe("a cluster that dies", { skip: process.platform === "win32" && "needs signals" }, () => {
  const cluster = new SimulatedCluster();
  const acknowledged = new Set<string>();
  before(async () => assert.ok(await cluster.up(), cluster.said));
  after(() => cluster[Symbol.asyncDispose]());

  test("ten times kill -9 in the middle of creates, 200 at a time: all that was acknowledged is there, and nothing is torn", async () => {
    for (let round = 0; round < 10; round++) {
      const before = acknowledged.size;
      const creating = cluster.createOn(`round-${round}`, 200, acknowledged);
      while (acknowledged.size - before < 5 + round * 15) await sleep(1);
      await cluster.end("SIGKILL");
      await creating;
      assert.ok(await cluster.up(), cluster.said);
      assert.deepEqual(missing(acknowledged, await cluster.found()), [], `after round ${round}`);
    }
  });

  test("a log that was torn in its last record loses that record alone", async () => {
    for (let i = 0; i < 5; i++) await cluster.create(`last-${i}`, 1, acknowledged);
    await cluster.end("SIGKILL");
    const { path, bytes, end } = cluster.wal();
    // A write of which the last sectors never reached the disk: the zeros that were prepared there are still there.
    const torn = Buffer.from(bytes);
    torn.fill(0, Math.floor((end - 100) / 512) * 512);
    writeFileSync(path, torn);
    assert.ok(await cluster.up(), cluster.said);
    const lost = missing(acknowledged, await cluster.found());
    assert.ok(lost.length <= 1, `lost: ${lost.join()}`);
    for (const name of lost) acknowledged.delete(name);
    await cluster.create("afterwards", 20, acknowledged);
    await cluster.end("SIGKILL");
    assert.ok(await cluster.up(), cluster.said);
    assert.deepEqual(missing(acknowledged, await cluster.found()), []);
  });

  test("a log that is damaged in its middle stops the start with etcd's words, and is left as it is", async () => {
    await cluster.end("SIGTERM");
    const { path, bytes, end } = cluster.wal();
    const damaged = Buffer.from(bytes);
    const at = Math.floor(end / 2);
    damaged[at] = damaged[at]! ^ 0xff;
    writeFileSync(path, damaged);
    assert.equal(await cluster.up(), false, "it must not start");
    assert.match(cluster.said, /crc mismatch|unmarshal|wal: /);
    assert.ok(readFileSync(path).equals(damaged), "the log is as it was");
    writeFileSync(path, bytes);
    assert.ok(await cluster.up(), cluster.said);
    assert.deepEqual(missing(acknowledged, await cluster.found()), []);
  });
});
