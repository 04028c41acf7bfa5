/** Steps with their times, as they happen: on a terminal a line that is redrawn tells what is under way, elsewhere there is one plain line each. */
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
