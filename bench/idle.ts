/**
 * What does a cluster cost that nobody uses? CPU and memory of one node over a minute, per runtime, after half a minute to settle. The t8s process
 * by itself, and with containerd and its shims, where there are any.
 *
 *     sh tools/node.sh bench/idle.ts [seconds] [runtime…]
 */
import { setTimeout as sleep } from "node:timers/promises";
import { place } from "./kit/cluster.ts";
import { descendants, memory, usage } from "./kit/machine.ts";
import { report } from "./kit/report.ts";

const [seconds = "60", ...given] = process.argv.slice(2);
for (const runtime of given.length > 0 ? given : ["containerd", "process"]) await idle(runtime, Number(seconds));

async function idle(runtime: string, forSeconds: number): Promise<void> {
  await using cluster = place(`idle-${runtime}`);
  await cluster.up("--runtime", runtime);
  const ready = memory(cluster.pid);
  await sleep(forSeconds * 500);
  const settled = memory(cluster.pid);
  const before = usage(cluster.pid);
  await sleep(forSeconds * 1000);
  const after = usage(cluster.pid);
  const end = memory(cluster.pid);
  const wall = (after.at - before.at) / 1000;
  const own = after.cpu - before.cpu;
  const others = (after.busy - before.busy - own) / wall;
  report(
    `idle, ${runtime} runtime, CPU of t8s`,
    (own / wall) * 100,
    "%",
    { below: 2 },
    `others kept ${others.toFixed(1)} cores busy`,
  );
  report(
    `idle, ${runtime} runtime, RSS of t8s`,
    end.rssMb,
    "MB",
    { below: 150 },
    `${ready.rssMb.toFixed(0)} when ready, ${settled.rssMb.toFixed(0)} after ${forSeconds / 2} s; ${end.privateMb.toFixed(0)} of it its own`,
  );
  const below = descendants(cluster.pid);
  if (below.length > 0)
    report(
      `idle, ${runtime} runtime, RSS of its ${below.length} children`,
      below.reduce((sum, pid) => sum + memory(pid).rssMb, 0),
      "MB",
    );
}
