/**
 * Puts a second, ours beside Debian's etcd: 1, 64 and 256 clients, 8-byte keys, 256-byte values, over gRPC, each put durable before it is
 * answered. Both servers run in processes of their own on the same disk, and are loaded in turn by the same client. Prints the ratio.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectEtcd } from "../src/protocols/etcd/connect.ts";
import type { EtcdClient } from "../src/protocols/etcd/client.ts";
import { ComponentGroup } from "../src/base/component-group.ts";
import { createEtcd } from "../src/etcd/server.ts";
import { silent } from "../src/observe/log.ts";
import { Metrics } from "../src/observe/metrics.ts";
import { machineWorld } from "../src/cli/world.ts";
import { usage } from "./kit/machine.ts";

/** Of load on each server, for each number of clients. */
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 4);
const ROUNDS = 4;
const CLIENTS = [1, 64, 256];
/** Clients share connections, as 100 to 1000 clients of upstream's own benchmark share theirs. */
const CONNECTIONS = 8;
const PORT = Number(process.env["BENCH_PORT"] ?? 22_500);

if (process.argv[2] === "serve") {
  const [, , , port, dataDir] = process.argv;
  const group = new ComponentGroup();
  await group.start(
    createEtcd(
      { dataDir: dataDir!, listenClientUrls: [`http://127.0.0.1:${port}`] },
      { ...machineWorld(), log: silent, metrics: new Metrics() },
    ),
  );
  process.once("SIGTERM", () => void group[Symbol.asyncDispose]().then(() => process.exit()));
} else await compare();

async function compare(): Promise<void> {
  await using theirs = await running(startUpstream, PORT);
  await using ours = await running(startOurs, PORT + 10);
  console.log("clients      etcd puts/s  p50 ms  p99 ms  µs each       t8s puts/s  p50 ms  p99 ms  µs each    ratio");
  for (const count of CLIENTS) {
    // In short turns, so that whatever else the machine does hits both.
    const [a, b]: [Result[], Result[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      a.push(await load(theirs, count, SECONDS / ROUNDS));
      b.push(await load(ours, count, SECONDS / ROUNDS));
    }
    const [one, other] = [total(a), total(b)];
    const cells = ({ perSecond, p50, p99, cpu }: Summary) =>
      `${perSecond.toFixed(0).padStart(16)}${p50.toFixed(2).padStart(8)}${p99.toFixed(2).padStart(8)}${cpu.toFixed(0).padStart(9)}`;
    const ratio = (other.perSecond / one.perSecond).toFixed(2);
    console.log(`${String(count).padStart(7)}${cells(one)} ${cells(other)} ${ratio.padStart(8)}x`);
  }
}

async function running(start: typeof startOurs, port: number) {
  const dataDir = mkdtempSync(join(tmpdir(), "bench-etcd-"));
  const child = start(port, dataDir);
  const clients = Array.from({ length: CONNECTIONS }, () =>
    connectEtcd(machineWorld(), { endpoints: [`http://127.0.0.1:${port}`] }),
  );
  await untilReady(clients[0]!);
  const server: Server = { clients, pid: child.pid! };
  await load(server, 64, 1); // Warm up.
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await exited;
      rmSync(dataDir, { recursive: true });
    },
  };
}

interface Server {
  readonly clients: readonly EtcdClient[];
  readonly pid: number;
}
interface Result {
  /** CPU seconds of the server. */
  readonly cpu: number;
  readonly seconds: number;
  readonly latencies: readonly number[];
}
interface Summary {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of the server's CPU for each. */
  readonly cpu: number;
}

function total(results: readonly Result[]): Summary {
  const latencies = results.flatMap((result) => result.latencies).sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? 0;
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
  const cpu = results.reduce((sum, result) => sum + result.cpu, 0);
  return {
    perSecond: latencies.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpu: (cpu * 1e6) / latencies.length,
  };
}

async function load({ clients, pid }: Server, count: number, seconds: number): Promise<Result> {
  const value = Buffer.alloc(256, "v");
  const latencies: number[] = [];
  const before = usage(pid);
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: count }, async (_, worker) => {
      const { kv } = clients[worker % clients.length]!;
      for (let i = 0; ; i++) {
        const asked = performance.now();
        if (asked >= end) return;
        const key = Buffer.from(String((worker * 7919 + i * 31) % 100_000).padStart(8, "0"));
        await kv.Put({ key, value });
        latencies.push(performance.now() - asked);
      }
    }),
  );
  return { seconds: (performance.now() - started) / 1000, latencies, cpu: usage(pid).cpu - before.cpu };
}

async function untilReady(client: EtcdClient): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await client.kv.Range({ key: Buffer.from("x") }, { timeoutMs: 1000 });
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function startUpstream(port: number, dataDir: string): ChildProcess {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  return spawn(
    "/usr/bin/etcd",
    [
      "--data-dir",
      dataDir,
      "--listen-client-urls",
      client,
      "--advertise-client-urls",
      client,
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--initial-cluster",
      `default=${peer}`,
    ],
    { stdio: "ignore" },
  );
}

function startOurs(port: number, dataDir: string): ChildProcess {
  return spawn(
    process.execPath,
    [
      ...process.execArgv,
      ...(process.env["BENCH_PROFILE"] ? ["--cpu-prof", "--cpu-prof-dir", process.env["BENCH_PROFILE"]] : []),
      import.meta.filename,
      "serve",
      String(port),
      dataDir,
    ],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
}
