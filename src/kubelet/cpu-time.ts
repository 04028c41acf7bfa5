/** How long processors worked, from what Linux tells under /proc, in nanoseconds. */

const TICK_NS = 10_000_000;

/**
 * For a process and the children that it waited for: `/proc/PID/stat`, and `/proc/PID/schedstat` for what took less than a tick and yet not
 * nothing: metrics-server leaves out whoever used none.
 */
export function processNanoseconds(stat: string, schedstat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return Math.max(ticks * TICK_NS, Number.parseInt(schedstat, 10) || 0);
}

/** For the machine, from `/proc/stat`: user nice system idle iowait irq softirq steal; what its guests computed is in user. */
export function machineNanoseconds(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = stat
    .split("\n", 1)[0]!
    .split(/ +/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_NS;
}
