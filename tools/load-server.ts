/**
 * An API server and its etcd in a process of their own, and nothing else unless asked for: what benchmarks and loads are run against. It says in a
 * line of JSON that it is ready, tells what it has cost so far for each line that it reads, and ends with its standard input. `namespaces`: with the
 * namespace controller; `laid-down`: so many config maps of the namespace `million` are in etcd before the API server starts.
 *
 *     sh tools/node.sh tools/load-server.ts FOLDER PORT [namespaces] [laid-down=COUNT] [etcd=URL]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { createApiServer } from "../src/apiserver/server.ts";
import { machineWorld } from "../src/cli/world.ts";
import { createEtcd } from "../src/etcd/server.ts";
import { silent } from "../src/observe/log.ts";
import { Metrics } from "../src/observe/metrics.ts";
import { connectEtcd } from "../src/protocols/etcd/connect.ts";
import type { EtcdClient } from "../src/protocols/etcd/client.ts";

const [folder, port, ...more] = process.argv.slice(2) as [string, string, ...string[]];
const pki = (name: string) => readFileSync(join(folder, "pki", name), "utf8");
const world = machineWorld();
const stop = new AbortController();
const remote = more.find((word) => word.startsWith("etcd="))?.slice(5);
let etcd: EtcdClient;
if (remote === undefined) {
  const member = createEtcd(
    { name: "default", dataDir: join(folder, "etcd"), quotaBackendBytes: 8 * 1024 ** 3 },
    { ...world, log: silent, metrics: new Metrics({ stability: false }) },
  );
  await started(member);
  etcd = member.client();
} else etcd = connectEtcd(world, { endpoints: [remote] });
const laidDown = Number(more.find((word) => word.startsWith("laid-down="))?.slice(10) ?? 0);
if (laidDown > 0) await layDown(etcd, laidDown);
const server = createApiServer(
  {
    secure: {
      bindAddress: "127.0.0.1",
      port: Number(port),
      cert: pki("apiserver.crt"),
      key: pki("apiserver.key"),
      clientCa: pki("ca.crt"),
    },
    advertiseAddress: "127.0.0.1",
    serviceAccount: { issuer: "https://kubernetes.default.svc.cluster.local", signingKey: pki("sa.key") },
    disableAdmissionPlugins: ["ServiceAccount"],
  },
  { ...world, etcd, log: silent, metrics: new Metrics() },
);
await started(server);
if (more.includes("namespaces")) {
  const { embeddedControllers } = await import("../src/cli/processes/embedded-controllers.ts");
  void embeddedControllers(server, ["namespace-controller"], world, silent).run(stop.signal, () => {});
}
const turns = watchTurns();
const say = (what: object) => console.log(JSON.stringify(what));
say({ ready: performance.now() });
createInterface({ input: process.stdin })
  .on("line", () => say({ ...turns.read(), ...memory() }))
  .on("close", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));

function memory(): object {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heapMb: heapUsed / 1e6, buffersMb: arrayBuffers / 1e6 };
}

/** Objects as the server stores them, as many to a transaction as etcd takes. */
async function layDown(client: EtcdClient, count: number): Promise<void> {
  const metadata = { namespace: "million", creationTimestamp: "2030-01-01T00:00:00Z" };
  let next = 0;
  const work = async () => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + 128);
      await client.kv.Txn({
        success: Array.from({ length: next - from }, (_, at) => {
          const name = `object-${from + at}`;
          const uid = `00000000-0000-4000-8000-${String(from + at).padStart(12, "0")}`;
          const object = {
            kind: "ConfigMap",
            apiVersion: "v1",
            metadata: { name, uid, ...metadata },
            data: { key: "value" },
          };
          return {
            request_put: {
              key: Buffer.from(`/registry/configmaps/million/${name}`),
              value: Buffer.from(JSON.stringify(object)),
            },
          };
        }),
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

async function started(component: { run(signal: AbortSignal, ready: () => void): Promise<void> }): Promise<void> {
  const ready = Promise.withResolvers<void>();
  await Promise.race([ready.promise, component.run(stop.signal, ready.resolve)]);
}

/**
 * The longest that a turn of the event loop took of this thread's CPU: how long a request waits at worst for whatever is before it, on a machine
 * that has nothing else to do. A timer of two milliseconds is part of it.
 */
function watchTurns(): { read(): object } {
  let longest = 0;
  let over = 0;
  let longestCollection = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestCollection = Math.max(longestCollection, duration);
  }).observe({ entryTypes: ["gc"] });
  let last = process.threadCpuUsage();
  setInterval(() => {
    const now = process.threadCpuUsage();
    const ms = (now.user + now.system - last.user - last.system) / 1000;
    last = now;
    if (ms > 20) over++;
    longest = Math.max(longest, ms);
  }, 2).unref();
  return {
    read() {
      const result = { longestTurnMs: longest, turnsOver20Ms: over, longestCollectionMs: longestCollection };
      longest = over = longestCollection = 0;
      return result;
    },
  };
}
