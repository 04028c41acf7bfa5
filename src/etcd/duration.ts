/** A length of time as upstream's log has it: `1.5s`, `12.3ms`. */
import { formatDuration } from "../machinery/meta/time.ts";

export const duration = (ms: number): string => formatDuration(Math.round(ms * 1e6));
