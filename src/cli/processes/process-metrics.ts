/** Metrics of the process, under the names of Go's client library. */
import { readdirSync, readFileSync } from "node:fs";
import { Metrics, type Reading } from "../../observe/metrics.ts";
import * as counted from "../../etcd/metrics.ts";
import type { World } from "../../world/world.ts";

/** A member's of etcd, which tells of files by names of its own, too. */
export function processMetrics(world: Pick<World, "clock" | "host">): Metrics {
  const metrics = new Metrics({ stability: false });
  tellProcess(metrics, world);
  const limit = openFilesLimit();
  metrics.from(function* (): Iterable<Reading> {
    const open = openFiles();
    if (open !== undefined) yield { metric: counted.fdUsed, value: open };
    if (limit !== undefined) yield { metric: counted.fdLimit, value: limit };
  });
  return metrics;
}

/** Adds the numbers of this process to what `metrics` tells. */
export function tellProcess(metrics: Metrics, { clock, host }: Pick<World, "clock" | "host">): void {
  const startedAt = clock.now() / 1000;
  const limit = openFilesLimit();
  metrics.from(function* (): Iterable<Reading> {
    const { cpuMs, residentBytes } = host.usage();
    const open = openFiles();
    yield { metric: counted.cpuSeconds, value: cpuMs / 1000 };
    yield { metric: counted.residentMemory, value: residentBytes };
    yield { metric: counted.startTime, value: startedAt };
    if (open !== undefined) yield { metric: counted.openFds, value: open };
    if (limit !== undefined) yield { metric: counted.maxFds, value: limit };
  });
}

/** Undefined where the machine doesn't tell. */
function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function openFilesLimit(): number | undefined {
  try {
    const text = readFileSync("/proc/self/limits", "latin1");
    return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? undefined) || undefined;
  } catch {
    return undefined;
  }
}
