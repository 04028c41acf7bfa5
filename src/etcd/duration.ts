/** Formats a duration as upstream's log does: `1.5s`, `12.3ms`. */
import { formatDuration } from "../machinery/meta/time.ts";

export const duration = (ms: number): string => formatDuration(Math.round(ms * 1e6));
