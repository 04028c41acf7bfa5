/** The `date` header, formatted once a second. */
import type { Clock } from "../world/world.ts";

export function dates(clock: Clock): () => string {
  let second = -1;
  let text = "";
  return () => {
    const now = clock.now();
    const current = Math.floor(now / 1000);
    if (current !== second) {
      second = current;
      text = new Date(now).toUTCString();
    }
    return text;
  };
}
