/**
 * An API server and its etcd in a process of their own, and nothing else: what benchmarks and loads are run against. Says where it listens in one
 * line of JSON, and ends with its standard input.
 *
 *     sh tools/node.sh bench/kit/api-process.ts FOLDER PORT
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createApiServer } from "../../src/apiserver/server.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { createEtcd } from "../../src/etcd/server.ts";
import { silent } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";

const [folder, port] = process.argv.slice(2) as [string, string];
const pki = (name: string) => readFileSync(join(folder, "pki", name), "utf8");
const world = machineWorld();
const stop = new AbortController();
const etcd = createEtcd(
  { name: "default", dataDir: join(folder, "etcd"), quotaBackendBytes: 8 * 1024 ** 3 },
  { ...world, log: silent, metrics: new Metrics({ stability: false }) },
);
const etcdDone = await started(etcd);
const server = createApiServer(
  {
    secure: { bindAddress: "127.0.0.1", port: Number(port), cert: pki("apiserver.crt"), key: pki("apiserver.key"), clientCa: pki("ca.crt") },
    advertiseAddress: "127.0.0.1",
    serviceAccount: { issuer: "https://kubernetes.default.svc.cluster.local", signingKey: pki("sa.key") },
    disableAdmissionPlugins: ["ServiceAccount"],
  },
  { ...world, etcd: etcd.client(), log: silent, metrics: new Metrics() },
);
const apiDone = await started(server);
console.log(JSON.stringify({ port: server.address?.port, uptimeMs: performance.now() }));
process.stdin.resume().on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
await Promise.all([etcdDone.done, apiDone.done]);

async function started(component: { run(signal: AbortSignal, ready: () => void): Promise<void> }) {
  const ready = Promise.withResolvers<void>();
  const done = component.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, done]);
  return { done };
}
