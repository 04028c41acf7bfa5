/** The progress of a start, with times: on a terminal, a line that is redrawn shows the present step; elsewhere each step is one plain line. */
import colors from "picocolors";
import type { Clock } from "../world/world.ts";

export interface Progress {
  /** Runs one step and tells how long it took. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
}

export function createProgress(
  clock: Pick<Clock, "monotonic">,
  out: (text: string) => void,
  interactive: boolean,
): Progress {
  const { green, red, dim } = colors.createColors(interactive);
  const underWay = new Set<string>();
  /** Writes whole lines above the one that tells what is under way. */
  const draw = (lines: string) => {
    if (!interactive) return out(lines);
    const now = underWay.size === 0 ? "" : `${dim("·")} ${[...underWay].join(", ")} …`;
    out(`\r\x1b[K${lines}${now}`);
  };
  return {
    async step(title, work) {
      const begun = clock.monotonic();
      underWay.add(title);
      draw("");
      const done = (mark: string) => {
        underWay.delete(title);
        draw(`${mark} ${title} ${dim(`${((clock.monotonic() - begun) / 1000).toFixed(2)} s`)}\n`);
      };
      try {
        const result = await work();
        done(green("✓"));
        return result;
      } catch (error) {
        done(red("✗"));
        throw error;
      }
    },
  };
}
