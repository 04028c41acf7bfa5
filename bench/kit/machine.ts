/** The machine, as benchmarks see it: what it is, how busy others keep it, what one process costs. */
import { readdirSync, readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

export function describeMachine(): string {
  const [first] = cpus();
  return `${first?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}

export interface Usage {
  readonly at: number;
  /** CPU seconds of the process and its threads. */
  readonly cpu: number;
  /** CPU seconds that the whole machine was busy. */
  readonly busy: number;
}

const TICKS = 100;

export function usage(pid: number): Usage {
  const [user, nice, system, , , irq, soft] = readFileSync("/proc/stat", "utf8")
    .split("\n")[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return {
    at: performance.now(),
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS,
    busy: (user! + nice! + system! + irq! + soft!) / TICKS,
  };
}

export interface Memory {
  readonly rssMb: number;
  /** What goes away with the process: RSS less the file pages that it shares (the Node binary, mostly). */
  readonly privateMb: number;
}

export function memory(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0);
  return { rssMb: (kb("Rss") * 1024) / 1e6, privateMb: ((kb("Private_Clean") + kb("Private_Dirty")) * 1024) / 1e6 };
}

/** The processes below `pid`, itself not among them. */
export function descendants(pid: number): readonly number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1]!.split(" ")[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended meanwhile.
    }
  }
  const found: number[] = [];
  for (let queue = [pid]; queue.length > 0;) {
    const children = parents.get(queue.pop()!) ?? [];
    found.push(...children);
    queue.push(...children);
  }
  return found;
}
