/** Steps with their times, as they happen: a line that is redrawn on a terminal, one plain line each elsewhere. */
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
  return {
    async step(title, work) {
      const begun = clock.monotonic();
      if (interactive) out(`${dim("·")} ${title} …`);
      const done = (mark: string) =>
        out(
          `${interactive ? "\r\x1b[K" : ""}${mark} ${title} ${dim(`${((clock.monotonic() - begun) / 1000).toFixed(2)} s`)}\n`,
        );
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
