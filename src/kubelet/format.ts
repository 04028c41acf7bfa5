/** How pods and durations are written in messages, as upstream writes them. */
import { formatDuration } from "../machinery/meta/time.ts";

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
export const goDuration = (ms: number): string => formatDuration(Math.round(ms * 1e6));

export function secondsSince(time: string | undefined, nowMs: number): number {
  return time === undefined ? 0 : (nowMs - Date.parse(time)) / 1000;
}
