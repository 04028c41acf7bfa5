/** How pods, durations and times are written in messages, as upstream writes them. */

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
}

/** `name_namespace(uid)`. */
export function podText({ metadata }: Named): string {
  return `${metadata.name}_${metadata.namespace ?? ""}(${metadata.uid})`;
}

/** `name_namespace`: what is unique among the pods of a node at one time. */
export function fullName({ metadata }: Pick<Named, "metadata">): string {
  return `${metadata.name}_${metadata.namespace ?? ""}`;
}

/** Go's `Duration.String()`: `10s`, `1m20s`, `1h0m5s`, `1.5s`, `250ms`. */
export function goDuration(ms: number): string {
  if (ms < 0) return `-${goDuration(-ms)}`;
  if (ms === 0) return "0s";
  if (ms < 1000) return `${Number(ms.toFixed(6))}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = Number(((ms % 60_000) / 1000).toFixed(9));
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

/** RFC 3339 in whole seconds: `metav1.Time`. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with microseconds: `metav1.MicroTime`. */
export function microTimestamp(ms: number): string {
  const micros = Math.floor((ms - Math.floor(ms)) * 1000);
  return `${new Date(ms).toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}

export function secondsSince(time: string | undefined, nowMs: number): number {
  return time === undefined ? 0 : (nowMs - Date.parse(time)) / 1000;
}
