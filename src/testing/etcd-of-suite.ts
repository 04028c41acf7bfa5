/**
 * Loaded before the API server's tests (`node --import`), puts them on an etcd that is one. `T8S_SUITE_ETCD` says which: `process` for a member of
 * ours in this process, `grpc` for one as a process of its own, or the path of somebody else's; `late` for one in this process whose watches tell
 * what happened some time after the writer has its answer, as another process may. Each server of a test has a part of it to itself.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { ETCD_OF_SUITE } from "../apiserver/testing/harness.ts";
import { lateWatches } from "../apiserver/testing/late-watches.ts";
import { machineWorld } from "../cli/world.ts";
import { createEtcd } from "../etcd/server.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { namespaced } from "../protocols/etcd/namespace.ts";
import { sleep } from "../world/time.ts";
import { EtcdProcesses } from "./etcd-processes.ts";

/** See above. */
export type EtcdOfSuite = "process" | "grpc" | "late" | (string & {});

/** How long after an event its watchers hear of it from `late`: long enough for any number of requests to come between. */
const LATE_MS = 10;

const which: EtcdOfSuite = process.env["T8S_SUITE_ETCD"] ?? "process";
let started: Promise<EtcdClient> | undefined;
let parts = 0;
const ends: (() => Promise<void>)[] = [];
// A member in this process keeps nobody waiting: its timers don't hold the process.
const alive = setInterval(() => {}, 60_000);
// This runs before what the files of the tests have for the end: servers that are still there see their store go, and have to bear it.
after(async () => {
  clearInterval(alive);
  await Promise.all(ends.map((end) => end()));
});

async function inProcess(): Promise<EtcdClient> {
  const dataDir = mkdtempSync(join(tmpdir(), "t8s-suite-"));
  const stop = new AbortController();
  const etcd = createEtcd({ dataDir }, { ...machineWorld(), log: silent, metrics: new Metrics({ stability: false }) });
  const ready = Promise.withResolvers<void>();
  const done = etcd.run(stop.signal, ready.resolve);
  ends.push(async () => {
    stop.abort();
    await done;
    rmSync(dataDir, { recursive: true });
  });
  await Promise.race([ready.promise, done]);
  return etcd.client();
}

async function ofItsOwn(program: string): Promise<EtcdClient> {
  const processes = await EtcdProcesses.create();
  ends.push(() => processes[Symbol.asyncDispose]());
  await processes.reserve(["suite"]);
  return (await processes.start(program, "suite")).client;
}

const { clock } = machineWorld();

async function start(): Promise<EtcdClient> {
  if (which === "process") return inProcess();
  if (which === "late") return lateWatches(await inProcess(), () => sleep(clock, LATE_MS));
  return ofItsOwn(which === "grpc" ? "ours" : which);
}

(globalThis as { [ETCD_OF_SUITE]?: () => Promise<EtcdClient> })[ETCD_OF_SUITE] = async () => {
  const etcd = await (started ??= start());
  // Some history, so that there is a past to be too old for.
  for (let i = 0; parts === 0 && i < 5; i++)
    await etcd.kv.Put({ key: Buffer.from("history"), value: Buffer.from(String(i)) });
  return namespaced(etcd, `/part-${++parts}`);
};
