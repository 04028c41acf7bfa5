/** How pods and durations are written in messages, as upstream writes them. */

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

export function secondsSince(time: string | undefined, nowMs: number): number {
  return time === undefined ? 0 : (nowMs - Date.parse(time)) / 1000;
}
