/**
 * How long does `t8s up` take? From the start of the process to the line that says what to type next, per runtime; a first start makes
 * certificates and objects, a later one finds them. Then the API alone, in process: etcd on disk and API server, nothing else.
 *
 *     sh tools/node.sh bench/up.ts [rounds]
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiServer } from "../src/apiserver/server.ts";
import { createEtcd } from "../src/etcd/server.ts";
import { silent } from "../src/observe/log.ts";
import { Metrics } from "../src/observe/metrics.ts";
import { nodeWorld } from "../src/world/node/index.ts";
import { place } from "./kit/cluster.ts";
import { usage } from "./kit/machine.ts";
import { median, report } from "./kit/report.ts";

const [what = "5"] = process.argv.slice(2);

if (what === "api") {
  console.log(JSON.stringify([await apiAlone(), await apiAlone(), await apiAlone(), await apiAlone()]));
  process.exit(0);
}

const rounds = Number(what);
await starts("process", 2);
await starts("containerd", 2);
await api();

async function starts(runtime: string, aim: number): Promise<void> {
  const seconds: Record<"first" | "again", number[]> = { first: [], again: [] };
  const cpu: number[] = [];
  const steps = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    await using cluster = place(`up-${runtime}`);
    for (const start of ["first", "again"] as const) {
      const begun = performance.now();
      const text = await cluster.up("--runtime", runtime);
      seconds[start].push((performance.now() - begun) / 1000);
      if (start === "first") {
        cpu.push(usage(cluster.pid).cpu);
        for (const [, step, took] of text.matchAll(/✓ (.*?) ([\d.]+) s$/gm))
          steps.set(step!, [...(steps.get(step!) ?? []), Number(took)]);
        const inside = Number(/Ready in ([\d.]+) s/.exec(text)![1]);
        steps.set("load", [...(steps.get("load") ?? []), seconds.first.at(-1)! - inside]);
      }
      await cluster.end();
    }
  }
  report(`up, ${runtime} runtime, first start`, median(seconds.first), "s", { below: aim });
  report(`up, ${runtime} runtime, again`, median(seconds.again), "s", { below: aim });
  report(
    `up, ${runtime} runtime, CPU of the process`,
    median(cpu),
    "s",
    {},
    [...steps].map(([step, took]) => `${step} ${median(took).toFixed(2)}`).join(", "),
  );
}

/** In a process of its own: the first start there compiles what it runs, the later ones are what a test suite sees. */
async function api(): Promise<void> {
  const first: number[] = [];
  const later: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using cluster = place("api");
    const { code, out, err } = await cluster.run("sh", [
      join(import.meta.dirname, "../tools/node.sh"),
      import.meta.filename,
      "api",
    ]);
    if (code !== 0) throw new Error(out + err);
    const [one, ...more] = JSON.parse(out) as number[];
    first.push(one!);
    later.push(...more);
  }
  report("API alone, in process, first in the process", median(first), "ms", { below: 300 });
  report("API alone, in process, later ones", median(later), "ms", { below: 300 });
}

async function apiAlone(): Promise<number> {
  const dataDir = mkdtempSync(join(tmpdir(), "t8s-bench-api-"));
  const world = nodeWorld();
  const stop = new AbortController();
  const begun = performance.now();
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const etcd = createEtcd({ name: "default", dataDir }, { ...world, log: silent, metrics: new Metrics() });
  const running = [await started(etcd, stop.signal)];
  const server = createApiServer(
    {
      serviceAccount: {
        issuer: "https://kubernetes.default.svc.cluster.local",
        signingKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
      },
    },
    { ...world, etcd: etcd.client(), log: silent, metrics: new Metrics() },
  );
  const apiStop = new AbortController();
  const apiserver = await started(server, apiStop.signal);
  const took = performance.now() - begun;
  apiStop.abort();
  await apiserver.done;
  stop.abort();
  await Promise.all(running.map(({ done }) => done));
  rmSync(dataDir, { recursive: true });
  return took;
}

async function started(component: { run(signal: AbortSignal, ready: () => void): Promise<void> }, signal: AbortSignal) {
  const ready = Promise.withResolvers<void>();
  const done = component.run(signal, ready.resolve);
  await Promise.race([ready.promise, done]);
  return { done };
}
