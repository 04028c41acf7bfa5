/** etcd to measure, ours and Debian's: each member a process of its own, all on the same disk. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { connectEtcd } from "../../src/protocols/etcd/connect.ts";
import type { EtcdClient } from "../../src/protocols/etcd/client.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { cpuOf } from "../../src/testing/load/server.ts";
import { memory } from "./machine.ts";

export type Kind = "etcd" | "t8s" | "t8s over node:http2";

/** Not /tmp where that is memory: the disk is part of what is measured. */
const FOLDER = process.env["BENCH_DIR"] ?? "/var/tmp";
const ROOT = join(import.meta.dirname, "../..");

export interface EtcdServer {
  readonly kind: Kind;
  readonly port: number;
  readonly pid: number;
  readonly client: EtcdClient;
  /** From the start of the process to the first answer. */
  readonly readyMs: number;
  /** CPU seconds of the process and all its threads, to the nanosecond. */
  cpu(): number;
  rssMb(): number;
  /** Ends the process, and starts another on the same data. */
  restart(): Promise<EtcdServer>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Place {
  readonly port: number;
  readonly dataDir: string;
  readonly name: string;
  /** `name=url,…` of all members. */
  readonly cluster: string;
}

export function placeAt(port: number, name = "default", cluster = `default=http://127.0.0.1:${port + 1}`): Place {
  return { port, dataDir: mkdtempSync(join(FOLDER, "bench-etcd-")), name, cluster };
}

export async function startEtcd(kind: Kind, place: Place, remove = true): Promise<EtcdServer> {
  const begun = performance.now();
  const child = spawned(kind, place);
  child.on("error", (error) => {
    throw error;
  });
  const ended = once(child, "exit");
  const client = connectEtcd(machineWorld(), { endpoints: [`http://127.0.0.1:${place.port}`] });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${kind} has ended with ${child.exitCode}`);
    if (performance.now() - begun > 120_000) throw new Error(`${kind} doesn't answer`);
    try {
      await client.kv.Range({ key: Buffer.from("x") }, { timeoutMs: 60_000 });
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }
  const readyMs = performance.now() - begun;
  const pid = child.pid!;
  const stop = async () => {
    client.close();
    child.kill("SIGTERM");
    await ended;
  };
  return {
    kind,
    port: place.port,
    pid,
    client,
    readyMs,
    cpu: () => cpuOf(pid),
    rssMb: () => memory(pid).rssMb,
    async restart() {
      await stop();
      return startEtcd(kind, place, remove);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      if (remove) rmSync(place.dataDir, { recursive: true, force: true });
    },
  };
}

function spawned(kind: Kind, { port, dataDir, name, cluster }: Place): ChildProcess {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  const flags = [
    ["--name", name],
    ["--data-dir", dataDir],
    ["--listen-client-urls", client],
    ["--advertise-client-urls", client],
    ["--listen-peer-urls", peer],
    ["--initial-advertise-peer-urls", peer],
    ["--initial-cluster", cluster],
    ["--quota-backend-bytes", String(8 << 30)],
  ].flat();
  if (kind === "etcd") return spawn("/usr/bin/etcd", flags, { stdio: "ignore" });
  const profile = process.env["BENCH_PROFILE"];
  const env = { ...process.env, ...(kind === "t8s" ? {} : { T8S_HTTP2: "node" }) };
  const stdio = process.env["BENCH_LOG"] ? "inherit" : "ignore";
  if (!profile) return spawn(join(ROOT, "bin/t8s"), ["etcd", ...flags], { stdio, env });
  const main = join(ROOT, "src/cli/main.ts");
  return spawn(
    process.execPath,
    [...process.execArgv, "--cpu-prof", "--cpu-prof-dir", profile, main, "etcd", ...flags],
    { stdio, env },
  );
}
